"""Many rows in one statement: all of them, by few statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from alias_middleware.storage.sqlite.rows import insert_alike, insert_rows, select_by_keys


class Noting(sqlite3.Connection):
    """A connection that notes what it is asked."""

    asked: set[str]

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if hasattr(self, "asked"):
            self.asked.add(sql)
        return super().execute(sql, parameters)


@pytest.fixture
def sql() -> Iterator[Noting]:
    connection = sqlite3.connect(":memory:", factory=Noting)
    connection.execute("CREATE TABLE t (a TEXT PRIMARY KEY, b)")
    connection.asked = set()
    yield connection
    connection.close()


@pytest.mark.parametrize("number", [0, 1, 2, 3, 511, 512, 513, 1500])
def test_all_rows_are_written_and_found(sql: Noting, number: int) -> None:
    """Each once, however many there are."""
    rows = [(str(key), key) for key in range(number)]
    insert_rows(sql, "t", rows)
    found = select_by_keys(sql, "SELECT a, b FROM t WHERE b < ? AND a IN", (number,), [key for key, _ in rows])
    assert sorted(found) == sorted(rows)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300])
def test_what_rows_have_alike_is_in_each(sql: Noting, number: int) -> None:
    """Numbers stay numbers and bytes bytes."""
    rows = [(str(key), key if key % 2 else b"%d" % key) for key in range(number)]
    sql.execute("ALTER TABLE t ADD COLUMN c")
    insert_alike(sql, "INSERT INTO t SELECT column1, column2, ? FROM", ("alike",), rows)
    assert sorted(sql.execute("SELECT * FROM t")) == sorted((*row, "alike") for row in rows)


def test_few_statements_do_for_any_number(sql: Noting) -> None:
    """A connection keeps each statement prepared: a hundred long ones would take tens of megabytes."""
    for number in range(1, 700, 3):
        keys = [f"{number}-{key}" for key in range(number)]
        insert_rows(sql, "t", [(key, 0) for key in keys])
        assert len(list(select_by_keys(sql, "SELECT a FROM t WHERE a IN", (), keys))) == number
    assert len(sql.asked) == 2 * 8
