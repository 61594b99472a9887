"""Marks of the days whose roll-ups no longer hold. They grow in the transaction that changes a day."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from alias_middleware.storage.changes import ServiceDay
from alias_middleware.storage.postgresql.arrays import columns_of
from alias_middleware.storage.postgresql.pool import Connection

_MARK = """
    INSERT INTO changes (service, day, mark) SELECT service, day, 1 FROM unnest(%s::integer[], %s::integer[])
        AS touched (service, day)
    ON CONFLICT (service, day) DO UPDATE SET mark = changes.mark + 1
"""
_MARK_FOLLOWING = """
    UPDATE changes SET mark = changes.mark + 1 FROM unnest(%s::integer[], %s::integer[]) AS touched (service, day)
    WHERE changes.service = touched.service AND changes.day = touched.day
"""
_MARKS = "SELECT service, day, mark FROM changes WHERE service = ANY(%s) AND day >= %s AND day < %s"


def mark_changed(connection: Connection, touched: Iterable[ServiceDay], margin: int) -> None:
    """Mark days as changed, and the `margin` days after each: a visit of theirs may have begun there."""
    days = sorted(touched)
    following = sorted({(service, day + more) for service, day in days for more in range(1, margin + 1)} - {*days})
    for statement, those in ((_MARK, days), (_MARK_FOLLOWING, following)):
        if those:
            connection.execute(statement, columns_of(those))


def marks(connection: Connection, services: Collection[int], since: int, until: int) -> dict[ServiceDay, int]:
    """Give the marks of services' days from `since` to the one before `until`, where anything ever was."""
    rows = connection.execute(_MARKS, (list(services), since, until)).fetchall()
    return {(service, day): mark for service, day, mark in rows}
