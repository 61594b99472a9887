"""What is particular to the ASGI edge: scopes, hops, cancellation, websockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from alias_middleware import Tracker, Visitor, current_visitor
from alias_middleware.asgi import SCOPE_KEY, AliasMiddleware
from alias_middleware.errors import BlockingCallError
from tests.support.site import (
    ALIAS,
    GATEWAY,
    HTML,
    OTHER_ALIAS,
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

NAMED = [(b"wap-network-info", f"mUserAlias:{ALIAS}".encode())]
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]}
END = {"type": "http.response.body", "body": b"x"}


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site on the ASGI edge, in memory."""
    return make_site("asgi")


def scope_of(kind: str = "http", **more: Any) -> dict[str, Any]:
    """What a server makes of a gateway's request."""
    scope = {"type": kind, "path": "/", "client": (GATEWAY, 4711), "headers": list(NAMED)}
    return {**scope, **({"method": "GET"} if kind == "http" else {}), **more}


async def nothing() -> Message:
    """Receive what is never looked at."""
    raise AssertionError("nothing to receive")


async def page(scope: Message, receive: Receive, send: Send) -> None:
    """A page that does not look at the visitor."""
    await send(START)
    await send(END)


@pytest.mark.parametrize("kind", ["lifespan", "mqtt"])
def test_other_scopes_pass_through_untouched(site: Site, kind: str) -> None:
    """The very objects of the server reach the app, and nothing is added to them."""
    scope = {"type": kind}
    given: list[object] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        given.extend((scope, receive, send))

    async def send(message: Message) -> None:
        """Send what is never sent."""

    asyncio.run(AliasMiddleware(app, tracker=site.tracker)(scope, nothing, send))
    assert given == [scope, nothing, send]
    assert scope == {"type": kind}


def test_messages_nobody_needs_to_change_are_the_same_objects(site: Site) -> None:
    """An untouched answer's messages are passed on as they are, not as copies."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(AliasMiddleware(page, tracker=site.tracker)(scope_of(), nothing, send))
    assert sent[0] is START
    assert sent[1] is END


def test_headers_may_be_any_iterable(site: Site) -> None:
    """Headers that can be looked at once only, of request and answer, arrive complete."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert list(scope["headers"]) == [(b"x-own", b"1")]
        assert scope[SCOPE_KEY].alias == ALIAS
        await send({**START, "headers": iter([(b"content-type", b"text/html"), (b"x-own", b"2")])})
        await send(END)

    scope = scope_of(headers=iter([*NAMED, (b"x-own", b"1")]))
    answer = asyncio.run(serve_asgi(AliasMiddleware(app, tracker=site.tracker), scope))
    assert ("x-own", "2") in answer.headers
    assert site.summary().page_views == 1


