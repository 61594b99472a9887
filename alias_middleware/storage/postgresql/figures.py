"""The kept roll-ups of days: derived, deletable at any time, each with the mark of the day it was made of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from alias_middleware.rollups.coding import decode_section
from alias_middleware.rollups.model import Rollup, Section
from alias_middleware.storage.changes import ServiceDay
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.postgresql.sections import OF_THE_SERVICE, Rolled, encoded

_KEPT = """
    SELECT r.service, r.day, r.channel, r.section, r.body FROM rollups r
    WHERE r.service = ANY(%s) AND r.day BETWEEN %s AND %s AND r.section = ANY(%s) AND r.channel = ANY(%s)
"""
_DAYS = "SELECT service, day, mark FROM rolled_days WHERE service = ANY(%s) AND day BETWEEN %s AND %s"
_HOLD = """
    SELECT service, day, mark FROM changes WHERE service = ANY(%s) AND day BETWEEN %s AND %s
    ORDER BY service, day FOR SHARE
"""
_KEEP_DAY = """
    INSERT INTO rolled_days (service, day, mark) VALUES (%s, %s, %s)
    ON CONFLICT (service, day) DO UPDATE SET mark = excluded.mark
"""
_DROP = "DELETE FROM rollups WHERE service = %s AND day = %s"
_KEEP = """
    INSERT INTO rollups (service, section, channel, day, body) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (service, section, channel, day) DO UPDATE SET body = excluded.body
"""


def find(
    connection: Connection,
    marks: Mapping[ServiceDay, int],
    channels: Sequence[str],
    sections: Collection[Section],
) -> dict[ServiceDay, Rolled]:
    """Give the sections that were kept of those days whose marks still hold."""
    if not marks:
        return {}
    services, first, last = _bounds(marks)
    rows = connection.execute(_DAYS, (services, first, last)).fetchall()
    found: dict[ServiceDay, Rolled] = {
        (service, day): {} for service, day, mark in rows if marks.get((service, day)) == mark
    }
    asked = (services, first, last, list(sections), [OF_THE_SERVICE, *channels])
    for service, day, channel, section, body in connection.execute(_KEPT, asked, binary=True):
        if (held := found.get((service, day))) is not None:
            setattr(held.setdefault(channel, Rollup()), section, decode_section(section, body))
    return found


def keep(connection: Connection, rolled: Mapping[ServiceDay, Rolled], marks: Mapping[ServiceDay, int]) -> None:
    """Keep roll-ups made under `marks`, but for days that have changed since.

    The marks are held while it is done: after an erasure nothing brings back what it deleted here.
    """
    connection.execute("BEGIN")
    rows = connection.execute(_HOLD, _bounds(rolled)).fetchall()
    now = {(service, day): mark for service, day, mark in rows}
    days = sorted(day for day in rolled if now.get(day) == marks[day])
    if days:
        cursor = connection.cursor()
        cursor.executemany(_KEEP_DAY, [(*day, marks[day]) for day in days])
        cursor.executemany(_DROP, days)
        rows = [
            (service, section, channel, day, body)
            for service, day in days
            for channel, section, body in encoded(rolled[service, day])
        ]
        cursor.executemany(_KEEP, rows)
    connection.execute("COMMIT")


def _bounds(days: Iterable[ServiceDay]) -> tuple[list[int], int, int]:
    known = list(days)
    ordinals = [day for _, day in known]
    return sorted({service for service, _ in known}), min(ordinals), max(ordinals)
