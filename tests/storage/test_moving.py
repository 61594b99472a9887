"""What is moved between storages: no table of theirs is forgotten."""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path

from alias_middleware.storage.moving import EVENTS, PARTS, Part
from alias_middleware.storage.postgresql import PostgreSQLStorage
from alias_middleware.storage.postgresql import shapes as postgresql_shapes
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.storage.sqlite import shapes as sqlite_shapes
from alias_middleware.storage.sqlite.files import Files
from tests.support.postgresql import KEY, PostgreSQLServer, schema_of

_TABLE = re.compile(r"(?:\b(?:FROM|JOIN)|^)\s+(?:main\.|preferences\.)?([a-z_]+)", re.MULTILINE)


def _named(*statements: str) -> set[str]:
    """Give the tables that statements, or what follows their FROM, read from."""
    return {name for each in statements for name in _TABLE.findall(f" {each}")}


def test_every_table_of_the_sqlite_files_is_moved(tmp_path: Path) -> None:
    """A new table is read for some part, or it is said that it need not be; the file of roll-ups is derived."""
    with closing(SQLiteStorage(f"sqlite:///{tmp_path}/alias.db")) as storage:
        storage.ledger()
        files = Files(storage.path)
        with files.wrapped() as connection:
            found = {
                name
                for schema in ("main", "preferences")
                for (name,) in connection.sql.execute(
                    f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
                )
            }
        files.close()
    moved = _named(sqlite_shapes.EVENTS_OF_DAY, *(shape.select for shape in sqlite_shapes.SHAPES.values()))
    assert found - moved == sqlite_shapes.NOT_MOVED


def test_every_table_in_postgresql_is_moved(debian_postgresql: PostgreSQLServer, tmp_path: Path) -> None:
    """As in the files."""
    name = schema_of(tmp_path)
    with closing(PostgreSQLStorage(debian_postgresql.url(schema=name), secret_keys=(KEY,))) as storage:
        storage.ledger()
    tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = %s"
    found = {table for (table,) in debian_postgresql.sql(tables, name)}
    moved = _named(*(shape.origin for shape in postgresql_shapes.SHAPES.values()))
    assert found - moved == postgresql_shapes.NOT_MOVED


def test_no_column_is_forgotten(debian_postgresql: PostgreSQLServer, tmp_path: Path) -> None:
    """A table's columns are its part's, but for those by which a storage finds visitors, and what it works out."""
    name = schema_of(tmp_path)
    with closing(PostgreSQLStorage(debian_postgresql.url(schema=name), secret_keys=(KEY,))) as storage:
        storage.ledger()
    columns = "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = %s"
    found = defaultdict(set)
    for table, column in debian_postgresql.sql(columns, name):
        found[table].add(column)
    tables = {part: found[shape.table] for part, shape in postgresql_shapes.SHAPES.items()}
    own = {part.name: left for part in PARTS if (left := tables[part] - {*part.columns})}
    assert own == {"recorded_days": {"mark"}, "given_numbers": {"namespace", "highest"}}
    with closing(SQLiteStorage(f"sqlite:///{tmp_path}/alias.db")) as lite:
        lite.ledger()
        files = Files(lite.path)
        with files.wrapped() as connection:
            own = {part.name: left for part in PARTS if (left := _columns(connection.sql, part) - {*part.columns})}
        files.close()
    assert own == {
        "recorded_days": {"mark"},
        "visitors": {"id"},
        "events": {"visitor"},
        "orders": {"visitor", "amount"},
        "refunds": {"visitor"},
        "tombstones": {"unfinished_key"},
    }


def _columns(sql: sqlite3.Connection, part: Part) -> set[str]:
    """Give the columns of a part's table; none where it is put together of several."""
    schema, _, table = (sqlite_shapes.SHAPES[part].table if part is not EVENTS else "main.events").partition(".")
    if schema.startswith("("):
        return set()
    return {row[1] for row in sql.execute(f"PRAGMA {schema}.table_info({table})")}
