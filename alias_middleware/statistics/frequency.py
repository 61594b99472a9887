"""How often visitors come: by their number of visits, and visits by the days since the previous one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

import msgspec
from pyroaring import BitMap

from alias_middleware.rollups.counts import anybody, histogram, total
from alias_middleware.rollups.model import Presence
from alias_middleware.statistics.ratios import ratio
from alias_middleware.statistics.summary import Result

VISITS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 50, 100)
"""The last number of each group of visits; a further group is beyond."""

DAYS = (0, 1, 2, 3, 4, 5, 6, 7, 14, 30, 60, 120, 364)
"""The last number of each group of days since the previous visit; a further group is beyond."""

FIRST = "first"
"""Stands for the days since the previous visit where there is none."""


class OfVisitors(msgspec.Struct, frozen=True):
    """Visitors with a number of visits, such as "3", "11-20" or "101+"."""

    visits: str
    visitors: int
    share: Decimal | None


class OfVisits(msgspec.Struct, frozen=True):
    """Visits a number of days after the previous one, such as "1", "8-14", "365+" or "first"."""

    days: str
    visits: int
    share: Decimal | None


class Frequency(Result, frozen=True, kw_only=True):
    """How often visitors come."""

    visits_per_visitor: Decimal | None
    rows: list[OfVisitors]
    recency: list[OfVisits]


def by_visits(presence: Presence) -> list[OfVisitors]:
    """Group the visitors of an interval by the visits they began in it."""
    groups = dict.fromkeys([*VISITS, None], 0)
    for number, visitors in histogram(presence.begun, presence.visitors).items():
        groups[_group(number, VISITS)] += visitors
    return [
        OfVisitors(label, number, ratio(number, len(presence.visitors)))
        for label, number in zip(_labels(VISITS), groups.values(), strict=True)
    ]


def _group(number: int, limits: Sequence[int]) -> int | None:
    return next((limit for limit in limits if number <= limit), None)


def _labels(limits: Sequence[int]) -> list[str]:
    labels = [str(limits[0])]
    for low, high in pairwise(limits):
        labels.append(str(high) if high == low + 1 else f"{low + 1}-{high}")
    return [*labels, f"{limits[-1] + 1}+"]


class _Window:
    """The union of the last days' bitmaps, as many as it is wide, while days go by.

    Two stacks make a queue: each day's bitmap is united a few times, however wide the window.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._older: list[BitMap] = []
        self._newer: list[BitMap] = []
        self._of_newer = BitMap()

    def push(self, day: BitMap) -> None:
        if len(self._older) + len(self._newer) == self._width:
            if not self._older:
                for each in reversed(self._newer):
                    self._older.append(each | self._older[-1] if self._older else each)
                self._newer, self._of_newer = [], BitMap()
            self._older.pop()
        self._newer.append(day)
        self._of_newer = self._of_newer | day

    def had(self, visitors: BitMap) -> int:
        """Count the visitors who came in the window."""
        if not self._older:
            return visitors.intersection_cardinality(self._of_newer)
        return visitors.intersection_cardinality(self._older[-1] | self._of_newer)


class Day(NamedTuple):
    """One day's visits: who began any, and how many were begun."""

    beginners: BitMap
    visits: int


def day_of(presence: Presence) -> Day:
    """Reduce a day's presence to what recency needs."""
    return Day(anybody(presence.begun), total(presence.begun))


def by_days_since(earlier: BitMap, before: Sequence[Day], days: Iterable[Day]) -> list[OfVisits]:
    """Group the visits of `days` by the local days since the same visitor's previous visit.

    `before`: the days before, as many as the widest group reaches back; `earlier`: who began a visit before
    these.
    """
    windows = {width: _Window(width) for width in DAYS[1:]}
    for width, window in windows.items():
        for day in before[-width:]:
            window.push(day.beginners)
    ever = BitMap.union(earlier, *(day.beginners for day in before))
    within = dict.fromkeys(DAYS, 0)
    visits = known = 0
    for day in days:
        visits += day.visits
        again = day.visits - len(day.beginners)
        within[0] += again
        for width, window in windows.items():
            within[width] += again + window.had(day.beginners)
        known += again + day.beginners.intersection_cardinality(ever)
        ever = ever | day.beginners
        for window in windows.values():
            window.push(day.beginners)
    reached = [0, *within.values(), known, visits]
    numbers = [upto - below for below, upto in pairwise(reached)]
    return [
        OfVisits(label, number, ratio(number, visits))
        for label, number in zip([*_labels(DAYS), FIRST], numbers, strict=True)
    ]
