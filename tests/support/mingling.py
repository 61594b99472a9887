"""Many hands on one visitor at once: what each did, when it began, and whether what is there at last fits."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import takewhile
from typing import Any, Literal, NamedTuple

from alias_middleware import Item, Tracker, Visitor
from alias_middleware.asgi import SCOPE_KEY, AliasMiddleware
from alias_middleware.events import Purchase, TrackedEvent

ALIAS = "314522927347"
PEER = "127.0.0.1"
HANDS = 4
MOST = 800
"""How much each hand does at most, so that all the marks go into one profile."""
SHARED_ORDER = "one order, told by everybody"

Kind = Literal["event", "order", "mark", "count"]
_KINDS: tuple[Kind, ...] = ("event", "order", "mark", "count")


class Deed(NamedTuple):
    """One thing done in a request that began between two moments, in microseconds since the epoch."""

    kind: Kind
    mark: str
    after_us: int
    before_us: int


class Erasure(NamedTuple):
    """An erasure of a moment between these two."""

    after_us: int
    before_us: int


def now_us() -> int:
    return time.time_ns() // 1000


def _do(visitor: Visitor, kind: Kind, mark: str) -> None:
    match kind:
        case "event":
            assert visitor.track(mark)
        case "order":
            item = [Item("rt-42", "Sonnerie", price=Decimal("3.00"))]
            assert visitor.purchase(mark, item, currency="EUR")
            assert visitor.purchase(SHARED_ORDER, item, currency="EUR")
        case "mark":
            visitor.profile.append("marks", mark)
        case "count":
            visitor.profile.increment("count")


def by_threads(tracker: Tracker, name: str, going: Callable[[], bool]) -> list[Deed]:
    """Do things in a few threads, each in a block of its own, while it is to go on."""

    def run(hand: int) -> list[Deed]:
        dice = random.Random(f"{name}:{hand}")
        done = []
        for number in takewhile(lambda number: going(), range(MOST)):
            kind, mark = dice.choice(_KINDS), f"{name}-{hand}-{number}"
            after_us = now_us()
            with tracker.visitor(ALIAS) as visitor:
                done.append(Deed(kind, mark, after_us, now_us()))
                _do(visitor, kind, mark)
        return done

    with ThreadPoolExecutor(HANDS) as pool:
        return [deed for deeds in pool.map(run, range(HANDS)) for deed in deeds]


def by_tasks(tracker: Tracker, name: str, going: Callable[[], bool]) -> list[Deed]:
    """Do things in requests of a few asyncio tasks, all in each other's way, while it is to go on."""
    done: list[Deed] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        kind, mark, after_us = scope["deed"]
        done.append(Deed(kind, mark, after_us, now_us()))
        await asyncio.sleep(0)
        _do(scope[SCOPE_KEY], kind, mark)
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async def run(hand: int) -> None:
        dice = random.Random(f"{name}:{hand}")
        for number in takewhile(lambda number: going(), range(MOST)):
            deed = dice.choice(_KINDS), f"{name}-{hand}-{number}", now_us()
            headers = [(b"wap-network-info", f"mUserAlias:{ALIAS}".encode())]
            scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "client": (PEER, 1)}
            await site({**scope, "deed": deed}, _nothing, _nothing)

    async def run_all() -> None:
        await asyncio.gather(*map(run, range(HANDS)))

    site = AliasMiddleware(app, tracker=tracker)
    asyncio.run(run_all())
    return done


async def _nothing(*message: Any) -> Any:
    await asyncio.sleep(0)


WAYS: dict[str, Callable[[Tracker, str, Callable[[], bool]], list[Deed]]] = {
    "threads": by_threads,
    "tasks": by_tasks,
}


def erase(tracker: Tracker) -> Erasure:
    """Erase the visitor while everybody is at it."""
    after_us = now_us()
    tracker.privacy.erase(ALIAS)
    return Erasure(after_us, now_us())


def compare(tracker: Tracker, deeds: Iterable[Deed], erasure: Erasure | None = None) -> int:
    """Compare what is there with what was done: nothing twice, nothing from before the last erasure, all since.

    What began while the erasure was going on may be there or not. Gives how much is there.
    """
    assert tracker.flush(30)
    history = tracker.storage.history("sonneries", ALIAS, 1_000_000)
    preferences = tracker.privacy.export(ALIAS)["preferences"]
    there = Counter(
        [("event", event.name) for event in history if isinstance(event, TrackedEvent)]
        + [("order", event.order_id) for event in history if isinstance(event, Purchase)]
        + [("mark", mark) for mark in preferences.get("marks", [])]
    )
    shared = there.pop(("order", SHARED_ORDER), 0)
    assert shared <= 1
    done = {(deed.kind, deed.mark): deed for deed in deeds}
    counts = [deed for deed in done.values() if deed.kind == "count"]
    may = {key for key, deed in done.items() if erasure is None or deed.before_us > erasure.after_us}
    must = {key for key, deed in done.items() if erasure is None or deed.after_us > erasure.before_us}
    assert set(there.values()) <= {1}
    assert there.keys() - may == set(), "there is what was erased"
    assert {key for key in must if key[0] != "count"} - there.keys() == set(), "something is lost"
    most, least = (sum((deed.kind, deed.mark) in those for deed in counts) for those in (may, must))
    assert least <= preferences.get("count", 0) <= most
    return sum(there.values()) + int(preferences.get("count", 0))
