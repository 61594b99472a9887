"""Visits by the days since the previous one, against a plain look back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from alias_middleware.rollups.counts import counts_of
from alias_middleware.rollups.model import Presence
from alias_middleware.statistics.frequency import DAYS, by_days_since, by_visits, day_of

calendar = st.lists(st.dictionaries(st.integers(0, 3), st.integers(1, 3), max_size=3), max_size=45)
_GROUPS = ["0", "1", "2", "3", "4", "5", "6", "7", "8-14", "15-30", "31-60", "61-120", "121-364", "365+", "first"]


def look_back(calendar: list[dict[int, int]], begin: int) -> dict[str, int]:
    found = dict.fromkeys(_GROUPS, 0)
    for today in range(begin, len(calendar)):
        for visitor, visits in calendar[today].items():
            earlier = [day for day in range(today) if visitor in calendar[day]]
            found["0"] += visits - 1
            found[group(today - earlier[-1]) if earlier else "first"] += 1
    return found


def group(days: int) -> str:
    for name in _GROUPS[:-2]:
        low, _, high = name.partition("-")
        if int(low) <= days <= int(high or low):
            return name
    return "365+"


@given(calendar, st.integers(0, 45))
def test_recency_is_a_look_back(calendar: list[dict[int, int]], begin: int) -> None:
    """Each first visit of a day looks at the visitor's last day before, further ones are 0 days after."""
    days = [day_of(Presence(begun=counts_of(day))) for day in calendar]
    rows = by_days_since(BitMap(), days[:begin], days[begin:])
    assert {row.days: row.visits for row in rows} == look_back(calendar, begin)


@pytest.mark.parametrize("gap", [*DAYS[1:], *(day + 1 for day in DAYS[1:])])
def test_the_limits_of_the_groups(gap: int) -> None:
    """Both sides of each limit, up to a year."""
    calendar: list[dict[int, int]] = [{1: 1}, *({} for _ in range(gap - 1)), {1: 1}]
    days = [day_of(Presence(begun=counts_of(day))) for day in calendar]
    rows = by_days_since(BitMap(), days[:-1], days[-1:])
    assert [row.days for row in rows if row.visits] == [group(gap)]
    if gap > DAYS[-1]:
        rows = by_days_since(BitMap([1]), days[1:-1], days[-1:])
        assert [row.days for row in rows if row.visits] == ["365+"]


def test_visitors_by_visits() -> None:
    """0 is a visit that began before; groups widen; shares are of all visitors."""
    visits = {1: 1, 2: 10, 3: 11, 4: 20, 5: 100, 6: 101, 9: 1}
    rows = by_visits(Presence(visitors=BitMap([0, 1, 2, 3, 4, 5, 6]), begun=counts_of(visits)))
    found = {row.visits: row.visitors for row in rows if row.visitors}
    assert found == {"0": 1, "1": 1, "10": 1, "11-20": 2, "51-100": 1, "101+": 1}
    assert str(rows[0].share) == "0.1429"
