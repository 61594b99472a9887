"""One figure followed over the days, weeks or months of an interval."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec

from alias_middleware.rollups.model import Section
from alias_middleware.statistics.definitions import SUMMARY
from alias_middleware.statistics.intervals import By
from alias_middleware.statistics.summary import Result, Summary

Value = int | Decimal | dict[str, Decimal] | None
"""A count, an average, or money by currency; None where there is nothing to divide by."""

_OF_MONEY = frozenset(
    {
        "clients",
        "lifetime_clients",
        "orders",
        "cancelled_orders",
        "revenue",
        "average_basket",
        "average_basket_per_client",
    }
)
FOLLOWED = frozenset(SUMMARY) - {"erased"}
"""What a series can follow: the figures of a summary that belong to days."""


class Point(msgspec.Struct, frozen=True):
    """The figure in one period, and in the one it is compared with."""

    since: date
    until: date
    value: Value
    previous: Value = None


class Series(Result, frozen=True, kw_only=True):
    """A figure by period. Where it counts people, the whole is less than the sum of its parts."""

    name: str
    by: By
    compared: bool
    rows: list[Point]


def check_name(name: str) -> None:
    """Check the name of a figure.

    Raises:
        ValueError: a series cannot follow it.
    """
    if name not in FOLLOWED:
        raise ValueError(f"a series follows one of {', '.join(sorted(FOLLOWED))}")


def sections_of(name: str) -> tuple[Section, ...]:
    """Give what of a roll-up a figure needs."""
    return ("money",) if name in _OF_MONEY else ("presence", "arrivals")


def looks_back(name: str) -> bool:
    """Tell whether a figure is made of all that was before a period, too."""
    return name == "lifetime_clients"


def points(name: str, summaries: list[Summary], before: list[Summary]) -> list[Point]:
    """Take one figure of each period's summary, and of those it is compared with, if any."""
    values: list[Value] = [getattr(each, name) for each in before] or [None] * len(summaries)
    return [
        Point(each.since, each.until, getattr(each, name), value)
        for each, value in zip(summaries, values, strict=True)
    ]
