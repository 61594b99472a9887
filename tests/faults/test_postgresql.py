"""A site whose PostgreSQL is down, silent, read-only, crowded or killed: it answers in time, and all adds up."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from click.testing import CliRunner

from alias_middleware.cli.commands import standalone
from alias_middleware.doctor import running
from alias_middleware.doctor.findings import Level
from tests.faults.load import Clients, Reckoning, mixed, reckon
from tests.support.postgresql import PostgreSQLServer, debian_programs, postgresql_server
from tests.support.processes import make_tracker, process, wait_until_ready
from tests.support.pulse import percentile
from tests.support.waiting import wait_until

KEYS = ["a key of this site that is long"]
BUDGET = 0.25
OVER = 0.02
"""How much later than the budget pages may be answered, seconds at the 99th percentile."""
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
def slow(server: PostgreSQLServer) -> Iterator[None]:
    """It answers, but each time long after anybody waits for it."""
    over = threading.Event()

    def hinder() -> None:
        while not over.wait(0.02):
            with server.frozen():
                over.wait(2 * BUDGET)

    hindrance = threading.Thread(target=hinder)
    hindrance.start()
    try:
        yield
    finally:
        over.set()
        hindrance.join()


@contextmanager
def read_only(server: PostgreSQLServer) -> Iterator[None]:
    """It changes nothing for anybody."""
    with server.read_only():
        yield


@contextmanager
def crowded(server: PostgreSQLServer) -> Iterator[None]:
    """It throws us out, and others take every place, also those that we were quick enough to take again."""
    ours = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'alias-middleware'"
    )
    with ExitStack() as stack:
        watch = stack.enter_context(psycopg.connect(server.url(), autocommit=True))
        alone = 0
        while alone < 2:
            _take_every_place(server, stack)
            (left,) = watch.execute(ours).fetchone()  # type: ignore[misc]
            alone = 0 if left else alone + 1
            time.sleep(0.02)
        yield


def _take_every_place(server: PostgreSQLServer, stack: ExitStack) -> None:
    with suppress(psycopg.OperationalError):
        while True:
            stack.enter_context(psycopg.connect(server.url(), autocommit=True))


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


class Suffered(NamedTuple):
    """What became of everything; how long pages took meanwhile; what was counted."""

    reckoning: Reckoning
    took: list[float]
    counters: dict[str, Any]


def suffer(disaster: AbstractContextManager[None], storage: str, folder: Path, edge: str) -> Suffered:
    """Serve a site, let a disaster come over its storage, mend it, let it be browsed on, and reckon up."""
    settings = {
        "storage": storage,
        "spool": str(folder / "spool"),
        "secret_keys": KEYS,
        "storage_timeout": BUDGET,
    }
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        number = listener.fileno()
        site = process(edge, "unused", number, json.dumps(settings), inherit=(number,))
        wait_until_ready(stack.enter_context(site))
        with mixed(listener.getsockname()[1], clients=3) as phones:
            took = _browse_through(disaster, phones)
        tracker = make_tracker("unused", **{**settings, "writer": "external"})
        stack.callback(tracker.close)
        wait_until(lambda: tracker.counters()["seen"] >= phones.brought(), "all is counted")  # type: ignore[operator]
        return Suffered(reckon(tracker, phones), took, tracker.counters())


def _browse_through(disaster: AbstractContextManager[None], phones: Clients) -> list[float]:
    phones.served(100)
    before = len(phones.took)
    with disaster:
        end = time.monotonic() + LASTS
        phones.served(20)
        wait_until(lambda: time.monotonic() > end, "it has lasted")
    phones.served(100)
    return phones.took[before:]


@pytest.mark.parametrize("edge", ["serve_asgi", "serve_wsgi"])
@pytest.mark.parametrize(
    "strike", [down, silent, slow, read_only, crowded, killed], ids=lambda strike: strike.__name__
)
def test_the_site_goes_on(strike: Strike, edge: str, server: PostgreSQLServer, tmp_path: Path) -> None:
    """Every page is answered in time; what was acknowledged is stored once; it recovers without a restart.

    The counters tell of it, and so does the doctor.
    """
    storage = server.url(schema=f"{strike.__name__}_{edge}")
    found, took, counters = suffer(strike(server), storage, tmp_path, edge)
    assert (found.lost, found.doubled, found.invented, found.unanswered) == (0, 0, 0, 0), found
    assert percentile(took, 0.99) <= BUDGET + OVER + found.late, found
    assert found.prompt, found
    assert found.dropped == 0
    assert counters["storage_failures"] >= 1
    assert counters["breaker_opened"] >= 1
    assert strike not in {silent, slow} or counters["storage_timeouts"] >= 3
    (told,) = running.budget(counters, BUDGET)
    assert told.level is Level.WARN
    assert f"breaker_opened {counters['breaker_opened']}" in told.measured


@pytest.mark.parametrize(
    ("strike", "said"),
    [
        pytest.param(down, "(down)", id="down"),
        pytest.param(silent, "(timeout)", id="silent"),
        pytest.param(crowded, "(too_many_connections)", id="crowded"),
    ],
)
def test_the_doctor_tells_what_is_wrong(
    strike: Strike, said: str, server: PostgreSQLServer, tmp_path: Path
) -> None:
    """`alias-middleware doctor --storage URL` ends soon, with the reason and an exit code; then all is well."""
    url = server.url(schema="doctor")
    command = ["doctor", "--storage", url, "--spool", str(tmp_path / "spool"), "--service", "sonneries"]
    command += ["--trusted-gateways", "127.0.0.1", "--wait", "0.2", "--json"]
    environment = {"ALIAS_SECRET_KEYS": KEYS[0]}
    with strike(server):
        ill = CliRunner().invoke(standalone(), command, env=environment)
    well = CliRunner().invoke(standalone(), command, env=environment)
    assert ill.exit_code == 1
    (finding,) = [each for each in json.loads(ill.stdout)["findings"] if each["check"] == "storage"]
    assert (finding["level"], said in finding["measured"]) == ("fail", True), finding
    assert "answers in" in well.stdout, [e for e in json.loads(well.stdout)["findings"] if e["check"] == "storage"]
