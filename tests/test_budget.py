"""The time budget of a storage that may block: what is waited for, for how long, and by how many threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from alias_middleware.budget import Budgeted, Threads
from alias_middleware.errors import StorageUnavailable
from alias_middleware.profile import Operation
from alias_middleware.testing.histories import KEY, NEWS, change, instant
from tests.support.storages import BlackHole
from tests.support.waiting import wait_until

SPACE = NEWS.namespace
OTHER = "690000000001"
SHORT = 0.02
ENOUGH = 0.3
"""Seconds in which a storage in memory answers also on a machine that does other things."""
LONG = 30.0


class Watch:
    """A clock that stands still until it is set, in microseconds."""

    def __init__(self) -> None:
        self.now_us = instant("2026-03-02T12:00")

    def __call__(self) -> int:
        return self.now_us


@pytest.fixture
def threads() -> Iterator[Threads]:
    made = Threads(2)
    yield made
    made.close()


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """What work may wait for; it comes at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def storage() -> Iterator[BlackHole]:
    hole = BlackHole()
    yield hole
    hole.open.set()


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def budgeted(storage: BlackHole, watch: Watch) -> Iterator[Budgeted]:
    made = Budgeted(storage, seconds=ENOUGH, now=watch)
    yield made
    made.close()


def ours() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "alias-middleware-storage"}


def fail() -> None:
    raise LookupError("the work's own")


def time_out() -> None:
    raise TimeoutError("the work's own")


def test_work_is_done_elsewhere(threads: Threads) -> None:
    """It runs on a daemon thread, and what it gives is given."""
    thread = threads.do(threading.current_thread, LONG)
    assert thread is not threading.current_thread()
    assert thread.daemon


@pytest.mark.parametrize(("work", "kind"), [(fail, LookupError), (time_out, TimeoutError)])
def test_its_error_is_raised(threads: Threads, work: Callable[[], None], kind: type[Exception]) -> None:
    """As it is, even where it looks like our own."""
    with pytest.raises(kind, match="the work's own"):
        threads.do(work, LONG)


def test_one_thread_serves_who_comes_one_after_the_other(threads: Threads) -> None:
    """No second one begins while the first has nothing to do."""
    before = ours()
    threads.do(int, LONG)
    wait_until(lambda: threads._idle._value == 1, "the thread is idle")
    threads.do(int, LONG)
    assert len(ours() - before) == 1


def test_what_hangs_is_left_behind(threads: Threads, stuck: threading.Event) -> None:
    """The error says for how long it was waited; another thread does the next work."""
    with pytest.raises(StorageUnavailable, match=r"no answer within 0\.02 s") as raised:
        threads.do(stuck.wait, SHORT)
    assert raised.value.reason == "timeout"
    assert threads.do(lambda: 7, LONG) == 7


def test_the_stuck_are_bounded_and_what_never_began_never_does(threads: Threads, stuck: threading.Event) -> None:
    """With both threads stuck no third begins: work waits for its time, and is not done later."""
    before = ours()
    done: list[int] = []
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            threads.do(stuck.wait, SHORT)
    for number in range(3):
        with pytest.raises(StorageUnavailable):
            threads.do(lambda number=number: done.append(number), SHORT)  # type: ignore[misc]
    assert len(ours() - before) == 2
    stuck.set()
    assert threads.do(lambda: "served", LONG) == "served"
    assert done == []


def test_without_a_thread_to_be_had_it_is_done_in_place(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of the interpreter no thread starts any more."""

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert threads.do(threading.current_thread, LONG) is threading.current_thread()


def test_closed_threads_end(threads: Threads) -> None:
    """Those with nothing to do at once; later work begins new ones."""
    before = ours()
    threads.do(int, LONG)
    threads.close()
    wait_until(lambda: not ours() - before, "the thread has ended")
    assert threads.do(int, LONG) == 0


@pytest.mark.parametrize(
    "verb",
    [
        pytest.param(lambda storage: storage.read_profile(SPACE, KEY), id="read_profile"),
        pytest.param(lambda storage: storage.read_knowledge(SPACE, KEY), id="read_knowledge"),
        pytest.param(lambda storage: storage.erased_at(SPACE, KEY), id="erased_at"),
        pytest.param(lambda storage: storage.history(SPACE, KEY, 9), id="history"),
        pytest.param(
            lambda storage: storage.change_profile(
                SPACE, change(Operation("set", "preferences", "n", 1), at="2026-03-02T12:00"), timeout=ENOUGH
            ),
            id="change_profile",
        ),
    ],
)
def test_every_verb_is_answered_in_time(
    budgeted: Budgeted, storage: BlackHole, watch: Watch, verb: Callable[[object], object]
) -> None:
    """As the storage itself does, or with an error; after a miss the visitor is not waited for, for a second."""
    assert verb(budgeted) == verb(storage)
    asked = len(storage.asked)
    storage.open.clear()
    for _ in range(3):
        with pytest.raises(StorageUnavailable) as raised:
            verb(budgeted)
        assert raised.value.reason == "timeout"
    assert len(storage.asked) == asked + 1
    with pytest.raises(StorageUnavailable):
        budgeted.read_profile(SPACE, OTHER)
    assert len(storage.asked) == asked + 2
    storage.open.set()
    watch.now_us += 1_000_000
    assert budgeted.erased_at(SPACE, KEY) is None


def test_counters_are_waited_for_no_longer(budgeted: Budgeted, storage: BlackHole) -> None:
    """The ledger is nobody's in particular."""
    assert budgeted.ledger() == storage.ledger()
    storage.open.clear()
    with pytest.raises(StorageUnavailable):
        budgeted.ledger()


def test_a_clock_stepped_back_lets_nobody_down_for_long(
    budgeted: Budgeted, storage: BlackHole, watch: Watch
) -> None:
    """A miss in the future is none."""
    storage.open.clear()
    with pytest.raises(StorageUnavailable):
        budgeted.read_profile(SPACE, KEY)
    storage.open.set()
    watch.now_us -= 3_600_000_000
    assert budgeted.read_profile(SPACE, KEY) == storage.read_profile(SPACE, KEY)
