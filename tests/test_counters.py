"""Counters of one process: exact under threads, taken once."""

from __future__ import annotations

import threading

from alias_middleware.counters import Counters


def test_what_was_taken_is_gone() -> None:
    """`take` gives everything once; `peek` gives a copy and takes nothing."""
    counters = Counters()
    counters.add("seen")
    counters.add("seen", 2)
    counters.add_unidentified(740_000)
    copy = counters.peek()
    copy["seen"] = 0
    assert counters.peek() == {"seen": 3}
    assert counters.take() == ({"seen": 3}, {740_000: 1})
    assert counters.take() == ({}, {})
    assert counters.peek() == {}


def test_what_could_not_be_handed_on_comes_back() -> None:
    """Given back, it is added to what was counted meanwhile."""
    counters = Counters()
    counters.add("seen")
    counters.add_unidentified(740_000)
    taken = counters.take()
    counters.add("seen")
    counters.add_unidentified(740_000)
    counters.give_back(*taken)
    assert counters.take() == ({"seen": 2}, {740_000: 2})


def test_threads_lose_nothing() -> None:
    """Eight threads count while another takes: nothing is lost and nothing twice."""
    counters = Counters()
    total: dict[str, int] = {}
    days = 0
    done = threading.Event()

    def count() -> None:
        for _ in range(5_000):
            counters.add("seen")
            counters.add("operations", 2)
            counters.add_unidentified(740_000)

    def take() -> None:
        nonlocal days
        while True:
            last = done.is_set()
            counts, unidentified = counters.take()
            for name, number in counts.items():
                total[name] = total.get(name, 0) + number
            days += sum(unidentified.values())
            if last:
                return

    threads = [threading.Thread(target=count) for _ in range(8)]
    taker = threading.Thread(target=take)
    for thread in (taker, *threads):
        thread.start()
    for thread in threads:
        thread.join(30)
    done.set()
    taker.join(30)
    assert (total, days) == ({"seen": 40_000, "operations": 80_000}, 40_000)
