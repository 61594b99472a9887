"""Threads, asyncio tasks and processes on one visitor: preferences, orders and erasure at the same time."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from alias_middleware import Tracker
from tests.support.mingling import WAYS, Deed, Erasure, compare, erase
from tests.support.processes import finish, make_tracker, process, wait_until_ready
from tests.support.waiting import wait_until

SOME = 300
"""How many events are waited for."""
PROCESSES = [("threads", "a"), ("tasks", "b"), ("threads", "c"), ("tasks", "d")]

Met = TypeVar("Met")


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
def in_memory(tmp_path: Path) -> Iterator[Tracker]:
    """A tracker whose storage is this process's own."""
    made = make_tracker(tmp_path / "unused", storage="memory://", spool=tmp_path / "spool")
    yield made
    made.close()


def erase_often(tracker: Tracker, seed: int) -> Erasure:
    """Erase the visitor a few times while the others are at it; give the last time."""
    dice = random.Random(seed)
    pause = threading.Event()
    last = erase(tracker)
    for _ in range(4):
        pause.wait(dice.uniform(0.02, 0.3))
        last = erase(tracker)
    go_on(tracker)
    return last


def go_on(tracker: Tracker) -> None:
    """Wait until some more was done."""
    before = seen(tracker)
    wait_until(lambda: seen(tracker) > before + SOME, f"{SOME} more events are there")


def seen(tracker: Tracker) -> int:
    number = tracker.counters()["seen"]
    assert isinstance(number, int)
    return number


def all_do(database: Path, folder: Path, timeout: float, meanwhile: Callable[[], Met]) -> Met:
    """Start the processes, let them go at once, and wait for them."""
    with ExitStack() as stack:
        started = [
            stack.enter_context(process("mingle", database, way, name, timeout, folder / name))
            for way, name in PROCESSES
        ]
        for one in started:
            wait_until_ready(one)
        for one in started:
            assert one.stdin is not None
            one.stdin.write("\n")
            one.stdin.flush()
        met = meanwhile()
        for one in started:
            finish(one)
    return met


def deeds_in(folder: Path) -> list[Deed]:
    return [Deed(*deed) for _, name in PROCESSES for deed in json.loads((folder / name).read_text())]


@pytest.mark.parametrize("timeout", [pytest.param(5.0, id="in time"), pytest.param(0.001, id="by the spool")])
def test_processes_lose_nothing_of_one_visitor(
    timeout: float, database: Path, tracker: Tracker, tmp_path: Path
) -> None:
    """Everything that threads and tasks of four processes did at once is there, once; nobody waits for ever."""
    all_do(database, tmp_path, timeout, partial(go_on, tracker))
    deeds = deeds_in(tmp_path)
    assert compare(tracker, deeds) == len(deeds) > SOME


@pytest.mark.parametrize("timeout", [pytest.param(5.0, id="in time"), pytest.param(0.001, id="by the spool")])
def test_nothing_comes_back_after_an_erasure(
    timeout: float, database: Path, tracker: Tracker, tmp_path: Path
) -> None:
    """While he is erased again and again: what began before the last time is gone, what began after it stays."""
    last = all_do(database, tmp_path, timeout, partial(erase_often, tracker, 3))
    deeds = deeds_in(tmp_path)
    assert SOME / 4 < compare(tracker, deeds, last) < len(deeds)


@pytest.mark.parametrize("erased", [False, True])
def test_threads_and_tasks_of_one_process(in_memory: Tracker, erased: bool) -> None:
    """The same within one process, whose storage is memory."""
    with ThreadPoolExecutor(len(PROCESSES)) as pool:
        ending = threading.Event()
        running = [pool.submit(WAYS[way], in_memory, name, lambda: not ending.is_set()) for way, name in PROCESSES]
        last = erase_often(in_memory, 4) if erased else None
        go_on(in_memory)
        ending.set()
        deeds = [deed for one in running for deed in one.result(60)]
    found = compare(in_memory, deeds, last)
    assert erased or found == len(deeds)
