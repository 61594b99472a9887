"""The ASGI contenders: one raw app, alone and behind each middleware, called without server and socket."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any

from itsdangerous import TimestampSigner
from starlette.middleware.sessions import SessionMiddleware

from alias_middleware.asgi import SCOPE_KEY, AliasMiddleware, ASGIApp, Message, Receive, Scope, Send
from alias_middleware.tracker import Tracker
from benchmarks import bare_app
from benchmarks.bare_app import answer
from benchmarks.people import GATEWAY
from benchmarks.rounds import Contender

_SECRET = "a secret of the benchmark"

plain = bare_app.asgi


async def using_a_session(scope: Scope, receive: Receive, send: Send) -> None:
    session = scope["session"]
    session["seen"] = session.get("seen", 0) + 1
    await answer(send)


async def reading_a_profile(scope: Scope, receive: Receive, send: Send) -> None:
    scope[SCOPE_KEY].profile.get("font")
    await answer(send)


async def reading_everything(scope: Scope, receive: Receive, send: Send) -> None:
    profile = scope[SCOPE_KEY].profile
    profile.get("font")
    _ = profile.page_views
    await answer(send)


async def choosing_a_font(scope: Scope, receive: Receive, send: Send) -> None:
    scope[SCOPE_KEY].profile["font"] = "large"
    await answer(send)


class NoOp:
    """The least that a middleware can do."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def behind_session() -> ASGIApp:
    return SessionMiddleware(using_a_session, secret_key=_SECRET)


def behind_alias(app: ASGIApp, tracker: Tracker) -> ASGIApp:
    return AliasMiddleware(app, tracker=tracker)


def contender(runner: asyncio.Runner, app: ASGIApp, who: Callable[[int], Iterable[str | None]]) -> Contender:
    """Serve requests of the visitors that `who` picks, None where nobody is named, on one event loop."""
    return lambda requests: runner.run(_serve(app, who(requests)))


async def _serve(app: ASGIApp, aliases: Iterable[str | None]) -> list[float]:
    cookie = session_cookie()
    spent = []
    for alias in aliases:
        scope = _scope(alias, cookie)  # as from a server: just made, and let go of when it is answered
        begun = time.perf_counter()
        await app(scope, _receive, _send)
        spent.append(time.perf_counter() - begun)
    return spent


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Message) -> None:
    pass


def session_cookie() -> bytes:
    """What SessionMiddleware gave the visitor with his previous page."""
    session = b64encode(json.dumps({"font": "large", "seen": 7}).encode())
    return b"session=" + TimestampSigner(_SECRET).sign(session)


def _scope(alias: str | None, cookie: bytes) -> dict[str, Any]:
    headers = [
        (b"host", b"sonneries.example"),
        (b"user-agent", b"Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Mobile"),
        (b"accept", b"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"),
        (b"accept-language", b"fr-FR,fr;q=0.9"),
        (b"accept-encoding", b"gzip"),
        (b"cookie", cookie),
    ]
    if alias is not None:
        headers.append((b"wap-network-info", b"mUserAlias:" + alias.encode()))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/news/sport",
        "raw_path": b"/news/sport",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": (GATEWAY, 40312),
        "server": ("10.0.0.1", 80),
        "state": {},
    }
