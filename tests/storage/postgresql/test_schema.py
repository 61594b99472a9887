"""The tables: what Citus needs of them, and how they come to be."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from alias_middleware.errors import StorageUnavailable
from alias_middleware.profile import StoredProfile
from alias_middleware.storage.postgresql import PostgreSQLStorage, citus, schema
from alias_middleware.storage.postgresql.pool import Connection
from tests.support.postgresql import KEY, PostgreSQLServer, schema_of

_UNIQUE = """
    SELECT c.relname, array_agg(a.attname::text)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
    WHERE n.nspname = %s AND i.indisunique GROUP BY c.relname, i.indexrelid
"""
_RELATIONS = """
    SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relkind = ANY(%s)
"""


def opened(server: PostgreSQLServer, folder: Path, **words: str) -> PostgreSQLStorage:
    return PostgreSQLStorage(server.url(schema=schema_of(folder), **words), secret_keys=(KEY,))


def relations(server: PostgreSQLServer, folder: Path, *kinds: str) -> set[str]:
    return {name for (name,) in server.sql(_RELATIONS, schema_of(folder), list(kinds))}


@pytest.fixture
def made(debian_postgresql: PostgreSQLServer, tmp_path: Path) -> PostgreSQLServer:
    """A server with the tables of this version."""
    storage = opened(debian_postgresql, tmp_path)
    storage.migrate()
    return debian_postgresql


def test_every_unique_key_of_truth_contains_the_visitor(made: PostgreSQLServer, tmp_path: Path) -> None:
    """Citus refuses a unique key without the column that rows are spread by: the visitor key, or its hash."""
    found = made.sql(_UNIQUE, schema_of(tmp_path))
    keys = {table: columns for table, columns in found if table in citus.DISTRIBUTED}
    assert keys.keys() == citus.DISTRIBUTED.keys()
    for table, columns in found:
        if table in citus.DISTRIBUTED:
            assert citus.DISTRIBUTED[table][0] in columns, table


def test_nothing_counts_on_a_sequence(made: PostgreSQLServer, tmp_path: Path) -> None:
    """A global sequence is what machines cannot share."""
    assert relations(made, tmp_path, "S") == set()


def test_every_table_has_its_place_in_a_cluster(made: PostgreSQLServer, tmp_path: Path) -> None:
    """A new table must be spread by visitor or held whole by every machine."""
    placed = {*citus.DISTRIBUTED, *citus.REFERENCE}
    assert relations(made, tmp_path, "r", "p") == placed
    said = " ".join(citus.distribution())
    assert all(f"('{table}'" in said for table in placed)


def test_rows_of_a_visitor_lie_together() -> None:
    """What is joined in a request or a batch is spread by one column, and beside each other."""
    beside = {table: other for table, (column, other) in citus.DISTRIBUTED.items() if column == "key"}
    assert beside.pop("profiles") == "none"
    assert set(beside.values()) == {"profiles"}


def test_tables_by_migrations_of_ones_own(debian_postgresql: PostgreSQLServer, tmp_path: Path) -> None:
    """With create_schema=false nothing is made; the error names the command; the printed statements do it."""
    storage = opened(debian_postgresql, tmp_path, create_schema="false")
    with pytest.raises(StorageUnavailable, match="alias-middleware migrate") as raised:
        storage.read_profile("portal", "k")
    assert raised.value.reason == "no_schema"
    assert relations(debian_postgresql, tmp_path, "r") == set()
    debian_postgresql.sql(";\n".join(storage.ddl()))
    assert storage.read_profile("portal", "k") == StoredProfile()
    assert storage.migrate() == 0
    storage.close()


def test_a_database_of_a_newer_version(made: PostgreSQLServer, tmp_path: Path) -> None:
    """It is left alone, by every call and by `migrate`."""
    made.sql(f"INSERT INTO {schema_of(tmp_path)}.migrations VALUES (99, now())")
    storage = opened(made, tmp_path)
    with pytest.raises(StorageUnavailable) as raised:
        storage.ledger()
    assert raised.value.reason == "newer"


def test_tables_may_take_longer_than_a_question(
    debian_postgresql: PostgreSQLServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes first to a slow server waits for the tables, and is then answered."""
    migrate = schema.migrate

    def slowly(connection: Connection, name: str) -> int:
        connection.execute("SELECT pg_sleep(1.1)")  # a profile is waited for one second
        return migrate(connection, name)

    monkeypatch.setattr(schema, "migrate", slowly)
    storage = opened(debian_postgresql, tmp_path)
    assert storage.read_profile("portal", "k") == StoredProfile()
    storage.close()


def test_processes_that_start_at_once(debian_postgresql: PostgreSQLServer, tmp_path: Path) -> None:
    """One makes the tables, the others wait for it; none fails."""
    storages = [opened(debian_postgresql, tmp_path) for _ in range(4)]
    threads = [threading.Thread(target=storage.ledger) for storage in storages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    versions = debian_postgresql.sql(f"SELECT version FROM {schema_of(tmp_path)}.migrations")
    assert [version for (version,) in versions] == list(range(1, len(schema.MIGRATIONS) + 1))
    for storage in storages:
        assert storage.ledger().counts == {}
        storage.close()
