"""How a stream of events divides into visits, when events join it late or leave it.

A stream is one visitor's events in one (service, channel). Only the raw events near a change are read.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from alias_middleware.history import visit_starts
from alias_middleware.storage.base import Entry

_DAY_US = 24 * 3600 * 1_000_000
_OF_STREAM = "visitor = :visitor AND service = :service AND channel = :channel AND kind <> 'r'"
_AROUND = f"""
    SELECT time_us, day FROM events
    WHERE {_OF_STREAM} AND time_us BETWEEN :since AND :until
        AND day IN (SELECT day FROM visitor_days
                    WHERE visitor = :visitor AND day BETWEEN :first_day AND :last_day)
"""
_WHOLE = f"""
    SELECT time_us, id FROM events
    WHERE {_OF_STREAM} AND day IN (SELECT day FROM visitor_days WHERE visitor = :visitor)
"""


class Stream(NamedTuple):
    """One visitor's events in one (service, channel), by their numbers in the file."""

    visitor: int
    service: int
    channel: str
    gap_us: int


def starts_after(last_us: int | None, new: list[Entry], gap_us: int) -> Mapping[int, int]:
    """Count by local day the visits that begin in a stream's continuation after `last_us`."""
    times = [entry.event.time_us for entry in new]
    starts = visit_starts(times if last_us is None else [last_us, *times], gap_us)
    if last_us is not None:
        del starts[0]
    if not starts:  # most come in a visit that goes on
        return {}
    days = {entry.event.time_us: entry.event.day for entry in new}
    return Counter(days[start] for start in starts)


def starts_around(sql: sqlite3.Connection, stream: Stream, new: list[Entry], gone: list[Entry]) -> Counter[int]:
    """Count by local day how the visits' beginnings change when events join and leave a stream.

    `new` are not stored yet, `gone` still are.
    """
    changed = [entry.event for entry in (*new, *gone)]
    first = min(event.time_us for event in changed)
    last = max(event.time_us for event in changed) + stream.gap_us
    margin = 1 + stream.gap_us // _DAY_US
    asked = stream._asdict() | {
        "since": first - stream.gap_us,
        "until": last,
        "first_day": min(event.day for event in changed) - margin,
        "last_day": max(event.day for event in changed) + margin,
    }
    around = sql.execute(_AROUND, asked).fetchall()
    before = Counter(time_us for time_us, _ in around)
    after = before.copy()
    after.update(entry.event.time_us for entry in new)
    after.subtract(entry.event.time_us for entry in gone)
    days = dict(around) | {event.time_us: event.day for event in changed}
    starts: Counter[int] = Counter()
    for times, sign in ((after, 1), (before, -1)):
        for start in visit_starts(sorted(times.elements()), stream.gap_us):
            if first <= start <= last:
                starts[days[start]] += sign
    return starts


def last_without(sql: sqlite3.Connection, stream: Stream, new: list[Entry], gone: list[Entry]) -> int | None:
    """Give the last moment (microseconds) of a stream that `gone` leave and `new` join, None if it is empty."""
    leaving = {(entry.event.time_us, entry.id) for entry in gone}
    rows: list[tuple[int, int]] = sql.execute(_WHOLE, stream._asdict()).fetchall()
    staying = [time_us for time_us, id_ in rows if (time_us, id_) not in leaving]
    return max([*staying, *(entry.event.time_us for entry in new)], default=None)
