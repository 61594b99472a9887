"""Instants and local days: integer microseconds since the epoch (UTC) and the service's local calendar.

Storage keeps an instant as UTC microseconds plus the number of its local day
(`datetime.date.toordinal`). Nothing here reads a clock.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ON_THE_WALL = datetime(1970, 1, 1)  # noqa: DTZ001 -- in UTC, that is
_MICROSECOND = timedelta(microseconds=1)
_DAY_US = 24 * 3600 * 1_000_000


def to_micros(moment: datetime) -> int:
    """Give the microseconds since the epoch of an aware `moment`.

    Raises:
        ValueError: the datetime is naive, so it names no instant.
    """
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError("a datetime without a time zone names no instant: pass an aware one")
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Give the aware UTC datetime of `micros` microseconds since the epoch."""
    return _EPOCH + micros * _MICROSECOND  # in half the time that timedelta(microseconds=...) takes


def first_instant(wall: datetime, zone: tzinfo) -> int:
    """Give the first instant at which a zone's clocks show `wall` or, where they jump over it, more.

    `wall` is naive, its fold 0. A time that comes twice means its first coming, one that never comes the jump.
    """
    before = zone.utcoffset(wall)
    if before is None:
        raise ValueError("a time zone without an offset names no instant")
    instant = (wall - _EPOCH_ON_THE_WALL - before) // _MICROSECOND
    after = from_micros(instant).astimezone(zone).utcoffset()
    if after is None or after == before:
        return instant
    jump = clock_change(instant - (after - before) // _MICROSECOND, instant, zone)  # PEP 495: wall is in a gap
    return instant if jump is None else jump


@lru_cache(maxsize=4096)
def steady_offset_us(zone: tzinfo, day: int) -> int | None:
    """Give by how much a zone's clocks are ahead on a day of UTC, counted from the epoch, and on those beside it.

    None where they are put to another time meanwhile: what a clock shows on that day may come twice, or never.
    """
    begins = (from_micros((day + more) * _DAY_US).astimezone(zone).utcoffset() for more in (-1, 0, 1, 2))
    offsets = set(begins)
    offset = offsets.pop()
    return None if offsets or offset is None else offset // _MICROSECOND


def clock_change(start: int, end: int, zone: tzinfo) -> int | None:
    """Give the instant after `start` and up to `end` at which a zone's clocks are put to another time, if any.

    Microseconds since the epoch. Of several changes in the span, one is found or none.
    """
    before = from_micros(start).astimezone(zone).utcoffset()
    if from_micros(end).astimezone(zone).utcoffset() == before:
        return None
    while end - start > 1:
        middle = (start + end) // 2
        if from_micros(middle).astimezone(zone).utcoffset() == before:
            start = middle
        else:
            end = middle
    return end


class _DayBounds(msgspec.Struct, frozen=True):
    start: int
    end: int
    day: int


class LocalDays:
    """The local calendar of one time zone: which day an instant belongs to.

    Days have 23, 24 or 25 hours. The bounds of the last day asked for are remembered, so that the usual
    question costs two comparisons.
    """

    def __init__(self, zone: tzinfo) -> None:
        """Follow the calendar of `zone`."""
        self._zone = zone
        self._last = _DayBounds(0, 0, 0)

    def day(self, micros: int) -> int:
        """Give the ordinal of the local day that holds the instant `micros` (microseconds, UTC)."""
        last = self._last
        if not last.start <= micros < last.end:
            last = self._last = self._bounds(micros)
        return last.day

    def _bounds(self, micros: int) -> _DayBounds:
        today = from_micros(micros).astimezone(self._zone).date()
        return _DayBounds(self.start(today), self.start(today + timedelta(days=1)), today.toordinal())

    def start(self, day: date) -> int:
        """Give the instant at which the local `day` begins (microseconds, UTC)."""
        return to_micros(datetime.combine(day, time.min, self._zone))
