"""The week by local hours, for choosing when to write."""

from __future__ import annotations

from datetime import tzinfo
from decimal import Decimal

import msgspec

from alias_middleware.local_time import from_micros
from alias_middleware.rollups.model import QUARTER_US, Rollup
from alias_middleware.statistics.ratios import ratio
from alias_middleware.statistics.summary import Result

_HOURS = 24
_WEEKDAYS = 7


class Hour(msgspec.Struct, frozen=True):
    """One hour of the week."""

    weekday: int
    hour: int
    page_views: int
    visits: int
    share: Decimal | None


class Hours(Result, frozen=True, kw_only=True):
    """The 168 hours of the week, from Monday's first."""

    rows: list[Hour]


def week_of(rollup: Rollup, zone: tzinfo) -> list[Hour]:
    """Add up an interval's hours by local day of the week and local hour."""
    week = [[0, 0] for _ in range(_WEEKDAYS * _HOURS)]
    for quarter, (page_views, visits) in rollup.hours.quarters.items():
        local = from_micros(quarter * QUARTER_US).astimezone(zone)
        place = week[local.weekday() * _HOURS + local.hour]
        place[0] += page_views
        place[1] += visits
    whole = sum(visits for _, visits in week)
    return [
        Hour(place // _HOURS + 1, place % _HOURS, page_views, visits, ratio(visits, whole))
        for place, (page_views, visits) in enumerate(week)
    ]
