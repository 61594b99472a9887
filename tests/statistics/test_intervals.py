"""Intervals divide into days, weeks and months without gaps, and have something to be compared with."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware.statistics.intervals import By, check_by, periods, previous

days = st.dates(date(1999, 1, 1), date(2040, 1, 1))


@given(days, st.integers(0, 500), st.sampled_from(["day", "week", "month"]))
def test_periods_cover_the_interval(since: date, length: int, by: By) -> None:
    """Each begins where the one before ended, on a Monday or a first of the month."""
    until = since + timedelta(days=length)
    divided = periods(since, until, by)
    assert [day for period in divided for day in _days(*period)] == list(_days(since, until))
    assert all(one[1] == other[0] for one, other in pairwise(divided))
    for first, _ in divided[1:]:
        assert by == "day" or (first.weekday() == 0 if by == "week" else first.day == 1)


def _days(since: date, until: date) -> list[date]:
    return [since + timedelta(days=number) for number in range((until - since).days)]


@pytest.mark.parametrize(
    ("by", "since", "until", "expected"),
    [
        pytest.param("day", (2026, 3, 2), (2026, 3, 4), [(2026, 2, 28), (2026, 3, 1)], id="as many days"),
        pytest.param("week", (2026, 3, 4), (2026, 3, 12), [(2026, 2, 18), (2026, 2, 23)], id="the same weekdays"),
        pytest.param("month", (2026, 3, 1), (2026, 5, 1), [(2026, 1, 1), (2026, 2, 1)], id="whole months"),
        pytest.param("month", (2024, 3, 31), (2024, 4, 1), [(2024, 2, 29)], id="a shorter month"),
    ],
)
def test_what_an_interval_is_compared_with(
    by: By, since: tuple[int, int, int], until: tuple[int, int, int], expected: list[tuple[int, int, int]]
) -> None:
    """As many days, weeks or months before."""
    found = previous(date(*since), date(*until), by)
    assert [first for first, _ in found] == [date(*day) for day in expected]


def test_before_the_calendar_there_is_nothing() -> None:
    """Said in words, not as an overflow."""
    for by in ("day", "week", "month"):
        with pytest.raises(ValueError, match="nothing before"):
            previous(date(1, 1, 1), date(1, 1, 9), by)


def test_other_divisions_are_refused() -> None:
    """With the names of those there are."""
    with pytest.raises(ValueError, match="day, week, month"):
        check_by("year")
