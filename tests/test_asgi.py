"""What is particular to the ASGI edge: scopes, hops, cancellation, websockets."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from alias_middleware import Tracker, Visitor, asgi, current_visitor, wsgi
from alias_middleware.asgi import SCOPE_KEY, AliasMiddleware
from alias_middleware.errors import SettingsError
from tests.support.asgi import END, NAMED, START, scope_of
from tests.support.site import (
    ALIAS,
    HTML,
    OTHER_ALIAS,
    Message,
    Receive,
    Send,
    Site,
    serve_asgi,
)


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site on the ASGI edge, in memory."""
    return make_site("asgi")


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


def test_send_is_known_as_a_coroutine_function(site: Site) -> None:
    """Whoever asks before he calls it from a thread, as asgiref's WSGI adapter and Channels do, is not misled."""
    is_one = inspect.iscoroutinefunction if sys.version_info >= (3, 12) else asyncio.iscoroutinefunction

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert is_one(send)
        await page(scope, receive, send)

    assert asyncio.run(serve_asgi(AliasMiddleware(app, tracker=site.tracker), scope_of())).status == 200


@pytest.mark.parametrize("named", [NAMED, []], ids=["recognised", "stranger"])
def test_headers_may_be_any_iterable(site: Site, named: list[tuple[bytes, bytes]]) -> None:
    """Headers that can be looked at once only, of request and answer, arrive complete."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert list(scope["headers"]) == [(b"x-own", b"1")]
        assert scope[SCOPE_KEY].alias == (ALIAS if named else None)
        await send({**START, "headers": iter([(b"content-type", b"text/html"), (b"x-own", b"2")])})
        await send(END)

    scope = scope_of(headers=iter([*named, (b"x-own", b"1")]))
    answer = asyncio.run(serve_asgi(AliasMiddleware(app, tracker=site.tracker), scope))
    assert ("x-own", "2") in answer.headers
    assert site.summary().page_views == len(named)


def test_a_start_without_headers(site: Site) -> None:
    """Headers may be left out of a start: what a personal answer needs is added all the same."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert scope[SCOPE_KEY]
        await send({"type": "http.response.start", "status": 204})
        await send(END)

    answer = asyncio.run(serve_asgi(AliasMiddleware(app, tracker=site.tracker), scope_of()))
    assert answer.headers == [("vary", "wap-network-info"), ("cache-control", "private")]


def test_requests_of_one_connection_do_not_share_a_visitor(site: Site) -> None:
    """A server may give the requests of one connection the same `state`: each finds its own visitor there."""
    shared: dict[str, Any] = {"pool": object()}
    seen: list[tuple[str | None, str | None]] = []
    both_in = asyncio.Barrier(2)

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await both_in.wait()
        seen.append((scope["state"]["visitor"].alias, current_visitor.get().alias))
        assert scope["state"]["pool"] is shared["pool"]
        await page(scope, receive, send)

    async def run() -> None:
        app_ = AliasMiddleware(app, tracker=site.tracker)
        headers = [(b"wap-network-info", f"mUserAlias:{alias}".encode()) for alias in (ALIAS, OTHER_ALIAS)]
        await asyncio.gather(*(serve_asgi(app_, scope_of(headers=[pair], state=shared)) for pair in headers))

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


@pytest.mark.parametrize("edge", [asgi.AliasMiddleware, wsgi.AliasMiddleware])
def test_a_tracker_and_settings_are_one_too_many(edge: Any) -> None:
    """Which of the two holds is said at once, not found out later."""
    with closing(Tracker(service="s", storage="memory://", trusted_gateways=[])) as tracker:
        assert edge(None, tracker=tracker).tracker is tracker
        with pytest.raises(SettingsError, match="service"):
            edge(None, tracker=tracker, service="s")


def test_last_counts_are_handed_on_when_the_app_has_shut_down(make_site: Callable[..., Site]) -> None:
    """Some servers end the process right after the lifespan: what was only counted in memory is in the spool."""
    site = make_site("asgi", "sqlite")
    for _ in range(3):
        site.get(alias=None)

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan"

    async def send(message: Message) -> None:
        """Send what is never sent."""

    asyncio.run(AliasMiddleware(app, tracker=site.tracker)({"type": "lifespan"}, nothing, send))
    successor = site.another_tracker()
    assert successor.flush()
    today = site.clock.now.date()
    figures = successor.statistics.summary(today, today.replace(day=today.day + 1))
    successor.close()
    assert figures.unidentified_page_views == 3
