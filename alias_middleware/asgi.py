"""The ASGI edge: translates scope and messages for the tracker; decides nothing.

The only file on the request path that says `async`. What blocks is done in one hop on the tracker's own
threads; a request without an alias never hops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeVar

from alias_middleware.exchange import Exchange, Request
from alias_middleware.tracker import Tracker
from alias_middleware.visitor import current_visitor

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

SCOPE_KEY = "alias_middleware.visitor"
"""Where a raw ASGI app finds its visitor in the scope."""

Result = TypeVar("Result")


class AliasMiddleware:
    """Gives an ASGI application login-free visitors: `app.add_middleware(AliasMiddleware, ...)`."""

    def __init__(self, app: ASGIApp, *, tracker: Tracker | None = None, **settings: Any) -> None:
        """Wrap `app` with a tracker, or with one made of the settings.

        Raises:
            SettingsError: a setting is missing or wrong.
        """
        self.app = app
        self.tracker = tracker if tracker is not None else Tracker(**settings)
        self._watched = self.tracker.watched
        self._hidden = self.tracker.hidden
        self._reads_block = self.tracker.storage.abilities.reads_block

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; scopes other than http and websocket pass through untouched."""
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        exchange = await self._recognise(scope)
        visitor = exchange.visitor
        visitor.live = kind == "websocket"
        scope[SCOPE_KEY] = visitor
        scope.setdefault("state", {})["visitor"] = visitor
        token = current_visitor.set(visitor)
        try:
            await self.app(scope, receive, self._sender(exchange, scope, send))
        finally:
            current_visitor.reset(token)
            if exchange.has_work():
                await self._hop(exchange.commit)

    async def _recognise(self, scope: Scope) -> Exchange:
        """Recognise the visitor and keep the operator's headers from the app."""
        headers = scope["headers"]
        noticed = [pair for pair in headers if pair[0] in self._watched]
        client = scope.get("client")
        request = Request(
            noticed=noticed,
            peer=client[0] if client else None,
            method=scope.get("method", ""),
            path=scope["path"],
            secure=scope.get("scheme") in ("https", "wss"),
        )
        if not noticed:
            return self.tracker.exchange(request)
        scope["headers"] = [pair for pair in headers if pair[0] not in self._hidden]
        if not self._reads_block:
            return self.tracker.exchange(request)
        exchange = await self._hop(lambda: self.tracker.exchange(request))
        if exchange.visitor.recognition.alias is not None:
            await self._hop(exchange.visitor.load)
        return exchange

    def _sender(self, exchange: Exchange, scope: Scope, send: Send) -> Send:
        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = await self._start(exchange, scope, message)
            elif exchange.has_work():
                await self._hop(exchange.commit)
            await send(message)

        return send_on

    async def _start(self, exchange: Exchange, scope: Scope, message: Message) -> Message:
        """Record, commit, and say what the answer depends on."""
        content_type = vary = b""
        has_cache_control = False
        headers = message.get("headers", ())
        for name, value in headers:
            lowered = name.lower()
            if lowered == b"content-type":
                content_type = value
            elif lowered == b"vary":
                vary = vary + b", " + value if vary else value
            elif lowered == b"cache-control":
                has_cache_control = True
        exchange.started(message["status"], content_type.decode("latin-1"), lambda: _accept(scope))
        if exchange.has_work():
            await self._hop(exchange.commit)
        added = exchange.answer_headers(vary.decode("latin-1"), has_cache_control=has_cache_control)
        if not added:
            return message
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in added]
        if any(name == b"vary" for name, _ in raw):
            headers = [pair for pair in headers if pair[0].lower() != b"vary"]
        return {**message, "headers": [*headers, *raw]}

    async def _hop(self, work: Callable[[], Result]) -> Result:
        """Do blocking work on the tracker's threads; once begun it is finished even if we are cancelled.

        Under an event loop that is not asyncio's (trio) it is done in place.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return work()
        return await asyncio.shield(loop.run_in_executor(self.tracker.executor(), work))


def _accept(scope: Scope) -> str:
    return ", ".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"accept")
