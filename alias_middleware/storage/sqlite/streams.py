"""What of a stream of events is read from the history file when events join it late or leave it.

A stream is one visitor's events in one (service, channel). Only the raw events near a change are read.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from alias_middleware.storage import visits
from alias_middleware.storage.base import Entry

_OF_STREAM = "visitor = :visitor AND service = :service AND channel = :channel AND kind NOT IN ('r', 'u')"
_DAYS = """
    WITH RECURSIVE days (day) AS (
        SELECT :first_day UNION ALL SELECT day + 1 FROM days WHERE day < :last_day
    )
"""
_AROUND = f"""
    {_DAYS} SELECT time_us, id FROM days CROSS JOIN events USING (day)
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


def begun_around(sql: sqlite3.Connection, stream: Stream, new: list[Entry], gone: list[Entry]) -> int:
    """Count by how many the visits of a stream change when events join and leave it.

    `new` are not stored yet, `gone` still are.
    """
    changed = [entry.event for entry in (*new, *gone)]
    first = min(event.time_us for event in changed)
    last = max(event.time_us for event in changed) + stream.gap_us
    margin = visits.margin_days(stream.gap_us)
    asked = stream._asdict() | {
        "since": first - stream.gap_us,
        "until": last,
        "first_day": min(event.day for event in changed) - margin,
        "last_day": max(event.day for event in changed) + margin,
    }
    around = sql.execute(_AROUND, asked).fetchall()
    return visits.begun_around(around, stream.gap_us, new, gone)


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
