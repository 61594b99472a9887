"""Half-open intervals of local dates, and their division into days, weeks and months."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Literal, get_args

By = Literal["day", "week", "month"]
"""What an interval is divided into. Weeks begin on Monday."""

_DAY = timedelta(days=1)
_MONTHS = 12


def check_interval(since: date, until: date) -> tuple[date, date]:
    """Check a half-open interval of local dates.

    Raises:
        TypeError: a datetime or anything else that is no plain date.
        ValueError: the interval ends before it begins.
    """
    for name, bound in (("since", since), ("until", until)):
        if not isinstance(bound, date) or isinstance(bound, datetime):
            raise TypeError(f"{name} is a local date (datetime.date), not {type(bound).__name__}")
    if until < since:
        raise ValueError("until must not be before since: the interval is half-open, [since, until)")
    return since, until


def ordinals(since: date, until: date) -> tuple[int, int]:
    """Give the numbers of an interval's bounds, by which roll-ups are kept."""
    return since.toordinal(), until.toordinal()


def check_by(by: str) -> None:
    """Check the name of a division.

    Raises:
        ValueError: it is none.
    """
    if by not in get_args(By):
        raise ValueError(f"by is one of {', '.join(get_args(By))}")


def periods(since: date, until: date, by: By) -> list[tuple[date, date]]:
    """Divide an interval; the first and the last week or month are cut where the interval ends."""
    bounds = list(_bounds(since, until, by))
    return list(pairwise(bounds))


def _bounds(since: date, until: date, by: By) -> Iterator[date]:
    bound = since
    while bound < until:
        yield bound
        bound = _next(bound, by)
    if since < until:
        yield until


def _next(day: date, by: By) -> date:
    """Give the first day of the day's, week's or month's successor."""
    if by == "day":
        return day + _DAY
    if by == "week":
        return day + timedelta(days=7 - day.weekday())
    return _months_later(day.replace(day=1), 1)


def begin_of(day: date, by: By) -> date:
    """Give the first day of the week or month that holds a day."""
    if by == "day":
        return day
    return day - timedelta(days=day.weekday()) if by == "week" else day.replace(day=1)


def previous(since: date, until: date, by: By) -> list[tuple[date, date]]:
    """Give, for each period of an interval, the one to compare it with, as many days, weeks or months before.

    Raises:
        ValueError: that would be before the calendar begins.
    """
    divided = periods(since, until, by)
    return [(_earlier(first, len(divided), by), _earlier(last, len(divided), by)) for first, last in divided]


def _earlier(day: date, number: int, by: By) -> date:
    try:
        if by == "month":
            return _months_later(day, -number)
        return day - number * (_DAY if by == "day" else 7 * _DAY)
    except (OverflowError, ValueError) as error:
        raise ValueError("there is nothing before that interval to compare it with") from error


def _months_later(day: date, number: int) -> date:
    """Move a day by months, to the last of a month that is too short for it."""
    year, month = divmod(day.year * _MONTHS + day.month - 1 + number, _MONTHS)
    following = date(year + month // 11, (month + 1) % _MONTHS + 1, 1)
    return min(date(year, month + 1, 1) + (day.day - 1) * _DAY, following - _DAY)
