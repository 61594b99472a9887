"""The summary of a stretch of days: from its roll-up to totals, from totals to figures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import msgspec
from pyroaring import BitMap

from alias_middleware.attachment import remarks
from alias_middleware.money import from_millionths
from alias_middleware.rollups.counts import total
from alias_middleware.rollups.model import Days, Orders, Rollup, Section
from alias_middleware.statistics.ratios import money_average, ratio

SUMMARY_SECTIONS: tuple[Section, ...] = ("presence", "arrivals", "money")
"""What of a roll-up a summary needs."""


class Baskets(msgspec.Struct, frozen=True):
    """The clients who made the same number of orders in one currency, and their revenue in millionths."""

    clients: int
    revenue: int


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted over an interval. `baskets`: by currency, then by orders per client.

    `lifetime_clients` are those of the interval and of what was told to be before it.
    """

    visitors: int = 0
    new_visitors: int = 0
    visits: int = 0
    page_views: int = 0
    messages: int = 0
    unidentified_page_views: int = 0
    clients: int = 0
    lifetime_clients: int = 0
    cancelled_orders: int = 0
    baskets: dict[str, dict[int, Baskets]] = {}
    erased: int = 0


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What every answer says of the question: the local days from `since` to the one before `until`.

    `service` is "*" for all services of the namespace, `channel` None for all channels. `attached_on`: the day
    on which the service's aliases became its reference's, where the interval goes beyond it: see `remarks`.
    """

    service: str
    channel: str | None = None
    since: date
    until: date
    zone: str
    attached_on: date | None = None

    def remarks(self) -> list[str]:
        """Say what the figures cannot tell because the aliases changed; nothing where they can."""
        return remarks(self.attached_on, self.since, self.until)


class Summary(Result, frozen=True, kw_only=True):
    """The figures of an interval.

    Counts are integers; money is an exact Decimal per currency; averages are rounded half-even to four
    places, and None or absent where there is nothing to divide by.
    """

    visitors: int
    new_visitors: int
    returning_visitors: int
    visits: int
    page_views: int
    messages: int
    unidentified_page_views: int
    visits_per_visitor: Decimal | None
    clients: int
    lifetime_clients: int
    orders: int
    cancelled_orders: int
    revenue: dict[str, Decimal]
    average_basket: dict[str, Decimal]
    average_basket_per_client: dict[str, Decimal]
    erased: int


class Before(NamedTuple):
    """Who was there before a period: who had arrived, at one of several services counted together, or bought."""

    arrived: BitMap
    clients: BitMap


def totals_of(rollup: Rollup, *, before: Before | None = None, erased: int = 0) -> Totals:
    """Count what a roll-up holds, and who was there `before` it where that is told."""
    arrived, clients = rollup.arrivals.arrived, rollup.money.clients()
    known = before or Before(BitMap(), BitMap())
    presence = rollup.presence
    return Totals(
        visitors=len(presence.visitors),
        new_visitors=presence.visitors.intersection_cardinality(arrived - known.arrived),
        visits=total(presence.begun),
        page_views=presence.page_views,
        messages=presence.messages,
        unidentified_page_views=rollup.arrivals.unidentified,
        clients=len(clients),
        lifetime_clients=len(clients | known.clients),
        cancelled_orders=rollup.money.cancelled,
        baskets={currency: _baskets(orders) for currency, orders in rollup.money.orders.items() if orders.nets},
        erased=erased,
    )


def stretches_before(periods: Iterable[Days]) -> list[Days]:
    """Give the stretches of days between the beginnings of periods, from the first day of all on."""
    begins = sorted({since for since, _ in periods})
    return list(pairwise([0, *begins]))


def known_before(periods: Sequence[Days], stretches: Sequence[Rollup]) -> list[Before]:
    """Give who was there before each period, from the roll-ups of `stretches_before`."""
    known: dict[int, Before] = {}
    ever = Before(BitMap(), BitMap())
    for (_, begin), rollup in zip(stretches_before(periods), stretches, strict=True):
        ever = Before(ever.arrived | rollup.arrivals.arrived, ever.clients | rollup.money.clients())
        known[begin] = ever
    return [known[since] for since, _ in periods]


def _baskets(orders: Orders) -> dict[int, Baskets]:
    """Group the clients by their number of orders."""
    numbers = Counter(orders.visitors)
    clients = Counter(numbers.values())
    revenue: defaultdict[int, int] = defaultdict(int)
    for visitor, net in zip(orders.visitors, orders.nets, strict=True):
        revenue[numbers[visitor]] += net
    return {number: Baskets(clients[number], revenue[number]) for number in sorted(clients)}


def summarise(
    totals: Totals,
    *,
    service: str,
    since: date,
    until: date,
    zone: str,
    channel: str | None = None,
    attached_on: date | None = None,
) -> Summary:
    """Turn totals into figures."""
    orders = {
        currency: sum(count * group.clients for count, group in groups.items())
        for currency, groups in totals.baskets.items()
    }
    revenue = {
        currency: sum(group.revenue for group in groups.values()) for currency, groups in totals.baskets.items()
    }
    return Summary(
        service=service,
        channel=channel,
        since=since,
        until=until,
        zone=zone,
        attached_on=attached_on,
        visitors=totals.visitors,
        new_visitors=totals.new_visitors,
        returning_visitors=totals.visitors - totals.new_visitors,
        visits=totals.visits,
        page_views=totals.page_views,
        messages=totals.messages,
        unidentified_page_views=0 if channel == "sms" else totals.unidentified_page_views,
        visits_per_visitor=ratio(totals.visits, totals.visitors),
        clients=totals.clients,
        lifetime_clients=totals.lifetime_clients,
        orders=sum(orders.values()),
        cancelled_orders=totals.cancelled_orders,
        revenue={currency: from_millionths(revenue[currency]) for currency in sorted(revenue)},
        average_basket={
            currency: money_average(Fraction(revenue[currency], orders[currency])) for currency in sorted(orders)
        },
        average_basket_per_client={
            currency: money_average(_mean_basket(groups)) for currency, groups in sorted(totals.baskets.items())
        },
        erased=totals.erased,
    )


def _mean_basket(groups: dict[int, Baskets]) -> Fraction:
    clients = sum(group.clients for group in groups.values())
    return sum((Fraction(group.revenue, count) for count, group in groups.items()), Fraction()) / clients
