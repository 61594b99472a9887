"""What the ASGI edge does on threads of its own, and what it never does there; cancellation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from alias_middleware import Tracker, Visitor
from alias_middleware.asgi import SCOPE_KEY, AliasMiddleware
from alias_middleware.errors import BlockingCallError
from tests.support.asgi import scope_of
from tests.support.site import (
    ALIAS,
    GATEWAY,
    HTML,
    SECRET_KEYS,
    STRANGER,
    Given,
    Message,
    Receive,
    Seen,
    Send,
    Site,
    serve_asgi,
)
from tests.support.storages import RemoteStorage


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site on the ASGI edge, in memory."""
    return make_site("asgi")


def personal(visitor: Visitor, request: Seen) -> Given:
    """A page that reads the profile and what is derived of it, and writes."""
    visitor.profile["font"] = "large"
    return 200, HTML, [str(visitor.profile.page_views).encode()]


@pytest.fixture
def remote(site: Site) -> RemoteStorage:
    """The site's storage, somewhere beyond a network."""
    storage = RemoteStorage()
    site.settings.update(storage=storage, continuity=True, secret_keys=SECRET_KEYS)
    site.handler = personal
    return storage


def test_what_may_wait_is_done_on_threads_of_our_own(site: Site, remote: RemoteStorage) -> None:
    """A blocking storage is read and written on the tracker's threads, never on the loop's nor anyio's."""
    site.get()
    threads = [*remote.readers, *remote.writers]
    assert len(threads) == 3
    assert all(thread.name.startswith("alias-middleware") for thread in threads)


@pytest.mark.parametrize(
    ("alias", "peer", "headers"),
    [
        pytest.param(None, GATEWAY, [], id="no header"),
        pytest.param(ALIAS, STRANGER, [], id="not trusted"),
        pytest.param(None, GATEWAY, [("Sec-Purpose", "prefetch")], id="a prefetch"),
        pytest.param(None, GATEWAY, [("Cookie", "session=1; theme=dark")], id="cookies of the app"),
    ],
)
def test_strangers_never_hop(
    site: Site,
    remote: RemoteStorage,
    monkeypatch: pytest.MonkeyPatch,
    alias: str | None,
    peer: str,
    headers: list[tuple[str, str]],
) -> None:
    """Without an alias nothing is read and no thread is asked, even where the app writes to the profile."""

    def executor(self: Tracker) -> None:
        raise AssertionError("a hop for a stranger")

    monkeypatch.setattr(Tracker, "executor", executor)
    assert site.get(alias=alias, peer=peer, headers=headers).status == 200
    assert remote.readers == []


def test_a_cookie_is_checked_on_a_thread(site: Site, remote: RemoteStorage) -> None:
    """The question whether a visitor was erased is asked of the storage, so not on the loop's thread."""
    cookie = site.get().cookie()
    remote.readers.clear()
    assert site.get(alias=None, headers=[("Cookie", cookie)]).status == 200
    assert len(remote.readers) == 3
    assert threading.main_thread() not in remote.readers


def test_where_no_thread_is_to_be_had_it_is_done_in_place(
    site: Site, remote: RemoteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of the interpreter no thread starts any more: requests still in flight lose nothing."""

    def executor(self: Tracker) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr(Tracker, "executor", executor)
    assert site.get().status == 200
    assert site.stored()["preferences"] == {"font": "large"}


def test_history_on_the_event_loop(site: Site) -> None:
    """It would hold up every other request: an error in development, counted and answered in production."""

    def handler(visitor: Visitor, request: Seen) -> Given:
        return 200, HTML, [str(visitor.history()).encode()]

    site.handler = handler
    with pytest.raises(BlockingCallError):
        site.get()
    site.settings["raise_errors"] = False
    quiet = site.another_tracker()
    answer = asyncio.run(serve_asgi(AliasMiddleware(site.asgi_app, tracker=quiet), scope_of()))
    assert answer.chunks == [b"[]"]
    assert quiet.counters()["errors"] == 1
    quiet.close()


def test_a_cancelled_request_loses_nothing(site: Site) -> None:
    """When the server cancels the request, what it recorded and changed so far is kept."""
    waiting = asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        scope[SCOPE_KEY].track("begun")
        scope[SCOPE_KEY].profile["begun"] = True
        waiting.set()
        await asyncio.Event().wait()

    async def run() -> None:
        task = asyncio.create_task(serve_asgi(AliasMiddleware(app, tracker=site.tracker), scope_of()))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    stored = site.stored()
    assert stored["preferences"] == {"begun": True}
    assert [event["name"] for event in stored["history"]] == ["begun"]


def test_a_commit_that_has_begun_is_finished(site: Site) -> None:
    """A request cancelled while its change is on the way to the storage still has changed it."""
    entered, leave = threading.Event(), threading.Event()
    storage = RemoteStorage()
    original = storage.change_profile

    def slow(*args: Any, **kwargs: Any) -> int:
        entered.set()
        assert leave.wait(10)
        return original(*args, **kwargs)

    storage.change_profile = slow  # type: ignore[method-assign]
    site.settings["storage"] = storage
    site.handler = personal

    async def run() -> None:
        task = asyncio.create_task(serve_asgi(AliasMiddleware(site.asgi_app, tracker=site.tracker), scope_of()))
        assert await asyncio.to_thread(entered.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        leave.set()

    asyncio.run(run())
    site.tracker.close()
    assert site.stored()["preferences"] == {"font": "large"}


def test_a_commit_that_has_to_wait_is_not_forgotten(site: Site) -> None:
    """Where all threads are busy, a request cancelled again and again still gets its change made."""
    leave = threading.Event()
    site.handler = personal

    async def run() -> None:
        busy = [site.tracker.executor().submit(leave.wait, 10) for _ in range(4)]
        task = asyncio.create_task(serve_asgi(AliasMiddleware(site.asgi_app, tracker=site.tracker), scope_of()))
        for _ in range(3):
            await asyncio.sleep(0)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        leave.set()
        assert all(waited.result() for waited in busy)

    asyncio.run(run())
    site.tracker.close()
    assert site.stored()["preferences"] == {"font": "large"}
