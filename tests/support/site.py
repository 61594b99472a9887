"""A site behind either edge: one plain function serves it, one client asks it, whatever the edge."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from alias_middleware import Tracker, Visitor, asgi, wsgi
from alias_middleware.statistics import Summary

ALIAS = "314522927347"
OTHER_ALIAS = "000000000001"
GATEWAY = "10.12.0.1"
STRANGER = "203.0.113.9"
SECRET_KEYS = ["a secret of sixteen bytes or more"]
BEGINNING = datetime(2026, 3, 2, 12, tzinfo=UTC)

Header: TypeAlias = tuple[str, str]
Given: TypeAlias = tuple[int, list[Header], Iterable[bytes]]
HTML: list[Header] = [("Content-Type", "text/html; charset=utf-8")]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Clock:
    """A clock that stands still until it is set: nanoseconds since the epoch when called."""

    def __init__(self, moment: datetime = BEGINNING) -> None:
        self.now = moment

    def __call__(self) -> int:
        return (self.now - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000

    def advance(self, **delta: float) -> None:
        """Move on, or back, by a timedelta's arguments."""
        self.now += timedelta(**delta)


class Seen(NamedTuple):
    """What the app sees of a request, on either edge."""

    method: str
    path: str
    headers: dict[str, str]


Handler = Callable[[Visitor, Seen], Given]


class Answer(NamedTuple):
    """What the server sends: the status, all headers in their order, the chunks."""

    status: int
    headers: list[Header]
    chunks: list[bytes]

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for given, value in self.headers if given.lower() == name.lower()]

    def cookie(self) -> str:
        """The cookie that the answer sets, as a browser sends it back."""
        (set_cookie,) = self.all("Set-Cookie")
        return set_cookie.partition(";")[0]


def page(visitor: Visitor, request: Seen) -> Given:
    """A page that does nothing with the visitor."""
    return 200, list(HTML), [b"<p>hello</p>"]


