"""Filling sealed SQLite files with check values and lasting keys, which both files have of their own.

The history file goes last: what it has is looked at, so that a copy that dies between the two does both again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from alias_middleware.storage.moving import PSEUDONYMS, Key, Part, Row
from alias_middleware.storage.sqlite import seal
from alias_middleware.storage.sqlite.connection import Connection
from alias_middleware.storage.sqlite.pseudonyms import forget_lasting

_PEOPLE = {"preferences": "profiles", "main": "visitors"}
"""Who has a lasting key in a file, by file, in the order in which they are filled."""


def put(connection: Connection, part: Part, rows: Sequence[Row]) -> int:
    """Keep check values in both files, or lasting keys in those that have the visitors; give how many are here."""
    here: set[Key] = set()
    for schema in _PEOPLE:
        with seal.lifted(connection, schema) as sql:
            if part is PSEUDONYMS:
                sql.executemany(f"INSERT OR REPLACE INTO {schema}.pseudonyms VALUES (?, ?)", rows)
            else:
                here |= _put_lasting(sql, schema, rows)
    return len(rows) if part is PSEUDONYMS else len(here)


def _put_lasting(sql: sqlite3.Connection, schema: str, rows: Sequence[Row]) -> set[Key]:
    known = f"SELECT 1 FROM {schema}.{_PEOPLE[schema]} WHERE namespace = ? AND key = ?"
    theirs = [row for row in rows if sql.execute(known, row[:2]).fetchone() is not None]
    sql.executemany(f"INSERT OR REPLACE INTO {schema}.lasting_keys VALUES (?, ?, ?)", theirs)
    return {row[:2] for row in theirs}


def drop(connection: Connection, part: Part, keys: Sequence[Key]) -> None:
    """Delete check values or lasting keys from both files."""
    for schema in _PEOPLE:
        with seal.lifted(connection, schema) as sql:
            if part is PSEUDONYMS:
                sql.executemany(f"DELETE FROM {schema}.pseudonyms WHERE namespace = ?", keys)
                continue
            for namespace, key in keys:
                forget_lasting(sql, schema, namespace, key)


def share_lasting(sql: sqlite3.Connection, schema: str, rows: Sequence[Row]) -> None:
    """Let a file that got visitors have their lasting keys where the other file has them, in the same transaction.

    A row of both is looked at in one file: that it is missing in this one would not be seen.
    """
    other = next(name for name in _PEOPLE if name != schema)
    sql.executemany(
        f"INSERT OR IGNORE INTO {schema}.lasting_keys "
        f"SELECT namespace, key, concealed FROM {other}.lasting_keys WHERE namespace = ? AND key = ?",
        [row[:2] for row in rows],
    )
