"""Who stays: the visitors who were new in one period, followed through the later ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import msgspec
from pyroaring import BitMap

from alias_middleware.rollups.model import Rollup
from alias_middleware.statistics.intervals import By
from alias_middleware.statistics.ratios import ratio
from alias_middleware.statistics.summary import Result


class Cohort(msgspec.Struct, frozen=True):
    """The visitors new in the period from `since`, and how many of them came in each period from it on."""

    since: date
    visitors: int
    retained: list[int]
    retention: list[Decimal | None]


class Cohorts(Result, frozen=True, kw_only=True):
    """The retention triangle."""

    by: By
    rows: list[Cohort]


def triangle(begins: Sequence[date], rollups: Sequence[Rollup], arrived_before: BitMap) -> list[Cohort]:
    """Follow the new visitors of each period through it and all later ones."""
    known = arrived_before
    rows = []
    for place, (since, rollup) in enumerate(zip(begins, rollups, strict=True)):
        cohort = (rollup.arrivals.arrived - known) & rollup.presence.visitors
        known = known | rollup.arrivals.arrived
        retained = [cohort.intersection_cardinality(later.presence.visitors) for later in rollups[place:]]
        rows.append(Cohort(since, len(cohort), retained, [ratio(number, len(cohort)) for number in retained]))
    return rows
