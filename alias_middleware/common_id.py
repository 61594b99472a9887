"""Choosing the reference of an identifiant commun: what each choice would lose, and what the option costs. Pure.

Attaching a service to a reference gives its clients new aliases: its history by alias is lost. The operator's
advice [S1]: take as reference the service with the largest audience, or the one whose loss would hurt most.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from alias_middleware.contact import OFFERS
from alias_middleware.errors import ContactError

MONTHLY_COST = Decimal(50)
"""EUR without tax, a month and attached service [S1]."""

GALLERY = "gallery"
"""What stands for a Gallery service in the place of an offer: the option is open to all of them."""

_FEWEST = 2


class Candidate(NamedTuple):
    """A service that may become the reference or be attached to it.

    `offer`: "gallery" or the SMS+ offer. `visitors`, `clients`, `revenue` (by currency) and the history of
    `page_views` and `visits` are those of the time looked at.
    """

    service: str
    offer: str
    visitors: int
    clients: int
    revenue: dict[str, Decimal]
    visits: int = 0
    page_views: int = 0


class Choice(msgspec.Struct, frozen=True):
    """What it means to take `reference`: who is attached, and so whose history by alias is lost."""

    reference: str
    attached: tuple[str, ...]
    visitors_lost: int
    clients_lost: int
    revenue_lost: dict[str, Decimal]
    visits_lost: int = 0
    page_views_lost: int = 0


class Advice(msgspec.Struct, frozen=True):
    """Every choice, the one with the least loss first; `monthly_cost` in EUR without tax is the same for all.

    `by_audience` and `by_revenue` are the references that lose the fewest visitors and the least revenue of the
    currency in which most services sell; where they differ the publisher decides what hurts more.
    """

    choices: tuple[Choice, ...]
    monthly_cost: Decimal
    by_audience: str
    by_revenue: str

    @property
    def is_clear(self) -> bool:
        """Whether audience and revenue speak for the same reference."""
        return self.by_audience == self.by_revenue


def advise(candidates: Sequence[Candidate]) -> Advice:
    """Compare the services as references for each other.

    Raises:
        ContactError: fewer than two services, one named twice, or an offer that the option is not sold with.
    """
    names = [candidate.service for candidate in candidates]
    if len(set(names)) != len(names) or len(names) < _FEWEST:
        raise ContactError("two services or more, each named once", field="services")
    for candidate in candidates:
        _check_offer(candidate)
    choices = sorted((_choice(each, candidates) for each in candidates), key=_loss)
    currency = _main_currency(candidates)
    by_revenue = max(candidates, key=lambda each: (each.revenue.get(currency, Decimal(0)), each.visitors))
    return Advice(tuple(choices), MONTHLY_COST * (len(candidates) - 1), choices[0].reference, by_revenue.service)


def _check_offer(candidate: Candidate) -> None:
    offer = OFFERS.get(candidate.offer)
    if candidate.offer != GALLERY and (offer is None or offer.common_id == "unavailable"):
        sold = [GALLERY, *(name for name, each in OFFERS.items() if each.common_id != "unavailable")]
        raise ContactError(
            f"{candidate.service}: the option is sold with {', '.join(sold)}; not with {candidate.offer!r}",
            field="offer",
        )


def _choice(reference: Candidate, candidates: Sequence[Candidate]) -> Choice:
    others = [each for each in candidates if each.service != reference.service]
    revenue: dict[str, Decimal] = {}
    for each in others:
        for currency, amount in each.revenue.items():
            revenue[currency] = revenue.get(currency, Decimal(0)) + amount
    return Choice(
        reference.service,
        tuple(each.service for each in others),
        sum(each.visitors for each in others),
        sum(each.clients for each in others),
        dict(sorted(revenue.items())),
        sum(each.visits for each in others),
        sum(each.page_views for each in others),
    )


def _loss(choice: Choice) -> tuple[int, int, int, str]:
    """What choices are ordered by: the visitors lost, then their history, whatever order they were named in."""
    return choice.visitors_lost, choice.page_views_lost, choice.visits_lost, choice.reference


def _main_currency(candidates: Sequence[Candidate]) -> str:
    """The currency in which most services sell; the first by name among equals."""
    sold = sorted(currency for each in candidates for currency in each.revenue)
    return max(sold, key=sold.count) if sold else ""
