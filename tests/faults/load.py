"""Phones that browse a site while it is hurt, what they were answered, and what the storage must hold of it."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, NamedTuple

from alias_middleware import Tracker
from alias_middleware.events import PageView, Purchase
from alias_middleware.identity import visitor_key
from tests.support.processes import ALIAS, SERVICE
from tests.support.pulse import Pulse
from tests.support.waiting import PATIENCE, wait_until

HEADERS = {"wap-network-info": f"mUserAlias:{ALIAS}"}
CLIENTS = 6
_KINDS = ("page", "page", "buy", "page", "like", "page")


class Clients:
    """Phones that fetch pages until the end of the block, a path of its own each, and note what came of each."""

    def __init__(self, port: int, *, kinds: tuple[str, ...] = ("page",), clients: int = CLIENTS) -> None:
        self.acknowledged: set[str] = set()
        self.unanswered: set[str] = set()
        self.slowest = 0.0
        """The longest that an answered page took, seconds."""
        self.took: list[float] = []
        """How long each answered page took, seconds."""
        self._port = port
        self._kinds = kinds
        self._stopping = threading.Event()
        self._numbers = count()
        self._pulse = Pulse()
        self._pool = ThreadPoolExecutor(clients)
        self._loops = [self._pool.submit(self._fetch_all) for _ in range(clients)]

    def __enter__(self) -> Clients:
        self._pulse.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stopping.set()
        self._pulse.__exit__(*raised)
        self._pool.shutdown()
        for loop in self._loops:
            loop.result()

    @property
    def late(self) -> float:
        """How much later a page may be for the machine's sake, seconds."""
        return self._pulse.late

    def _fetch_all(self) -> None:
        while not self._stopping.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
            try:
                self._fetch_over(connection)
            finally:
                connection.close()

    def _fetch_over(self, connection: http.client.HTTPConnection) -> None:
        while not self._stopping.is_set():
            number = next(self._numbers)
            path = f"/{self._kinds[number % len(self._kinds)]}/{number}"
            begun = time.monotonic()
            try:
                connection.request("GET", path, headers=HEADERS)
                answer = connection.getresponse()
                whole = answer.status == 200 and answer.read() == b"ok"
            except (OSError, http.client.HTTPException):
                self.unanswered.add(path)
                return
            (self.acknowledged if whole else self.unanswered).add(path)
            self.took.append(time.monotonic() - begun)
            self.slowest = max(self.slowest, self.took[-1])

    def served(self, more: int) -> None:
        """Wait until so many more pages were served."""
        goal = len(self.acknowledged) + more
        wait_until(lambda: len(self.acknowledged) >= goal, f"{more} more pages are served")

    def brought(self) -> int:
        """How many events the acknowledged pages made, at least."""
        return len(self.acknowledged) + sum(path.startswith("/buy/") for path in self.acknowledged)


def mixed(port: int, clients: int = CLIENTS) -> Clients:
    """Phones that also buy and like."""
    return Clients(port, kinds=_KINDS, clients=clients)


def stored_paths(tracker: Tracker) -> Counter[str]:
    """How often each page view is stored."""
    return Counter(event.path for event in _history(tracker) if isinstance(event, PageView))


def _history(tracker: Tracker) -> list[Any]:
    return tracker.storage.history(SERVICE, visitor_key(ALIAS, SERVICE, ()), 10_000_000)


def assert_balanced(counters: dict[str, Any]) -> None:
    """Every event that was seen is accounted for, once."""
    accounted = counters["stored"] + counters["deduplicated"] + counters["spooled"]
    assert counters["seen"] == accounted + sum(counters["dropped"].values())


class Reckoning(NamedTuple):
    """What became of what the phones did. `lost`: acknowledged and neither stored nor counted as dropped.

    `slowest`: how long the slowest page took; `late`: how much of it is the machine's, both in seconds.
    """

    acknowledged: int
    unanswered: int
    stored: int
    dropped: int
    lost: int
    doubled: int
    invented: int
    slowest: float
    late: float

    @property
    def prompt(self) -> bool:
        """Whether every page was answered within two seconds, but for what the machine did otherwise."""
        return self.slowest < 2 + self.late

    def __str__(self) -> str:
        return ", ".join(
            f"{value:.2f} s {name}" if isinstance(value, float) else f"{value} {name}"
            for name, value in self._asdict().items()
        )


def reckon(tracker: Tracker, clients: Clients, since: frozenset[str] = frozenset()) -> Reckoning:
    """Compare what is stored with what was answered, orders and likes included; check that the counters add up.

    Nothing is asked of the pages in `since`: they were served before the database was deleted.
    """
    assert tracker.flush(PATIENCE)
    counters: dict[str, Any] = tracker.counters()
    assert_balanced(counters)
    assert counters["spooled"] == 0
    pages = stored_paths(tracker)
    orders = Counter(f"/buy/{event.order_id}" for event in _history(tracker) if isinstance(event, Purchase))
    tried = clients.acknowledged | clients.unanswered
    asked = clients.acknowledged - since
    bought = {path for path in asked if path.startswith("/buy/")}
    liked = {path for path in asked if path.startswith("/like/")}
    likes = tracker.privacy.export(ALIAS)["preferences"].get("likes", 0)
    most_likes = sum(path.startswith("/like/") for path in tried)
    dropped = sum(counters["dropped"].values())
    missing = len(asked - pages.keys()) + len(bought - orders.keys())
    disliked = max(0, len(liked) - likes - counters.get("preferences_lost", 0))
    return Reckoning(
        acknowledged=len(clients.acknowledged),
        unanswered=len(clients.unanswered),
        stored=counters["stored"],
        dropped=dropped,
        lost=max(0, missing - dropped) + disliked,
        doubled=sum(times > 1 for seen in (pages, orders) for times in seen.values()) + max(0, likes - most_likes),
        invented=len((pages.keys() | orders.keys()) - tried),
        slowest=clients.slowest,
        late=clients.late,
    )
