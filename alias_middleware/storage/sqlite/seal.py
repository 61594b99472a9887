"""The seal of the SQLite files: while it is on nothing in them changes, whoever tries, but for a copy.

Triggers do it, which are there for as long as the seal is: nobody else pays for it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from alias_middleware.errors import StorageUnavailable
from alias_middleware.storage.sqlite.connection import Connection

_TIMEOUT_SECONDS = 10.0
_VERBS = ("INSERT", "UPDATE", "DELETE")
_TABLES = """
    SELECT name FROM {schema}.sqlite_master
    WHERE type = 'table' AND name NOT IN ('seal', 'moves', 'moved_days') AND name NOT LIKE 'sqlite%'
"""
_TRIGGERS = "SELECT name FROM {schema}.sqlite_master WHERE type = 'trigger' AND name LIKE 'sealed%'"
_CLOSE = """
    CREATE TRIGGER IF NOT EXISTS {schema}.sealed_{table}_{verb} BEFORE {verb} ON {table}
    WHEN EXISTS (SELECT 1 FROM seal) BEGIN SELECT RAISE(ABORT, 'sealed'); END
"""


def is_sealed(sql: sqlite3.Connection) -> bool:
    """Tell whether a file is sealed: both are, or somebody died between the two and has to go on."""
    return any(_is_on(sql, schema) for schema in ("main", "preferences"))


def _is_on(sql: sqlite3.Connection, schema: str) -> bool:
    return sql.execute(f"SELECT 1 FROM {schema}.seal").fetchone() is not None


def put_on(sql: sqlite3.Connection, schema: str) -> None:
    """Seal one file, inside a transaction on it: what was begun has ended, since only one writes at a time."""
    for (table,) in sql.execute(_TABLES.format(schema=schema)).fetchall():
        for verb in _VERBS:
            sql.execute(_CLOSE.format(schema=schema, table=table, verb=verb))
    sql.execute(f"INSERT OR IGNORE INTO {schema}.seal VALUES (1)")


def take_off(sql: sqlite3.Connection, schema: str) -> None:
    """Open one file, inside a transaction on it."""
    sql.execute(f"DELETE FROM {schema}.seal")
    for (name,) in sql.execute(_TRIGGERS.format(schema=schema)).fetchall():
        sql.execute(f"DROP TRIGGER {schema}.{name}")


@contextmanager
def lifted(connection: Connection, schema: str) -> Iterator[sqlite3.Connection]:
    """Change a sealed file in one transaction, in which alone the seal is lifted.

    Raises:
        StorageUnavailable: it is not sealed, so somebody else may be changing it.
    """
    begin = connection.transaction if schema == "main" else connection.preferences_transaction
    with begin(_TIMEOUT_SECONDS) as sql, lifted_in(sql, schema):
        yield sql


@contextmanager
def lifted_in(sql: sqlite3.Connection, schema: str) -> Iterator[None]:
    """Lift a file's seal inside a transaction on it."""
    if not _is_on(sql, schema):
        raise StorageUnavailable("only a sealed storage is filled", reason="not_sealed")
    sql.execute(f"DELETE FROM {schema}.seal")
    yield
    sql.execute(f"INSERT INTO {schema}.seal VALUES (1)")
