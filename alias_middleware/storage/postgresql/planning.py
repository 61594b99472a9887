"""Transactions that change history, and what PostgreSQL's planner cannot know before it has counted new tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alias_middleware.storage.postgresql import locks
from alias_middleware.storage.postgresql.pool import Connection

_OTHER_WAYS = ("seqscan", "hashjoin", "mergejoin")


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """Change history in a transaction that keeps batches and erasures out; what is raised leaves it open."""
    with connection.pipeline():
        connection.execute("BEGIN")
        locks.take_turn(connection)
        look_up(connection)
    yield
    connection.execute("COMMIT")


def look_up(connection: Connection) -> None:
    """Have the transaction look few rows of large tables up by their keys, whatever it has counted."""
    _allow(connection, "off")


def scan(connection: Connection) -> None:
    """Let the transaction's next questions read whole tables."""
    _allow(connection, "on")


def _allow(connection: Connection, other_ways: str) -> None:
    for way in _OTHER_WAYS:
        connection.execute(f"SET LOCAL enable_{way} = {other_ways}".encode())