def test_a_start_without_headers(site: Site) -> None:
    """Headers may be left out of a start: what a personal answer needs is added all the same."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert scope[SCOPE_KEY]
        await send({"type": "http.response.start", "status": 204})
        await send(END)

    answer = asyncio.run(serve_asgi(AliasMiddleware(app, tracker=site.tracker), scope_of()))
    assert answer.headers == [("vary", "wap-network-info"), ("cache-control", "private")]


def test_requests_of_one_connection_do_not_share_a_visitor(site: Site) -> None:
    """A server may give the requests of one connection the same `state`: each still finds its own visitor there."""
    shared: dict[str, Any] = {"pool": object()}
    seen: list[tuple[str | None, str | None]] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await both_in.wait()
        seen.append((scope["state"]["visitor"].alias, current_visitor.get().alias))
        assert scope["state"]["pool"] is shared["pool"]
        await page(scope, receive, send)

    async def run() -> None:
        nonlocal both_in
        both_in = asyncio.Barrier(2)
        app_ = AliasMiddleware(app, tracker=site.tracker)
        headers = [(b"wap-network-info", f"mUserAlias:{alias}".encode()) for alias in (ALIAS, OTHER_ALIAS)]
        await asyncio.gather(*(serve_asgi(app_, scope_of(headers=[pair], state=shared)) for pair in headers))

    both_in: Any = None
    asyncio.run(run())
    assert sorted(seen) == [(OTHER_ALIAS, OTHER_ALIAS), (ALIAS, ALIAS)]
    assert list(shared) == ["pool"]


@pytest.mark.parametrize(
    ("client", "gateways", "recognised"),
    [
        pytest.param(None, ["unix"], True, id="Unix socket"),
        pytest.param(None, ["10.12.0.0/16"], False, id="Unix socket not listed"),
        pytest.param(("garbage", 0), ["10.12.0.0/16", "unix"], False, id="a proxy's garbage"),
        pytest.param(("::ffff:10.12.0.1", 0), ["10.12.0.0/16"], True, id="IPv4 in IPv6"),
    ],
)
def test_peers(make_site: Callable[..., Site], client: object, gateways: list[str], recognised: bool) -> None:
    """What is no address is not trusted; no client at all is a Unix socket."""
    site = make_site("asgi", trusted_gateways=gateways)
    site.handler = lambda visitor, request: (200, HTML, [str(bool(visitor)).encode()])
    app = AliasMiddleware(site.asgi_app, tracker=site.tracker)
    answer = asyncio.run(serve_asgi(app, scope_of(client=client)))
    assert answer.chunks == [str(recognised).encode()]


def personal(visitor: Visitor, request: Seen) -> Given:
    """A page that reads and writes the profile."""
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
    assert len(threads) == 2
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
    assert len(remote.readers) == 2
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

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        scope[SCOPE_KEY].track("begun")
        scope[SCOPE_KEY].profile["begun"] = True
        waiting.set()
        await asyncio.Event().wait()

    async def run() -> None:
        nonlocal waiting
        waiting = asyncio.Event()
        task = asyncio.create_task(serve_asgi(AliasMiddleware(app, tracker=site.tracker), scope_of()))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    waiting: Any = None
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
        while not entered.is_set():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        leave.set()

    asyncio.run(run())
    site.tracker.close()
    assert site.stored()["preferences"] == {"font": "large"}


def test_a_client_that_goes_away_loses_nothing(site: Site) -> None:
    """When sending fails, the app sees the server's error, and everything before it is kept."""

    def chunks(visitor: Visitor) -> Iterator[bytes]:
        for number in range(10):
            visitor.profile["reached"] = number
            yield b"x"

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionResetError

    site.handler = lambda visitor, request: (200, HTML, chunks(visitor))
    with pytest.raises(ConnectionResetError):
        asyncio.run(AliasMiddleware(site.asgi_app, tracker=site.tracker)(scope_of(), nothing, send))
    assert site.stored()["preferences"] == {"reached": 0}
    assert site.stored()["knowledge"]["page_views"] == 1


def test_a_websocket(site: Site) -> None:
    """It is recognised and no page view; changes are made before each send and at the close; time goes on."""
    found: list[object] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        visitor = scope[SCOPE_KEY]
        assert visitor.alias == current_visitor.get().alias == ALIAS
        assert scope["headers"] == []
        await send({"type": "websocket.accept"})
        for number in (1, 2):
            visitor.profile["messages"] = number
            visitor.track("message", number=number)
            site.clock.advance(seconds=60)
            await send({"type": "websocket.send", "text": "x"})
        visitor.profile["messages"] = 3
        await receive()

    async def receive() -> Message:
        return {"type": "websocket.disconnect"}

    async def send(message: Message) -> None:
        found.append(site.tracker.privacy.export(ALIAS)["preferences"].get("messages"))

    scope = scope_of("websocket", scheme="ws")
    asyncio.run(AliasMiddleware(app, tracker=site.tracker)(scope, receive, send))
    assert found == [None, 1, 2]
    stored = site.stored()
    assert stored["preferences"] == {"messages": 3}
    assert stored["knowledge"]["page_views"] == 0
    last, first = stored["history"]
    assert last["time_us"] - first["time_us"] == 60_000_000


def test_a_websocket_refused_with_an_answer(site: Site) -> None:
    """A personal refusal says what it depends on, as any answer does; it is no page view."""
    sent: list[Message] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert not scope[SCOPE_KEY].profile.orders
        await send({"type": "websocket.http.response.start", "status": 200, "headers": START["headers"]})
        await send({"type": "websocket.http.response.body", "body": b""})

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(AliasMiddleware(app, tracker=site.tracker)(scope_of("websocket", scheme="ws"), nothing, send))
    assert (b"vary", b"wap-network-info") in sent[0]["headers"]
    assert site.summary().page_views == 0
