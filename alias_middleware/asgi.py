"""The ASGI edge: translates scope and messages for the tracker; decides nothing.

The only file on the request path that says `async`. What blocks is done in one hop on the tracker's own
threads; a request without an alias never hops.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeVar

import msgspec

from alias_middleware.discreet import Discreet
from alias_middleware.exchange import Exchange, Pair, Request
from alias_middleware.tracker import Tracker, chosen
from alias_middleware.visitor import make_current, restore_current

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

SCOPE_KEY = "alias_middleware.visitor"
"""Where a raw ASGI app finds its visitor in the scope."""

_SECURE = ("https", "wss")
_STARTS = ("http.response.start", "websocket.http.response.start")

Result = TypeVar("Result")

if sys.version_info >= (3, 12):
    _mark_coroutine_function = inspect.markcoroutinefunction
else:

    def _mark_coroutine_function(function: Any) -> None:
        """Have `asyncio.iscoroutinefunction` know a function for one, as asgiref does it before Python 3.12."""
        function._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]


class AliasMiddleware:
    """Gives an ASGI application login-free visitors: `app.add_middleware(AliasMiddleware, ...)`."""

    def __init__(self, app: ASGIApp, /, *, tracker: Tracker | None = None, **settings: Any) -> None:
        """Wrap `app` with a tracker, or with one made of the settings.

        Raises:
            SettingsError: a setting is missing or wrong.
        """
        self.app = app
        self.tracker = chosen(tracker, settings)
        self._watched = self.tracker.watched
        self._hidden = self.tracker.hidden
        self._reads_block = self.tracker.storage.abilities.reads_block

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; scopes other than http and websocket pass through untouched."""
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            try:
                await self.app(scope, receive, send)
            finally:
                if kind == "lifespan":  # the server ends, some of them the process without a farewell
                    self.tracker.hand_on()
            return
        request = self._request(scope)
        if self._reads_block and request.noticed:
            exchange = await self._hop_to_load(request)
        else:
            exchange = self.tracker.exchange(request)
        visitor = exchange.visitor
        if kind == "websocket":
            visitor.live = True
        scope[SCOPE_KEY] = visitor
        # A copy: some servers share one mapping among the requests of a connection, which may be many visitors'.
        state = scope.get("state")
        scope["state"] = {**state, "visitor": visitor} if state else {"visitor": visitor}

        token = make_current(visitor)
        try:
            app = self.app  # called as `self.app`, it would be sought among the methods first
            await app(scope, receive, _Answer(self.tracker, exchange, scope, send).send)
        finally:
            try:  # noqa: SIM105 - `suppress` would cost more than all the rest of this method
                restore_current(token)
            except ValueError:  # closed in another context than it was called in
                pass
            if exchange.recognised and exchange.has_work():
                await _hop(self.tracker, exchange.commit)

    def _request(self, scope: Scope) -> Request:
        """Tell what is seen of the request, and keep the operator's headers from the app."""
        headers = scope["headers"]
        if type(headers) is not list:  # an iterable that may be good for one look only
            headers = scope["headers"] = list(headers)
        noticed: list[Pair] = []
        watched = self._watched
        for pair in headers:
            if pair[0] in watched:
                noticed.append(pair)  # noqa: PERF401 -- a comprehension costs a call, for each stranger too
        if noticed:
            kept = headers.copy()
            for pair in noticed:
                if pair[0] in self._hidden:
                    if kept[-1] is pair:  # where gateways put it: `remove` compares it with all before
                        kept.pop()
                    else:
                        kept.remove(pair)
            scope["headers"] = kept
        client = scope.get("client")
        return Request(
            noticed,
            client[0] if client else None,
            scope.get("method", ""),
            scope["path"],
            scope.get("scheme") in _SECURE,
        )

    async def _hop_to_load(self, request: Request) -> Exchange:
        """Recognise and read where reading waits for a network: not on the event loop, and only if need be."""
        if self.tracker.recognises_inline(request):
            exchange = self.tracker.exchange(request)
        else:
            exchange = await _hop(self.tracker, lambda: self.tracker.exchange(request))
        if exchange.visitor.recognition.alias is not None:
            await _hop(self.tracker, exchange.load)
        return exchange


class _Answer(Discreet, msgspec.Struct, eq=False):
    """What an app sends, on its way to the server: judged as it starts, and what the app changed committed before.

    `send` is what the app gets. A struct's bound method is made in half the time of a closure.
    """

    _tracker: Tracker
    _exchange: Exchange
    _scope: Scope
    _send: Send

    def __repr__(self) -> str:  # reporters of errors show the locals of every frame
        return f"<Answer of {self._exchange!r}>"

    def send(self, message: Message) -> Awaitable[None]:  # no coroutine of its own: it would take 0.3 us each time
        """Send a message on."""
        exchange = self._exchange
        if message["type"] in _STARTS:
            message = _started(exchange, self._scope, message)
        if exchange.recognised and exchange.has_work():
            return self._commit_and_send(message)
        send = self._send  # called as `self._send`, it would be sought among the methods first
        return send(message)

    async def _commit_and_send(self, message: Message) -> None:
        await _hop(self._tracker, self._exchange.commit)
        await self._send(message)


_mark_coroutine_function(_Answer.send)  # who calls it from a thread asks: asgiref warns of each that is none


async def _hop(tracker: Tracker, work: Callable[[], Result]) -> Result:
    """Do blocking work on the tracker's threads; once begun it is finished even if we are cancelled.

    Under an event loop that is not asyncio's (trio), and where no thread is to be had, it is done in place.
    """
    try:
        done = asyncio.get_running_loop().run_in_executor(tracker.executor(), work)
    except RuntimeError:
        return work()
    return await asyncio.shield(done)


def _started(exchange: Exchange, scope: Scope, message: Message) -> Message:
    """Have an answer judged as it starts, and say what it depends on."""
    headers = message.get("headers")
    if type(headers) is not list:  # an iterable that may be good for one look only
        message = {**message, "headers": list(headers or ())}
        headers = message["headers"]
    content_type = vary = cache_control = b""
    for name, value in headers:
        match name.lower():
            case b"content-type":
                content_type = content_type or value
            case b"vary":
                vary = vary + b", " + value if vary else value
            case b"cache-control":
                cache_control = cache_control + b", " + value if cache_control else value
    status = message["status"]
    exchange.started(status, content_type.decode("latin-1"), _accept(scope) if status == 304 else "")
    added = exchange.answer_headers(
        str(vary, "latin-1") if vary else "", str(cache_control, "latin-1") if cache_control else ""
    )
    if added is None:
        return message
    if vary and added.vary:
        headers = [pair for pair in headers if pair[0].lower() != b"vary"]
    return {**message, "headers": headers + added.raw}


def _accept(scope: Scope) -> str:
    return ", ".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"accept")
