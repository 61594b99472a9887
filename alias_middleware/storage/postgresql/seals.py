"""Sealed aliases in PostgreSQL: one row for each reason to keep one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import Cursor

from alias_middleware.identity import stored_part
from alias_middleware.sealing import Seal, fold
from alias_middleware.storage.base import LateSealing
from alias_middleware.storage.postgresql import preferences
from alias_middleware.storage.postgresql.pool import Connection

_HELD = "SELECT why, time_us, until_us, sealed FROM sealed_aliases WHERE namespace = %s AND key = %s"
_KEEP = """
    INSERT INTO sealed_aliases VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (namespace, key, why) DO UPDATE SET time_us = excluded.time_us, until_us = excluded.until_us,
        sealed = excluded.sealed
"""
_OF_MANY = """
    SELECT key, time_us, until_us, sealed FROM sealed_aliases WHERE namespace = %s AND key = ANY(%s)
    ORDER BY key, why
"""
_FORGET = "DELETE FROM sealed_aliases WHERE namespace = %s AND key = %s"
ENDED = "SELECT count(*) FROM sealed_aliases WHERE namespace = %s AND until_us <= %s"
FORGET_ENDED = "DELETE FROM sealed_aliases WHERE namespace = %s AND until_us <= %s"


def keep(connection: Connection, sealings: Iterable[LateSealing], hashes: preferences.Hashes) -> None:
    """Take over what began and what ended, in the open transaction; nothing of before a visitor's erasure."""
    for namespace, said, _ in sorted(sealings, key=_time):
        person = namespace, stored_part(said.key)
        erased = connection.execute(preferences.ERASED, (namespace, hashes(namespace, said.key))).fetchone()
        if said.begun_us <= ((erased and erased[0]) or 0):
            continue
        rows = connection.execute(_HELD, person, binary=True).fetchall()
        held = {why: Seal(*seal) for why, *seal in rows}
        changed = [(*person, why, *seal) for why, seal in fold(held, said).items() if held.get(why) != seal]
        if changed:
            connection.cursor().executemany(_KEEP, changed)


def _time(late: LateSealing) -> int:
    return late.sealing.time_us


def ask(connection: Connection, namespace: str, keys: Sequence[str]) -> Cursor[Any]:
    """Ask for the seals of some visitors."""
    return connection.execute(_OF_MANY, (namespace, list(keys)), binary=True)


def answer(cursor: Cursor[Any]) -> dict[str, list[Seal]]:
    """Give the seals that were asked for, by visitor key."""
    found: dict[str, list[Seal]] = {}
    for key, *seal in cursor.fetchall():
        found.setdefault(key, []).append(Seal(*seal))
    return found


def forget(connection: Connection, namespace: str, key: str) -> Cursor[Any]:
    """Delete a visitor's sealed aliases; the cursor counts them."""
    return connection.execute(_FORGET, (namespace, key))
