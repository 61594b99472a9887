"""An ASGI server and an app that keep to a drawn request and a drawn way to answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

from alias_middleware import Visitor
from alias_middleware.asgi import SCOPE_KEY, AliasMiddleware, ASGIApp, Message, Receive, Scope, Send
from tests.fuzz import deeds
from tests.fuzz.answers import AppError, ServerError, Style
from tests.fuzz.requests import Request
from tests.fuzz.trial import Trial

_FOREIGN = ("lifespan", "tcp", "")


def scope_of(request: Request, dice: random.Random, kind: str) -> dict[str, Any]:
    """What a server makes of a request, some of what the specification lets it leave out being left out."""
    if kind in _FOREIGN:
        return {"type": kind}
    headers: Any = [(name, value) for name, value in request.headers]
    shape = dice.randrange(20)
    if shape == 0:
        headers = tuple(headers)
    elif shape == 1:
        headers = iter(headers)
    scope: dict[str, Any] = {
        "type": kind,
        "path": request.path,
        "raw_path": request.path.encode("utf-8", "surrogatepass"),
        "query_string": b"",
        "headers": headers,
        "client": None if request.peer is None else (request.peer, dice.choice([0, 4711])),
        "scheme": ("wss" if kind == "websocket" else "https") if request.secure else "http",
        "state": {},
    }
    if kind == "http":
        scope["method"] = request.method
    for key in ("client", "scheme", "state") if request.peer is None else ("scheme", "state"):
        if dice.random() < 0.05:
            del scope[key]
    return scope


def app_of(style: Style, trial: Trial, dice: random.Random) -> ASGIApp:
    """An app that answers in a given way."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in _FOREIGN:
            trial.foreign = scope
            return
        visitor = scope[SCOPE_KEY]
        names = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        trial.meet(visitor, names)
        assert scope["state"]["visitor"] is visitor
        messages = _websocket(style) if scope["type"] == "websocket" else _http(style)
        for message in messages:
            _step(trial, style, visitor, dice)
            if style.late:
                await receive()
            trial.sent.append(message)
            await send(message)
        _step(trial, style, visitor, dice)

    return app


def _http(style: Style, kind: str = "http.response") -> Iterator[Message]:
    headers: Any = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in style.headers]
    for _ in range(style.starts):
        start: Message = {"type": f"{kind}.start", "status": style.status, "headers": list(headers)}
        if style.way == "tuple":
            start["headers"] = tuple(headers)
        elif style.way == "generator":
            start["headers"] = iter(headers)
        yield start
    for chunk in style.chunks:
        yield {"type": f"{kind}.body", "body": chunk, "more_body": True}
    if style.way != "unfinished":
        yield {"type": f"{kind}.body"}


def _websocket(style: Style) -> Iterator[Message]:
    match style.way:
        case "talk":
            yield {"type": "websocket.accept"}
            for chunk in style.chunks:
                yield {"type": "websocket.send", "bytes": chunk}
            yield {"type": "websocket.close"}
        case "denial":
            yield from _http(style, "websocket.http.response")
        case "refusal":
            yield {"type": "websocket.close"}


def _step(trial: Trial, style: Style, visitor: Visitor, dice: random.Random) -> None:
    if trial.steps == style.fails_at:
        trial.steps += 1
        raise AppError
    trial.steps += 1
    trial.said += deeds.do(visitor, dice)


async def serve(edge: AliasMiddleware, style: Style, trial: Trial, scope: dict[str, Any]) -> None:
    """Serve one connection, and judge the app as servers do; the client may be gone, the request be cancelled."""
    task = asyncio.current_task()
    assert task is not None
    started = False

    async def receive() -> Message:
        await asyncio.sleep(0)
        return {"type": "http.disconnect" if style.gone_at >= 0 else "http.request", "body": b""}

    async def send(message: Message) -> None:
        nonlocal started
        if trial.messages == style.gone_at:
            if style.cancelled:
                task.cancel()
                await asyncio.sleep(0)
            raise ServerError
        if message["type"].endswith("response.start"):
            if started:
                raise ServerError
            started = True
        elif message["type"].endswith("response.body") and not started:
            raise ServerError
        trial.messages += 1
        trial.received.append(message)
        await asyncio.sleep(0)

    await edge(scope, receive, send)
