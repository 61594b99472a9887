"""Marks of the days whose roll-ups no longer hold. They change in the transaction that changes a day."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable

ServiceDay = tuple[int, int]
"""A service's id and a local day."""

_MARK = """
    INSERT INTO changes VALUES (?, ?, random()) ON CONFLICT (service, day) DO UPDATE SET mark = excluded.mark
"""
_MARK_FOLLOWING = "UPDATE changes SET mark = random() WHERE service = ? AND day > ? AND day <= ?"


def mark_changed(sql: sqlite3.Connection, touched: Iterable[ServiceDay], margin: int) -> None:
    """Mark days as changed, and the `margin` days after each: a visit of theirs may have begun there."""
    for service, day in sorted(touched):
        sql.execute(_MARK, (service, day))
        sql.execute(_MARK_FOLLOWING, (service, day, day + margin))


def marks(sql: sqlite3.Connection, services: Collection[int], since: int, until: int) -> dict[ServiceDay, int]:
    """Give the marks of services' days from `since` to the one before `until`, where anything ever was."""
    found: dict[ServiceDay, int] = {}
    for service in services:
        rows = sql.execute(
            "SELECT day, mark FROM changes WHERE service = ? AND day >= ? AND day < ?", (service, since, until)
        )
        found.update({(service, day): mark for day, mark in rows})
    return found


def all_marks(sql: sqlite3.Connection) -> dict[ServiceDay, int]:
    """Give the marks of every day of every service."""
    rows = sql.execute("SELECT service, day, mark FROM changes")
    return {(service, day): mark for service, day, mark in rows}