class Site:
    """A site on one edge and one storage; `handler` may be replaced any time, `settings` before the first use."""

    def __init__(self, edge: Literal["wsgi", "asgi"], storage: Literal["memory", "sqlite"], folder: Path) -> None:
        self.edge = edge
        self.folder = folder
        self.clock = Clock()
        self.handler: Handler = page
        self.settings: dict[str, Any] = {
            "service": "sonneries",
            "storage": "memory://" if storage == "memory" else f"sqlite:///{folder}/alias.db",
            "spool": folder / "spool",
            "trusted_gateways": ["10.12.0.0/16"],
            "writer": "external",  # nothing is drained behind a test's back
            "raise_errors": True,
        }
        self._tracker: Tracker | None = None
        self._making = threading.Lock()
        self.on_chunk: Callable[[bytes], object] = lambda chunk: None

    @property
    def tracker(self) -> Tracker:
        """The tracker, made at the first use, by one thread of those who want it."""
        with self._making:
            if self._tracker is None:
                self._tracker = self.another_tracker()
            return self._tracker

    def another_tracker(self, **settings: Any) -> Tracker:
        """A tracker with the same clock and, but for what is given, the same settings."""
        entropy = random.Random(repr(sorted(settings))).randbytes
        return Tracker(clock=self.clock, entropy=entropy, **{**self.settings, **settings})

    def close(self) -> None:
        """Let go of everything."""
        if self._tracker is not None:
            self._tracker.close()

    def get(
        self,
        path: str = "/",
        alias: str | None = ALIAS,
        *,
        peer: str | None = GATEWAY,
        method: str = "GET",
        headers: Iterable[Header] = (),
        https: bool = False,
    ) -> Answer:
        """Ask as a server does, for the visitor with this alias."""
        named = [("wap-network-info", f"mUserAlias:{alias}")] if alias is not None else []
        ask = self._ask_wsgi if self.edge == "wsgi" else self._ask_asgi
        return ask(path, peer, method, [*named, *headers], https)

    def flush(self) -> None:
        """Drain the spool."""
        assert self.tracker.flush()

    def counters(self) -> dict[str, Any]:
        """The counters, whose sums are checked."""
        counters: dict[str, Any] = self.tracker.counters()
        parts = counters["stored"] + counters["deduplicated"] + counters["spooled"]
        assert counters["seen"] == parts + sum(counters["dropped"].values())
        return counters

    def summary(self) -> Summary:
        """The figures of the year."""
        self.flush()
        since = self.clock.now.date().replace(month=1, day=1)
        return self.tracker.statistics.summary(since, since.replace(year=since.year + 1))

    def stored(self, alias: str = ALIAS) -> dict[str, Any]:
        """What is stored of a visitor."""
        self.flush()
        return self.tracker.privacy.export(alias)

    def _ask_wsgi(self, path: str, peer: str | None, method: str, headers: list[Header], https: bool) -> Answer:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "SCRIPT_NAME": "",
            "QUERY_STRING": "",
            "REMOTE_ADDR": peer or "",
            "wsgi.url_scheme": "https" if https else "http",
        }
        setup_testing_defaults(environ)
        for name, value in headers:
            key = "HTTP_" + name.upper().replace("-", "_")
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        app = validator(wsgi.AliasMiddleware(self._wsgi_app, tracker=self.tracker))
        return serve_wsgi(app, environ, self.on_chunk)

    def _wsgi_app(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        request = Seen(environ["REQUEST_METHOD"], environ["PATH_INFO"], seen)
        status, headers, chunks = self.handler(environ[wsgi.ENVIRON_KEY], request)
        start_response(f"{status} -", headers)
        return chunks

    def _ask_asgi(self, path: str, peer: str | None, method: str, headers: list[Header], https: bool) -> Answer:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "scheme": "https" if https else "http",
            "client": None if peer is None else (peer, 4711),
            "server": ("site.example", 80),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        }
        return asyncio.run(
            serve_asgi(asgi.AliasMiddleware(self.asgi_app, tracker=self.tracker), scope, self.on_chunk)
        )

    async def asgi_app(self, scope: Message, receive: Receive, send: Send) -> None:
        """The handler as an ASGI application."""
        seen = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        request = Seen(scope["method"], scope["path"], seen)
        status, headers, chunks = self.handler(scope[asgi.SCOPE_KEY], request)
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        try:
            for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            if close := getattr(chunks, "close", None):
                close()
        await send({"type": "http.response.body", "body": b""})


def serve_wsgi(
    app: Any, environ: dict[str, Any], on_chunk: Callable[[bytes], object] = lambda chunk: None
) -> Answer:
    """Serve one request as a WSGI server does: at the first chunk the headers are gone, `close` comes last."""
    head: list[tuple[str, list[Header]]] = []
    chunks: list[bytes] = []

    def start_response(status: str, headers: list[Header], exc_info: Any = None) -> Callable[[bytes], object]:
        assert exc_info is not None or not head, "start_response called twice"
        if exc_info is not None and chunks:
            raise exc_info[1].with_traceback(exc_info[2])
        head[:] = [(status, list(headers))]
        return send

    def send(chunk: bytes) -> None:
        on_chunk(chunk)
        if chunk:
            chunks.append(chunk)

    body = app(environ, start_response)
    try:
        for chunk in body:
            send(chunk)
    finally:
        if close := getattr(body, "close", None):
            close()
    (status, headers) = head[0]
    return Answer(int(status[:3]), headers, chunks)


async def serve_asgi(
    app: Any, scope: dict[str, Any], on_chunk: Callable[[bytes], object] = lambda chunk: None
) -> Answer:
    """Serve one request as an ASGI server does, and check the order of the messages."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert not sent
        else:
            assert message["type"] == "http.response.body"
            assert sent[-1].get("more_body", True)
            on_chunk(message["body"])
        sent.append(message)

    await app(scope, receive, send)
    assert not sent[-1].get("more_body", False)
    headers = [(name.decode(), value.decode("latin-1")) for name, value in sent[0]["headers"]]
    return Answer(sent[0]["status"], headers, [message["body"] for message in sent[1:] if message["body"]])
