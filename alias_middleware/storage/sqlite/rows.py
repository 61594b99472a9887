"""Many rows in one statement: several times cheaper than row by row, and it holds the interpreter less."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

_ROWS_AT_ONCE = 500

Row = tuple[object, ...]


def insert_rows(sql: sqlite3.Connection, into: str, rows: Sequence[Row], *, conflict: str = "") -> None:
    """Insert rows of equal width into a table, 500 at a time, with an optional ON CONFLICT clause."""
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        marks = "(" + ",".join("?" * len(part[0])) + ")"
        values = ",".join([marks] * len(part))
        sql.execute(f"INSERT INTO {into} VALUES {values} {conflict}", list(chain.from_iterable(part)))


def select_by_keys(sql: sqlite3.Connection, query: str, first: Row, keys: Sequence[str]) -> Iterator[Any]:
    """Run a query that ends in `IN` for many keys, 500 at a time."""
    for start in range(0, len(keys), _ROWS_AT_ONCE):
        part = keys[start : start + _ROWS_AT_ONCE]
        marks = ",".join("?" * len(part))
        yield from sql.execute(f"{query} ({marks})", (*first, *part)).fetchall()
