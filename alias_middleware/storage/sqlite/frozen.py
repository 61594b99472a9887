"""Frozen days: local days whose raw events are gone, or going, and whose roll-ups are kept in the history file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial

from alias_middleware.events import Refund
from alias_middleware.rollups.coding import decode_section, encode_section
from alias_middleware.rollups.model import Rollup
from alias_middleware.rollups.removal import remove_visitor
from alias_middleware.storage import retention
from alias_middleware.storage.base import Entry
from alias_middleware.storage.chronicle import Chronicle
from alias_middleware.storage.sqlite.marks import ServiceDay, mark_changed

_DAY_OF_ORDER = """
    SELECT o.day FROM visitors v JOIN orders o ON o.visitor = v.id JOIN services s ON s.id = o.service
    WHERE v.namespace = ? AND v.key = ? AND s.service = ? AND s.namespace = v.namespace AND o.order_id = ?
"""


def admitted(sql: sqlite3.Connection, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Leave out what is too old: events of frozen days, and refunds of orders that belong to one."""
    horizons: dict[str, int] = dict(sql.execute("SELECT namespace, frozen_before FROM horizons").fetchall())
    return retention.admitted(entries, horizons, partial(_day_of_order, sql))


def _day_of_order(sql: sqlite3.Connection, entry: Entry) -> int | None:
    event, origin = entry.event, entry.origin
    if not isinstance(event, Refund):
        return None
    asked = (origin.namespace, event.key, origin.service, event.order_id)
    row = sql.execute(_DAY_OF_ORDER, asked).fetchone()
    return None if row is None else row[0]


def frozen_day(sql: sqlite3.Connection, service: int, day: int) -> dict[str, Rollup] | None:
    """Give a frozen day's roll-ups by channel, None for a day that is not frozen."""
    rows = sql.execute("SELECT channel, section, body FROM frozen WHERE service = ? AND day = ?", (service, day))
    rolled: dict[str, Rollup] = {}
    for channel, section, body in rows:
        setattr(rolled.setdefault(channel, Rollup()), section, decode_section(section, body))
    return rolled or None


def days_to_freeze(sql: sqlite3.Connection, services: Sequence[int], before: int) -> list[ServiceDay]:
    """Give the days of services before a day that are not frozen yet, oldest first."""
    query = """
        SELECT service, day FROM changes c WHERE service = ? AND day < ?
            AND NOT EXISTS (SELECT 1 FROM frozen f WHERE f.service = c.service AND f.day = c.day)
    """
    found = [day for service in services for day in sql.execute(query, (service, before)).fetchall()]
    return sorted(found, key=lambda each: (each[1], each[0]))


def thaw_visitor(sql: sqlite3.Connection, visitor: int, chronicle: Chronicle) -> None:
    """Take an erased visitor out of the frozen days."""
    changed: set[ServiceDay] = set()
    first, last = chronicle.days
    for service in chronicle.presence:
        rows = sql.execute(
            "SELECT day, channel, section, body FROM frozen WHERE service = ? AND day BETWEEN ? AND ?",
            (service, first, last),
        ).fetchall()
        for day, channel, section, body in rows:
            decoded = decode_section(section, body)
            if remove_visitor(section, decoded, visitor):
                rollup = Rollup()
                setattr(rollup, section, decoded)
                sql.execute(
                    "UPDATE frozen SET body = ? WHERE service = ? AND day = ? AND channel = ? AND section = ?",
                    (encode_section(rollup, section), service, day, channel, section),
                )
                changed.add((service, day))
    mark_changed(sql, changed, 0)


def retire_number(sql: sqlite3.Connection, visitor: int) -> None:
    """See to it that the number of a visitor who goes is never given to another."""
    sql.execute(
        "INSERT INTO numbers VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET given = max(given, excluded.given)",
        (visitor,),
    )
