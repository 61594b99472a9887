"""A storage beyond a network that swallows what is sent, under real servers: the site answers in time."""

from __future__ import annotations

import http.client
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from alias_middleware import Tracker, asgi, current_visitor, wsgi
from tests.support.pulse import Pulse, percentile
from tests.support.servers import uvicorn_server, waitress_server
from tests.support.site import ALIAS
from tests.support.storages import BlackHole
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

BUDGET = 0.25
"""What the storage is waited for, seconds: the default."""
OVER = 0.02
"""How much later than the budget the answers may be that are waited for, seconds at the 99th percentile."""
CLIENTS = 4
VISITORS = [f"31452292{number:04}" for number in range(40)]

Serve = Callable[[Any], AbstractContextManager[int]]


def use() -> bytes:
    """Do all that a page may: read, look at what is derived, change, record."""
    visitor = current_visitor.get()
    visitor.track("look", knows=visitor.profile.page_views)
    visitor.profile.increment("pages")
    return b"<p>%d</p>" % bool(visitor)


def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/html")])
    return [use()]


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    body = use()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def storage() -> Iterator[BlackHole]:
    hole = BlackHole()
    yield hole
    hole.open.set()


@pytest.fixture
def tracker(storage: BlackHole, tmp_path: Path) -> Iterator[Tracker]:
    made = Tracker(
        service="sonneries",
        storage=storage,
        spool=tmp_path / "spool",
        trusted_gateways=["127.0.0.1"],
        storage_timeout=BUDGET,
        writer_interval=0.05,
    )
    yield made
    storage.open.set()
    made.close()


@pytest.fixture(params=["waitress", "uvicorn"])
def served(request: pytest.FixtureRequest, tracker: Tracker) -> Iterator[int]:
    """The port of a site on each edge."""
    if request.param == "waitress":
        with waitress_server(wsgi.AliasMiddleware(wsgi_app, tracker=tracker)) as port:
            yield port
    else:
        with uvicorn_server(asgi.AliasMiddleware(asgi_app, tracker=tracker)) as port:
            yield port


def browse(port: int, visitors: Iterable[str], seconds: float) -> list[float]:
    """Fetch pages over one connection, and give how long each took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    took = []
    end = time.monotonic() + seconds
    for alias in visitors:
        begun = time.perf_counter()
        connection.request("GET", "/", headers={"wap-network-info": f"mUserAlias:{alias}"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"<p>1</p>")
        took.append(time.perf_counter() - begun)
        if time.monotonic() > end:
            break
    connection.close()
    return took


def browse_together(port: int, seconds: float) -> list[float]:
    """Have several phones browse at once."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        loops = [pool.submit(browse, port, VISITORS[number:] * 500, seconds) for number in range(CLIENTS)]
        return [one for loop in loops for one in loop.result()]


def ours() -> int:
    return sum(thread.name == "alias-middleware-storage" for thread in threading.enumerate())


def test_the_site_answers_within_the_budget(
    served: int, tracker: Tracker, storage: BlackHole, caplog: pytest.LogCaptureFixture
) -> None:
    """No request waits longer than the budget, most not at all; few threads are stuck; once the storage is back
    all that was recorded and changed meanwhile is there, once.
    """
    before = len(browse(served, VISITORS, 20))
    storage.open.clear()
    with caplog.at_level(logging.WARNING), Pulse() as pulse:
        took = browse_together(served, 3)
    waited = [one for one in took if one > BUDGET / 2]
    assert percentile(took, 0.99) <= BUDGET + OVER + pulse.late
    assert percentile(waited, 0.99) <= BUDGET + OVER + pulse.late  # so few that the machine's hiccups count
    assert len(waited) <= 8 * CLIENTS
    assert ours() <= 8
    assert tracker.counters()["storage_unavailable"] == 1
    assert sum("requests go on without it" in record.getMessage() for record in caplog.records) == 1
    assert not any(alias in caplog.text for alias in VISITORS)

    storage.open.set()
    wait_until(lambda: tracker.flush(1), "the storage has taken everything")
    counters = tracker.counters()
    pages = before + len(took)
    assert counters["seen"] == counters["stored"] == 2 * pages
    assert counters["dropped"] == {}
    stored = [tracker.privacy.export(alias)["preferences"] for alias in VISITORS]
    assert sum(preferences.get("pages", 0) for preferences in stored) == pages


def test_a_request_waits_once_whatever_it_asks(served: int, storage: BlackHole) -> None:
    """Profile, knowledge and the change of a page are not waited for one after the other."""
    storage.open.clear()
    with Pulse() as pulse:
        (took,) = browse(served, [ALIAS], 20)
    assert took < 2 * BUDGET + pulse.late


def test_a_slow_storage_makes_no_queue(tracker: Tracker, storage: BlackHole) -> None:
    """Where every call takes most of the budget, many who come at once do not wait for each other's calls.

    Under ASGI, that is: a WSGI server has a thread for each, or makes them wait itself.
    """
    storage.slow = 0.8 * BUDGET
    with (
        uvicorn_server(asgi.AliasMiddleware(asgi_app, tracker=tracker)) as port,
        ThreadPoolExecutor(len(VISITORS)) as pool,
        Pulse() as pulse,
    ):
        took = [one for loop in pool.map(lambda alias: browse(port, [alias], 20), VISITORS) for one in loop]
    assert max(took) < 6 * BUDGET + pulse.late


def test_flush_and_close_come_to_an_end(tracker: Tracker, storage: BlackHole) -> None:
    """A site that stops while its storage hangs does stop; what it recorded waits in the spool."""
    tracker.visitor(ALIAS).track("look")
    storage.open.clear()
    begun = time.monotonic()
    assert not tracker.flush(0.3)
    tracker.close(0.5)
    assert time.monotonic() - begun < 10  # the storage hangs for a minute
    storage.open.set()
    wait_until(lambda: tracker.flush(1), "the next writer has taken everything")
    assert tracker.counters()["stored"] == 1
