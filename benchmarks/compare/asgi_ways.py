"""The page in a plain ASGI app, bare and with each library as its documentation sets it up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any

from redis.asyncio import Redis
from starlette.middleware.sessions import SessionMiddleware
from starsessions import InMemoryStore, SessionAutoloadMiddleware, SessionStore
from starsessions import SessionMiddleware as StarSessions
from starsessions.stores.redis import RedisStore

from alias_middleware.asgi import SCOPE_KEY, AliasMiddleware, ASGIApp, Message, Receive, Scope, Send
from benchmarks.compare.site import (
    PAGE,
    SECRET,
    SEEN,
    Site,
    Surroundings,
    cookie_of,
    flushed,
    headers_of,
    posthog_client,
    redis_port_of,
    sending,
    tracker_of,
)
from benchmarks.people import GATEWAY

_LIFETIME = 14 * 24 * 3600


Last = Callable[[], Coroutine[Any, Any, None]]
"""What is done on a site's event loop before it ends."""


async def _nothing() -> None:
    pass


def _asgi(
    wrap: Callable[[ASGIApp], ASGIApp],
    count: Callable[[Scope], object],
    seen: Callable[[Scope], int],
    last: Last = _nothing,
) -> Site:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == SEEN:
            await _answer(send, str(seen(scope)).encode(), b"text/plain")
            return
        count(scope)
        await _answer(send, PAGE.encode(), b"text/html; charset=utf-8")

    whole = wrap(app)
    stack = ExitStack()
    runner = stack.enter_context(asyncio.Runner())
    stack.callback(lambda: runner.run(last()))

    async def call(path: str, alias: str, cookie: str) -> tuple[float, str, bytes]:
        messages: list[Message] = []

        async def send(message: Message) -> None:
            messages.append(message)

        scope = _scope(path, alias, cookie)
        begun = time.perf_counter()
        await whole(scope, _receive, send)
        spent = time.perf_counter() - begun
        headers = [(name.decode(), value.decode()) for name, value in messages[0]["headers"]]
        return spent, cookie_of(headers), messages[1]["body"]

    return Site(lambda *asked: runner.run(call(*asked)), stack)


async def _answer(send: Send, body: bytes, kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _count_in_scope(scope: Scope) -> None:
    scope["session"]["seen"] = scope["session"].get("seen", 0) + 1


def _seen_in_scope(scope: Scope) -> int:
    return int(scope["session"].get("seen", 0))


def bare_asgi(around: Surroundings) -> Site:
    return _asgi(lambda app: app, lambda scope: None, lambda scope: 0)


def cookie_session(around: Surroundings) -> Site:
    return _asgi(lambda app: SessionMiddleware(app, secret_key=SECRET), _count_in_scope, _seen_in_scope)


def _star_sessions(store: SessionStore, last: Last = _nothing) -> Site:
    def wrap(app: ASGIApp) -> ASGIApp:
        return StarSessions(SessionAutoloadMiddleware(app), store=store, lifetime=_LIFETIME)

    return _asgi(wrap, _count_in_scope, _seen_in_scope, last)


def star_memory(around: Surroundings) -> Site:
    return _star_sessions(InMemoryStore())


def star_redis(around: Surroundings) -> Site:
    client = Redis(port=redis_port_of(around))
    return _star_sessions(RedisStore(connection=client), client.aclose)


def asgi_posthog(around: Surroundings) -> Site:
    client = posthog_client(around)

    def count(scope: Scope) -> None:
        visitor = dict(scope["headers"])[b"wap-network-info"].decode().partition(":")[2]
        client.capture("$pageview", distinct_id=visitor, properties={"path": scope["path"]})

    return sending(_asgi(lambda app: app, count, lambda scope: 0), client)


def _asgi_alias(around: Surroundings, count: Callable[[Scope], object], seen: Callable[[Scope], int]) -> Site:
    tracker = tracker_of(around)
    site = _asgi(lambda app: AliasMiddleware(app, tracker=tracker), count, seen)
    return site.ending(tracker.close).settling(lambda: flushed(tracker))


def asgi_pages(around: Surroundings) -> Site:
    def count(scope: Scope) -> None:
        scope[SCOPE_KEY].profile.get("font")

    return _asgi_alias(around, count, lambda scope: scope[SCOPE_KEY].profile.page_views)


def asgi_preference(around: Surroundings) -> Site:
    def count(scope: Scope) -> None:
        scope[SCOPE_KEY].profile.increment("seen")

    return _asgi_alias(around, count, lambda scope: int(scope[SCOPE_KEY].profile.get("seen", 0)))


def _scope(path: str, alias: str, cookie: str) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers_of(alias, cookie)],
        "client": (GATEWAY, 40312),
        "server": ("10.0.0.1", 80),
        "state": {},
    }
