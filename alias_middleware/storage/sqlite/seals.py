"""Sealed aliases in the history file: one row for each reason to keep one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

from alias_middleware.identity import stored_part
from alias_middleware.sealing import Seal, fold
from alias_middleware.storage.base import LateSealing

SEALS = """
    CREATE TABLE sealed_aliases (
        namespace TEXT NOT NULL,
        key TEXT NOT NULL,
        why TEXT NOT NULL,
        time_us INTEGER NOT NULL,
        until_us INTEGER NOT NULL,
        sealed BLOB NOT NULL,
        PRIMARY KEY (namespace, key, why)
    ) WITHOUT ROWID;
"""
_HELD = "SELECT why, time_us, until_us, sealed FROM sealed_aliases WHERE namespace = ? AND key = ?"
_KEEP = "INSERT OR REPLACE INTO sealed_aliases VALUES (?, ?, ?, ?, ?, ?)"


def keep(
    sql: sqlite3.Connection, sealings: Iterable[LateSealing], tombstone: Callable[[str, str], int | None]
) -> None:
    """Take over what began and what ended, in the open transaction; nothing of before a visitor's erasure."""
    for namespace, said, _ in sorted(sealings, key=lambda late: late.sealing.time_us):
        if said.begun_us <= (tombstone(namespace, said.key) or 0):
            continue
        person = namespace, stored_part(said.key)
        held = {why: Seal(*seal) for why, *seal in sql.execute(_HELD, person)}
        sql.executemany(
            _KEEP, [(*person, why, *seal) for why, seal in fold(held, said).items() if held.get(why) != seal]
        )


def seals_of(sql: sqlite3.Connection, namespace: str, first: str, last: str) -> dict[str, list[Seal]]:
    """Give the seals of the visitors from one key to another."""
    found: dict[str, list[Seal]] = {}
    rows = sql.execute(
        "SELECT key, time_us, until_us, sealed FROM sealed_aliases WHERE namespace = ? AND key BETWEEN ? AND ? "
        "ORDER BY key, why",
        (namespace, first, last),
    )
    for key, *seal in rows:
        found.setdefault(key, []).append(Seal(*seal))
    return found


def forget_seals(sql: sqlite3.Connection, namespace: str, key: str) -> int:
    """Delete a visitor's sealed aliases, and give their number."""
    return sql.execute("DELETE FROM sealed_aliases WHERE namespace = ? AND key = ?", (namespace, key)).rowcount


def ended(sql: sqlite3.Connection, namespace: str, now_us: int) -> int:
    """Count what has come to its end."""
    query = "SELECT count(*) FROM sealed_aliases WHERE namespace = ? AND until_us <= ?"
    number: int = sql.execute(query, (namespace, now_us)).fetchone()[0]
    return number


def forget_ended(sql: sqlite3.Connection, namespace: str, now_us: int) -> int:
    """Delete what has come to its end, and give its number."""
    query = "DELETE FROM sealed_aliases WHERE namespace = ? AND until_us <= ?"
    return sql.execute(query, (namespace, now_us)).rowcount
