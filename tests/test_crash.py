"""What real processes leave behind when they are killed: nothing is lost, nothing counted twice.

Servers that are killed under load are in `tests.faults`.
"""

from __future__ import annotations

import random
import socket
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from alias_middleware import Tracker
from tests.faults.load import Clients, assert_balanced, stored_paths
from tests.support.processes import ALIAS, finish, make_tracker, process, wait_until_ready
from tests.support.waiting import PATIENCE, wait_until


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "alias.db"


@pytest.fixture
def tracker(database: Path) -> Iterator[Tracker]:
    """A tracker on the files that the processes use."""
    made = make_tracker(database, writer="external")
    yield made
    made.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that outlives the servers which accept on it."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as made:
        yield made


def test_a_flush_waits_for_the_process_that_is_the_writer(
    database: Path, tracker: Tracker, listener: socket.socket
) -> None:
    """Another process holds the lock; what was recorded before is stored when `flush` returns."""
    with process("serve_asgi", database, listener.fileno(), inherit=(listener.fileno(),)) as started:
        wait_until_ready(started)
        with Clients(listener.getsockname()[1]) as clients:
            clients.served(20)
            wait_until(lambda: not tracker.drain(), "the other process is the writer")
            clients.served(100)
        assert tracker.flush(PATIENCE)
        assert stored_paths(tracker) == Counter(clients.acknowledged)


@pytest.mark.once
def test_a_drainer_killed_again_and_again_loses_and_doubles_nothing(database: Path, tracker: Tracker) -> None:
    """Others append all the while; what a killed drainer had begun, the next one takes up."""
    dice = random.Random(2)
    with ExitStack() as stack:
        appenders = [stack.enter_context(process("append", database)) for _ in range(2)]
        for appender in appenders:
            wait_until_ready(appender)
        for _ in range(8):
            with process("drain", database) as drainer:
                wait_until_ready(drainer)
                time.sleep(dice.uniform(0, 0.1))
                drainer.kill()
                drainer.wait()
            assert_balanced(tracker.counters())
        recorded = sum(finish(appender) for appender in appenders)
    assert tracker.flush(PATIENCE)
    counters = tracker.counters()
    assert recorded > 500
    assert (counters["seen"], counters["stored"], counters["spooled"]) == (recorded, recorded, 0)
    visitor = tracker.visitor(ALIAS)
    assert len(visitor.history(limit=1_000_000)) == recorded
    assert visitor.profile["shared"] == counters["preferences_deferred"] == recorded


@pytest.mark.once
@pytest.mark.parametrize(
    "timeout", [pytest.param(5.0, id="each in time"), pytest.param(0.001, id="many by way of the spool")]
)
def test_concurrent_field_operations_lose_nothing(timeout: float, database: Path, tracker: Tracker) -> None:
    """16 processes increment one field 500 times each, and set one of their own each time."""
    processes, times = 16, 500
    with ExitStack() as stack:
        started = [
            stack.enter_context(process("increment", database, f"own-{number}", times, timeout))
            for number in range(processes)
        ]
        for one in started:
            wait_until_ready(one)
        assert sum(finish_together(started)) == processes * times
    assert tracker.flush(PATIENCE)
    profile = tracker.visitor(ALIAS).profile
    assert profile["shared"] == processes * times
    assert {name: profile[name] for name in profile if name != "shared"} == {
        f"own-{number}": times - 1 for number in range(processes)
    }
    counters = tracker.counters()
    assert "preferences_lost" not in counters
    assert bool(counters.get("preferences_deferred")) is (timeout < 1)


def finish_together(started: list[subprocess.Popen[str]]) -> list[int]:
    """Let processes that wait for their stdin go at once, and wait for them."""
    for one in started:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    return [finish(one) for one in started]


def test_the_living_drain_what_the_dead_left(database: Path, tracker: Tracker) -> None:
    """A process killed right after recording leaves its spool to whoever lives on."""
    for _ in range(2):
        with process("die", database, 50) as started:
            assert started.wait(PATIENCE) == -9
    assert tracker.counters()["spooled"] == 100
    assert tracker.flush(PATIENCE)
    assert tracker.counters()["stored"] == 100
    assert [name.suffix for name in tracker.storage.spool_folder.iterdir()] == [".lock"]  # type: ignore[union-attr]


def test_forks_under_load_lose_and_double_nothing(database: Path, tracker: Tracker) -> None:
    """Children forked in the middle of their parent's recording record to segments of their own."""
    with process("fork", database, 8, 50) as started:
        recorded = finish(started)
    assert tracker.flush(PATIENCE)
    counters = tracker.counters()
    assert (counters["seen"], counters["stored"]) == (recorded, recorded)


def test_clients_that_hang_up_harm_nobody(database: Path, tracker: Tracker, listener: socket.socket) -> None:
    """A page whose client is gone is recorded once or not at all; the others' are recorded as ever."""
    port = listener.getsockname()[1]
    with process("serve_asgi", database, listener.fileno(), inherit=(listener.fileno(),)) as started:
        wait_until_ready(started)
        with Clients(port) as clients:
            for number in range(60):
                hang_up(port, f"/slow/{number}", b"" if number % 2 else b"\r\n")
            clients.served(100)
        started.terminate()
        started.wait(PATIENCE)
    assert tracker.flush(PATIENCE)
    stored = stored_paths(tracker)
    assert not clients.unanswered
    assert clients.acknowledged <= stored.keys()
    assert set(stored.values()) == {1}
    assert "errors" not in tracker.counters()


def hang_up(port: int, path: str, end: bytes) -> None:
    """Send a request, or most of one, and reset the connection."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: site\r\nwap-network-info: mUserAlias:{ALIAS}\r\n"
        connection.sendall(head.encode() + end)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
