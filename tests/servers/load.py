"""Light load on a server, and what it should have left behind."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from operator import add
from typing import NamedTuple

from alias_middleware import Tracker
from alias_middleware.events import PageView, Purchase
from tests.servers.launch import Served
from tests.support.waiting import PATIENCE

ALIAS = "314522927347"
NAMED = f"wap-network-info: mUserAlias:{ALIAS}"
FIELD = "clicks"
_VISITORS = 4
_ALL = 1_000_000

Act = tuple[str, str]


class Asked(NamedTuple):
    """What was asked of a server, and what of it was answered, each with how often."""

    tried: Counter[Act]
    answered: Counter[Act]

    def __add__(self, other: object) -> Asked:
        assert isinstance(other, Asked)
        return Asked(self.tried + other.tried, self.answered + other.answered)

    def note(self, act: Act, *, answered: bool = True) -> None:
        """Note what was done."""
        self.tried[act] += 1
        if answered:
            self.answered[act] += 1

    def add(self, served: Served, act: Act) -> bool:
        """Do something as the visitor; False when it was not answered."""
        try:
            answered = served.ask(*act, NAMED).status == 200
        except OSError:  # nobody listens
            answered = False
        self.note(act, answered=answered)
        return answered


def acts(who: str) -> Iterator[Act]:
    """What one visitor does, again and again: pages, a purchase, a preference."""
    number = 0
    while True:
        number += 1
        yield "GET", f"/page/{who}/{number}"
        yield "GET", f"/slow/2/{who}/{number}"
        yield "POST", f"/buy/{who}-{number}"
        yield "POST", f"/prefer/{FIELD}"


@contextmanager
def under_load(served: Served) -> Iterator[Callable[[], Asked]]:
    """Have a few visitors browse until the end of the block; the given function tells what they did so far.

    Who gets no answer goes on with something else a moment later.
    """
    leave = threading.Event()
    each = [Asked(Counter(), Counter()) for _ in range(_VISITORS)]

    def browse(who: int) -> None:
        for act in acts(str(who)):
            if leave.is_set():
                return
            if not each[who].add(served, act):
                leave.wait(0.1)

    threads = [threading.Thread(target=browse, args=(who,)) for who in range(_VISITORS)]
    for thread in threads:
        thread.start()
    try:
        yield lambda: reduce(add, each)
    finally:
        leave.set()
        for thread in threads:
            thread.join()


def check(tracker: Tracker, asked: Asked) -> None:
    """Compare what is stored with what was asked.

    All that was answered is there; nothing is there twice, and nothing that was not asked. What was asked but not
    answered may be there: the server may have died between the record and the answer.
    """
    assert tracker.flush(PATIENCE)
    stored = Counter(_stored(tracker))
    clicks = tracker.visitor(ALIAS).profile.get(FIELD, 0)
    assert isinstance(clicks, int)
    kept = Counter({act: number for act, number in asked.answered.items() if not _is_click(act)})
    tried = Counter({act: number for act, number in asked.tried.items() if not _is_click(act)})
    assert not kept - stored, "answered but not stored"
    assert not stored - tried, "stored but not asked, or twice"
    click = "POST", f"/prefer/{FIELD}"
    assert asked.answered[click] <= clicks <= asked.tried[click]
    check_balance(tracker)


def check_balance(tracker: Tracker) -> None:
    """Assert that every event is accounted for, once."""
    counters = tracker.counters()
    assert counters["seen"] == counters["stored"]
    assert counters["spooled"] == counters["deduplicated"] == 0
    assert counters["dropped"] == {}
    for trouble in ("errors", "torn", "storage_failures", "preferences_lost", "profile_unavailable"):
        assert trouble not in counters, counters


def _is_click(act: Act) -> bool:
    return act[1].startswith("/prefer/")


def _stored(tracker: Tracker) -> Iterator[Act]:
    for event in tracker.visitor(ALIAS).history(_ALL):
        if isinstance(event, PageView):
            yield "GET", event.path
        elif isinstance(event, Purchase):
            yield "POST", f"/buy/{event.order_id}"
