"""Erasing a visitor from PostgreSQL: all of it, and the tombstone, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from alias_middleware.storage.chronicle import Chronicle, decode_chronicle
from alias_middleware.storage.folding import ServiceDay
from alias_middleware.storage.outbox import end_of_erased
from alias_middleware.storage.postgresql import locks, preferences, tastes
from alias_middleware.storage.postgresql.arrays import columns_of
from alias_middleware.storage.postgresql.marks import mark_changed
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.postgresql.shelf import DEPART
from alias_middleware.storage.tastes import Tastes

_SERVICES = "SELECT id FROM services WHERE namespace = %s"
_KNOWN = "SELECT knowledge, habits FROM visitors WHERE namespace = %s AND key = %s"
_EVENTS = """
    DELETE FROM events WHERE key = %(key)s AND service = ANY(%(services)s) AND day = ANY(%(days)s)
    RETURNING service, day
"""
_FORGET = """
    DELETE FROM {} USING unnest(%s::integer[], %s::integer[]) AS touched (service, day)
    WHERE {}.service = touched.service AND {}.day = touched.day
"""
_TOMBSTONE = "INSERT INTO tombstones VALUES (%s, %s, %s)"
_DISPATCHES = """
    DELETE FROM dispatches WHERE namespace = %s AND key = %s RETURNING service, campaign, state, reason
"""
_COUNT_DISPATCHES = """
    INSERT INTO erased_dispatches VALUES (%s, %s, %s, %s, 1)
    ON CONFLICT (service, campaign, state, reason) DO UPDATE SET number = erased_dispatches.number + 1
"""


def erase(
    connection: Connection, namespace: str, key: str, hashes: Sequence[bytes], time_us: int
) -> dict[str, int]:
    """Delete all of a visitor, leave a tombstone (`hashes`: newest first) and give the rows gone by table."""
    person = namespace, key
    with connection.pipeline():
        connection.execute("BEGIN")
        connection.execute(locks.HISTORY.encode())
        made = connection.execute(preferences.MAKE, person)  # meets whoever is just making the profile
        services = connection.execute(_SERVICES, (namespace,))
        known = connection.execute(_KNOWN, person, binary=True)
        before = connection.execute(preferences.ERASED, (namespace, hashes))
    erased_us = max(time_us, before.fetchone()[0] or 0)  # type: ignore[index]
    asked = {"key": key, "services": [id_ for (id_,) in services.fetchall()]}
    chronicle, habits = _known(known.fetchone())
    leaving = Tastes()
    leaving.forget(namespace, habits)
    days = list(range(chronicle.days[0], chronicle.days[1] + 1))
    arrivals = [(service, presence.first_day, key) for service, presence in chronicle.presence.items()]
    rows = connection.execute(_EVENTS, {**asked, "days": days}).fetchall() if days else []
    dispatches = erase_dispatches(connection, namespace, key)
    with connection.pipeline():
        connection.execute("DELETE FROM tombstones WHERE namespace = %s AND hash = ANY(%s)", (namespace, hashes))
        connection.execute(_TOMBSTONE, (namespace, hashes[0], erased_us))
        _forget_rollups(connection, {(service, day) for service, day in rows})
        tastes.write(connection, leaving)
        if arrivals:
            connection.cursor().executemany(DEPART, arrivals)
        gone = {
            table: connection.execute(
                f"DELETE FROM {table} WHERE key = %(key)s AND service = ANY(%(services)s)".encode(), asked
            )
            for table in ("orders", "refunds")
        } | {
            table: connection.execute(f"DELETE FROM {table} WHERE namespace = %s AND key = %s".encode(), person)
            for table in ("numbers", "visitors", "profiles")
        }
        connection.execute("COMMIT")
    numbers = {table: cursor.rowcount for table, cursor in gone.items() if table != "numbers"}
    return {
        "events": len(rows),
        "arrivals": len(arrivals),
        "dispatches": dispatches,
        **numbers,
        "profiles": numbers["profiles"] - made.rowcount,
    }


def _known(row: tuple[bytes, bytes] | None) -> tuple[Chronicle, bytes]:
    return (Chronicle(), b"") if row is None else (decode_chronicle(row[0]), row[1])


def erase_dispatches(connection: Connection, namespace: str, key: str) -> int:
    """Delete a visitor's messages, keep them counted, and give their number; in an open transaction."""
    gone = connection.execute(_DISPATCHES, (namespace, key)).fetchall()
    ends = [(service, campaign, *end_of_erased(state, reason)) for service, campaign, state, reason in gone]
    if ends:
        connection.cursor().executemany(_COUNT_DISPATCHES, sorted(ends))
    return len(ends)


def _forget_rollups(connection: Connection, touched: set[ServiceDay]) -> None:
    """Mark the days of an erased visitor, and delete what was kept of them: it has his number."""
    mark_changed(connection, touched, 0)
    if touched:
        columns = columns_of(sorted(touched))
        for table in ("rolled_days", "rollups"):
            connection.execute(_FORGET.replace("{}", table).encode(), columns)


def erased_at(connection: Connection, namespace: str, hashes: Sequence[bytes]) -> int | None:
    """Give the time of the latest erasure, under whichever key."""
    row = connection.execute(preferences.ERASED, (namespace, hashes)).fetchone()
    return row[0] if row else None
