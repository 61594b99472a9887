"""Erasing a visitor from PostgreSQL: all of it, and the tombstone, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from alias_middleware.identity import stored_part
from alias_middleware.storage.changes import ServiceDay
from alias_middleware.storage.chronicle import Chronicle, decode_chronicle
from alias_middleware.storage.keyring import TOMBSTONE, Keyring
from alias_middleware.storage.outbox import end_of_erased
from alias_middleware.storage.postgresql import locks, preferences, seals, tastes
from alias_middleware.storage.postgresql.arrays import columns_of
from alias_middleware.storage.postgresql.frozen import thaw_visitor
from alias_middleware.storage.postgresql.marks import mark_changed
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.postgresql.pseudonyms import forget_lasting
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
_NUMBER = "SELECT number FROM numbers WHERE namespace = %s AND key = %s"
_ORDERS = "DELETE FROM orders WHERE key = %(key)s AND service = ANY(%(services)s)"
_REFUNDS = "DELETE FROM refunds WHERE key = %(key)s AND service = ANY(%(services)s)"
_VISITOR = "DELETE FROM visitors WHERE namespace = %s AND key = %s"
_FORGET_NUMBER = "DELETE FROM numbers WHERE namespace = %s AND key = %s"
_PROFILE = "DELETE FROM profiles WHERE namespace = %s AND key = %s"
_TOMBSTONE = "INSERT INTO tombstones VALUES (%s, %s, %s)"
_MARK = "INSERT INTO tombstones VALUES ('', %s, 0) ON CONFLICT DO NOTHING"
_MARKS = "SELECT hash FROM tombstones WHERE namespace = ''"
"""A row of nobody, whose namespace is empty, marks each key that tombstones are kept under."""
_DISPATCHES = """
    DELETE FROM dispatches WHERE namespace = %s AND key = %s RETURNING service, campaign, state, reason
"""
_COUNT_DISPATCHES = """
    INSERT INTO erased_dispatches VALUES (%s, %s, %s, %s, 1)
    ON CONFLICT (service, campaign, state, reason) DO UPDATE SET number = erased_dispatches.number + 1
"""


def check_keys(connection: Connection, keyring: Keyring) -> None:
    """Make sure that nobody who was erased is unknown to us.

    Raises:
        StorageCorrupt: a key that tombstones are kept under is not among ours.
    """
    keyring.check(mark for (mark,) in connection.execute(_MARKS, binary=True).fetchall())


def mark_key(connection: Connection, keyring: Keyring) -> None:
    """Mark the newest key as one that tombstones are kept under, in an open transaction."""
    connection.execute(_MARK, (keyring.marks()[-1],))


def erase(connection: Connection, namespace: str, key: str, keyring: Keyring, time_us: int) -> dict[str, int]:
    """Delete all of a visitor, leave a tombstone and give the rows gone by table."""
    person, hashes = (namespace, stored_part(key)), keyring.every(TOMBSTONE, namespace, key)
    with connection.pipeline():
        connection.execute("BEGIN")
        locks.take_turn(connection)
        made = connection.execute(preferences.MAKE, person)  # meets whoever is just making the profile
        before = connection.execute(preferences.ERASED, (namespace, hashes))
    erased_us = max(time_us, before.fetchone()[0] or 0)  # type: ignore[index]
    gone = forget(connection, *person, from_frozen=True)
    with connection.pipeline():
        connection.execute("DELETE FROM tombstones WHERE namespace = %s AND hash = ANY(%s)", (namespace, hashes))
        connection.execute(_TOMBSTONE, (namespace, hashes[0], erased_us))
        mark_key(connection, keyring)
        profiles = connection.execute(_PROFILE, person)
        connection.execute("COMMIT")
    return gone | {"profiles": profiles.rowcount - made.rowcount}


def forget(connection: Connection, namespace: str, key: str, *, from_frozen: bool) -> dict[str, int]:
    """Delete everything recorded of the visitor, and `from_frozen` days take him out; give the rows gone by table.

    Where he stays in frozen days nothing leads to his number any more. It needs an open transaction that keeps
    batches out.
    """
    person = namespace, key
    with connection.pipeline():
        found = connection.execute(_SERVICES, (namespace,))
        known = connection.execute(_KNOWN, person, binary=True)
        numbered = connection.execute(_NUMBER, person)
    services = [id_ for (id_,) in found.fetchall()]
    chronicle, habits = _known(known.fetchone())
    (number,) = numbered.fetchone() or (None,)
    leaving = Tastes()
    leaving.forget(namespace, habits)
    days = list(range(chronicle.days[0], chronicle.days[1] + 1))
    asked = {"key": key, "services": services, "days": days}
    events = connection.execute(_EVENTS, asked).fetchall() if days else []
    touched = set(events) | (thaw_visitor(connection, number, chronicle) if from_frozen else set())
    dispatches = erase_dispatches(connection, namespace, key)
    arrivals = [(service, presence.first_day, key) for service, presence in chronicle.presence.items()]
    with connection.pipeline():
        _forget_rollups(connection, touched)
        tastes.write(connection, leaving)
        if arrivals:
            connection.cursor().executemany(DEPART, arrivals)
        orders, refunds = connection.execute(_ORDERS, asked), connection.execute(_REFUNDS, asked)
        visitors = connection.execute(_VISITOR, person)
        sealed = seals.forget(connection, namespace, key)
        forget_lasting(connection, namespace, [key])
        connection.execute(_FORGET_NUMBER, person)
    return {
        "events": len(events),
        "orders": orders.rowcount,
        "refunds": refunds.rowcount,
        "arrivals": len(arrivals),
        "visitors": visitors.rowcount,
        "dispatches": dispatches,
        "sealed_aliases": sealed.rowcount,
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
