"""How a stream of events divides into visits, when events join it late or leave it.

A stream is one visitor's events in one (service, channel). Only the raw events near a change are read.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import NamedTuple

from alias_middleware.history import visit_starts
from alias_middleware.storage.base import Entry

_DAY_US = 24 * 3600 * 1_000_000
_CLOCKS_FORWARD_US = 3 * 3600 * 1_000_000
"""More than clocks are ever put forward: an hour nearly everywhere, two at Troll station."""
_OF_STREAM = "visitor = :visitor AND service = :service AND channel = :channel AND kind NOT IN ('r', 'u')"
_DAYS = """
    WITH RECURSIVE days (day) AS (
        SELECT :first_day UNION ALL SELECT day + 1 FROM days WHERE day < :last_day
    )
"""
_AROUND = f"""
    {_DAYS} SELECT time_us FROM days CROSS JOIN events USING (day)
    WHERE {_OF_STREAM} AND time_us BETWEEN :since AND :until
"""
_WHOLE = f"""
    {_DAYS} SELECT time_us, id FROM days CROSS JOIN events USING (day) WHERE {_OF_STREAM}
"""


class Stream(NamedTuple):
    """One visitor's events in one (service, channel), by their numbers in the file."""

    visitor: int
    service: int
    channel: str
    gap_us: int


def margin_days(gap_us: int) -> int:
    """Give the number of local days that a visit gap may reach over: one of them may be a short one."""
    return 1 + (gap_us + _CLOCKS_FORWARD_US) // _DAY_US


def begun_after(last_us: int | None, new: list[Entry], gap_us: int) -> int:
    """Count the visits that begin in a stream's continuation after `last_us`."""
    times = [entry.event.time_us for entry in new]
    if last_us is None:
        return len(visit_starts(times, gap_us))
    return len(visit_starts([last_us, *times], gap_us)) - 1


def begun_around(sql: sqlite3.Connection, stream: Stream, new: list[Entry], gone: list[Entry]) -> int:
    """Count by how many the visits of a stream change when events join and leave it.

    `new` are not stored yet, `gone` still are.
    """
    changed = [entry.event for entry in (*new, *gone)]
    first = min(event.time_us for event in changed)
    last = max(event.time_us for event in changed) + stream.gap_us
    margin = margin_days(stream.gap_us)
    asked = stream._asdict() | {
        "since": first - stream.gap_us,
        "until": last,
        "first_day": min(event.day for event in changed) - margin,
        "last_day": max(event.day for event in changed) + margin,
    }
    before = Counter(time_us for (time_us,) in sql.execute(_AROUND, asked))
    after = before.copy()
    after.update(entry.event.time_us for entry in new)
    after.subtract(entry.event.time_us for entry in gone)
    begun = 0
    for times, sign in ((after, 1), (before, -1)):
        starts = visit_starts(sorted(times.elements()), stream.gap_us)
        begun += sign * sum(first <= start <= last for start in starts)
    return begun


def last_without(
    sql: sqlite3.Connection, stream: Stream, days: tuple[int, int], new: list[Entry], gone: list[Entry]
) -> int | None:
    """Give the last moment (microseconds) of a stream that `gone` leave and `new` join, None if it is empty.

    `days`: the first and the last local day on which the visitor has events.
    """
    leaving = {(entry.event.time_us, entry.id) for entry in gone}
    asked = stream._asdict() | {"first_day": days[0], "last_day": days[1]}
    rows: list[tuple[int, int]] = sql.execute(_WHOLE, asked).fetchall()
    staying = [time_us for time_us, id_ in rows if (time_us, id_) not in leaving]
    return max([*staying, *(entry.event.time_us for entry in new)], default=None)
