"""A site whose PostgreSQL is down, silent, read-only, crowded or killed: it answers in time, and all adds up."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.faults.load import Clients, Reckoning, mixed, reckon, wait_for
from tests.support.postgresql import PostgreSQLServer, debian_programs, postgresql_server
from tests.support.processes import make_tracker, process, wait_until_ready

KEYS = ["a key of this site that is long"]
BUDGET = 0.25
LASTS = 1.5

Strike = Callable[[PostgreSQLServer], AbstractContextManager[None]]


@contextmanager
def down(server: PostgreSQLServer) -> Iterator[None]:
    """It is stopped and started again."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def silent(server: PostgreSQLServer) -> Iterator[None]:
    """Every process of it is stopped in its tracks; connections stay open."""
    with server.frozen():
        yield


@contextmanager
def read_only(server: PostgreSQLServer) -> Iterator[None]:
    """It changes nothing for anybody."""
    with server.read_only():
        yield


@contextmanager
def crowded(server: PostgreSQLServer) -> Iterator[None]:
    """It throws us out, and others take every place."""
    with ExitStack() as stack:
        server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'alias-middleware'"
        )
        for _ in range(60):
            try:
                other = stack.enter_context(psycopg.connect(server.url()))
            except psycopg.OperationalError:
                break
            other.autocommit = True
        yield


@contextmanager
def killed(server: PostgreSQLServer) -> Iterator[None]:
    """Every process of it dies at once, and it recovers from its log; three times."""
    for _ in range(3):
        server.kill()
        time.sleep(0.1)
        server.start()
    yield


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQLServer]:
    """A server that nobody else uses."""
    with postgresql_server(debian_programs()) as server:
        yield server


def suffer(strike: Strike, server: PostgreSQLServer, folder: Path, edge: str) -> Reckoning:
    """Serve a site, let the disaster come over its storage, mend it, let it be browsed on, and reckon up."""
    settings = {
        "storage": server.url(schema=f"{strike.__name__}_{edge}"),
        "spool": str(folder / "spool"),
        "secret_keys": KEYS,
        "storage_timeout": BUDGET,
    }
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        number = listener.fileno()
        site = process(edge, "unused", number, json.dumps(settings), inherit=(number,))
        wait_until_ready(stack.enter_context(site))
        phones = mixed(listener.getsockname()[1], clients=3)
        try:
            _browse_through(strike(server), phones)
        finally:
            phones.stop()
        tracker = make_tracker("unused", **{**settings, "writer": "external"})
        stack.callback(tracker.close)
        wait_for(lambda: tracker.counters()["seen"] >= phones.brought())  # type: ignore[operator]
        return reckon(tracker, phones)


def _browse_through(disaster: AbstractContextManager[None], phones: Clients) -> None:
    phones.served(100)
    with disaster:
        end = time.monotonic() + LASTS
        phones.served(20)
        wait_for(lambda: time.monotonic() > end)
    phones.served(100)


@pytest.mark.parametrize("edge", ["serve_asgi", "serve_wsgi"])
@pytest.mark.parametrize("strike", [down, silent, read_only, crowded, killed], ids=lambda strike: strike.__name__)
def test_the_site_goes_on(strike: Strike, edge: str, server: PostgreSQLServer, tmp_path: Path) -> None:
    """Every page is answered; what was acknowledged is stored once; it recovers without a restart."""
    found = suffer(strike, server, tmp_path, edge)
    assert (found.lost, found.doubled, found.invented, found.unanswered) == (0, 0, 0, 0), found
    assert found.slowest < 2, found
    assert found.dropped == 0
