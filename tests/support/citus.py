"""A Citus cluster for the tests: one that is there, or a small one of their own from an installed Citus."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from alias_middleware.storage.postgresql import PostgreSQLStorage
from tests.support.postgresql import CITUS_PG_CONFIG, CITUS_URL, KEY, PostgreSQLServer, postgresql_server

WORKERS = 2
SHARDS = 4
_OPTIONS = {
    "shared_preload_libraries": "citus",
    "citus.local_hostname": "127.0.0.1",
    "citus.shard_count": str(SHARDS),
    "citus.recover_2pc_interval": "1s",
    "max_connections": "200",
    "max_prepared_transactions": "200",
}


class Cluster:
    """A coordinator, which is talked to, and its workers if the tests have started them."""

    def __init__(self, url: str, workers: Sequence[PostgreSQLServer] = ()) -> None:
        """Talk to the coordinator of a URL."""
        self._url = url
        self.workers = workers

    def url(self, **words: str) -> str:
        """Give the URL of the database, with words of a storage's own."""
        query = "&".join(f"{name}={value}" for name, value in words.items())
        return f"{self._url}{'&' if '?' in self._url else '?'}{query}" if query else self._url

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """Run a statement and give its rows."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def spread(self, schema: str) -> None:
        """Make a storage's tables in a schema of their own, spread over the machines."""
        storage = PostgreSQLStorage(self.url(schema=schema), secret_keys=(KEY,))
        storage.migrate(distributed=True)
        storage.close()

    def drop(self, schema: str) -> None:
        """Delete what a test made: a cluster with many tables becomes slow."""
        self.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def citus_programs() -> Path:
    """Give the folder of the programs of the PostgreSQL that Citus is installed in."""
    asked = [os.environ[CITUS_PG_CONFIG], "--bindir"]
    return Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())


@contextmanager
def citus_cluster(**options: str) -> Iterator[Cluster]:
    """Give the cluster that is there, or run one until the end of the block; `options` are its servers'."""
    if CITUS_URL in os.environ:
        yield Cluster(os.environ[CITUS_URL])
        return
    with ExitStack() as stack:
        servers = [
            stack.enter_context(postgresql_server(citus_programs(), **_OPTIONS | options))
            for _ in range(1 + WORKERS)
        ]
        for server in servers:
            server.sql("CREATE EXTENSION citus")
        coordinator, *workers = servers
        coordinator.sql("SELECT citus_set_coordinator_host('127.0.0.1', %s)", coordinator.port)
        for worker in workers:
            coordinator.sql("SELECT citus_add_node('127.0.0.1', %s)", worker.port)
        yield Cluster(coordinator.url(), workers)
