"""Many visitors with few phones: what they asked of which server, what was answered, and what is stored of it."""

from __future__ import annotations

import http.client
import random
import threading
from collections import Counter
from itertools import count
from typing import NamedTuple

from alias_middleware import Tracker
from alias_middleware.events import PageView, Purchase
from tests.servers.launch import GATEWAY, Served
from tests.support.waiting import PATIENCE

VISITORS = [f"3145229{number:05}" for number in range(500)]
FIELD = "clicks"
_ALL = 10_000_000
_THINKS_SECONDS = 0.004
_REQUESTS_A_CONNECTION = 50

Act = tuple[str, str, str]
"""A visitor, a method and a path that nobody else asks for."""


class Asked(NamedTuple):
    """What was answered, and what was asked without an answer: the server may have died before or after."""

    answered: set[Act]
    unanswered: set[Act]


class Phones:
    """Threads that browse, buy, prefer, stream and hang up, each on one server after the other."""

    def __init__(self, servers: list[Served], *, threads: int, seed: int) -> None:
        self.asked = Asked(set(), set())
        self._servers = servers
        self._numbers = count()
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._browse, args=(seed + n,)) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def _browse(self, seed: int) -> None:
        dice = random.Random(seed)
        while not self._ending.is_set():
            where = dice.choice(self._servers).where
            assert isinstance(where, int)
            connection = http.client.HTTPConnection(
                "127.0.0.1", where, timeout=PATIENCE, source_address=(GATEWAY, 0)
            )
            try:
                self._browse_over(connection, dice)
            finally:
                connection.close()

    def _browse_over(self, connection: http.client.HTTPConnection, dice: random.Random) -> None:
        for _ in range(_REQUESTS_A_CONNECTION):
            if self._ending.wait(dice.expovariate(1 / _THINKS_SECONDS)):
                return
            visitor, number = dice.choice(VISITORS), next(self._numbers)
            method, path = dice.choice(
                [
                    *[("GET", f"/page/{number}")] * 6,
                    ("GET", f"/slow/2/{number}"),
                    ("POST", f"/buy/{number}"),
                    ("POST", f"/prefer/{FIELD}?{number}"),
                    ("GET", "/stranger"),
                ]
            )
            act = visitor, method, path
            headers = {} if path == "/stranger" else {"wap-network-info": f"mUserAlias:{visitor}"}
            try:
                connection.request(method, path, headers=headers)
                if dice.random() < 0.01:  # hangs up instead of waiting
                    self.asked.unanswered.add(act)
                    return
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                self.asked.unanswered.add(act)
                return
            (self.asked.answered if answer.status == 200 else self.asked.unanswered).add(act)

    def stop(self) -> Asked:
        """Have everybody finish what he is at."""
        self._ending.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        return self.asked


class Account(NamedTuple):
    """What is stored of what was asked. `lost`: answered and not there; `extra`: there twice, or never asked."""

    requests: int
    unanswered: int
    pages: int
    orders: int
    clicks: int
    lost: int
    extra: int


def account(tracker: Tracker, asked: Asked) -> Account:
    """Compare what is stored with what was answered."""
    stored = Counter[Act]()
    clicks = Counter[str]()
    for visitor in VISITORS:
        for event in tracker.visitor(visitor).history(_ALL):
            if isinstance(event, PageView):
                stored[visitor, "GET", event.path] += 1
            elif isinstance(event, Purchase):
                stored[visitor, "POST", f"/buy/{event.order_id}"] += 1
        clicks[visitor] = tracker.privacy.export(visitor)["preferences"].get(FIELD, 0)
    answered = {act for act in asked.answered if _is_kept(act)}
    tried = answered | {act for act in asked.unanswered if _is_kept(act)}
    least = Counter(visitor for visitor, _, path in asked.answered if path.startswith("/prefer/"))
    most = least + Counter(visitor for visitor, _, path in asked.unanswered if path.startswith("/prefer/"))
    doubled = sum(times - 1 for times in stored.values())
    return Account(
        requests=len(asked.answered) + len(asked.unanswered),
        unanswered=len(asked.unanswered),
        pages=sum(number for (_, method, _), number in stored.items() if method == "GET"),
        orders=sum(number for (_, method, _), number in stored.items() if method == "POST"),
        clicks=clicks.total(),
        lost=len(answered - stored.keys()) + (least - clicks).total(),
        extra=doubled + len(stored.keys() - tried) + (clicks - most).total(),
    )


def _is_kept(act: Act) -> bool:
    """Whether an answer to this leaves an event."""
    return act[2].startswith(("/page/", "/slow/", "/buy/"))
