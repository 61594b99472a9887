"""A small site behind either edge, for servers to import: `tests.servers.site_app:wsgi` and `:asgi`.

The settings of its tracker are in the environment.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from alias_middleware import Item, Tracker, Visitor, current_visitor
from alias_middleware import asgi as asgi_edge
from alias_middleware import wsgi as wsgi_edge
from tests.servers import SETTINGS

PAUSE = 0.01

tracker = Tracker(**json.loads(os.environ[SETTINGS]))


class Answer(NamedTuple):
    """What the site answers; `slow` says that it pauses before each chunk."""

    status: int
    kind: str
    chunks: list[bytes]
    slow: bool = False
    told: str = ""


def answer(visitor: Visitor, method: str, path: str, probes: Iterable[tuple[str, str]]) -> Answer:
    """Serve one request of the site, whatever the edge."""
    match method, path.strip("/").split("/"):
        case "POST", [action, what]:
            return _act(visitor, action, what)
        case "GET", ["slow", number, *_]:
            return Answer(200, "text/html", [b"<p>slowly</p>"] * int(number), slow=True)
        case "GET", ["process"]:
            return _text(json.dumps(_process()))
        case "GET", ["probe"]:
            return _text(json.dumps(list(probes)))
    body = visitor.alias or "unrecognised"
    return Answer(200, "text/html", [body.encode()], told=str(visitor.status))


def _act(visitor: Visitor, action: str, what: str) -> Answer:
    """Buy an order, or prefer a field a little more."""
    if action == "buy":
        ringtone = Item("rt-42", "Sonnerie", category="music", price=Decimal("3.00"))
        return _text(str(visitor.purchase(what, [ringtone], currency="EUR")))
    visitor.profile.increment(what)
    return _text("kept")


def _text(body: str) -> Answer:
    return Answer(200, "text/plain", [body.encode()])


def _process() -> dict[str, int]:
    """What this process holds, by the kernel's own count."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "threads": int(status["Threads"]),
        "rss_kb": int(status["VmRSS"].split()[0]),
        "files": len(os.listdir("/proc/self/fd")),
    }


class Descriptor:
    """An open file that only its descriptor gives: who reads it by Python fails."""

    def __init__(self, path: str) -> None:
        self._number = os.open(path, os.O_RDONLY)

    def fileno(self) -> int:
        return self._number

    def read(self, size: int = -1) -> bytes:
        raise OSError("read by Python, byte by byte")

    def close(self) -> None:
        os.close(self._number)


def wsgi_site(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The site as a WSGI application."""
    if environ["PATH_INFO"] == "/file":
        start_response(
            "200 -", [("Content-Type", "text/html"), ("Content-Length", str(os.stat(__file__).st_size))]
        )
        sent: Iterable[bytes] = environ["wsgi.file_wrapper"](Descriptor(__file__))
        return sent
    probes = [(name, value) for name, value in environ.items() if name.startswith("HTTP_X_PROBE")]
    given = answer(current_visitor.get(), environ["REQUEST_METHOD"], environ["PATH_INFO"], probes)
    start_response(f"{given.status} -", list(_headers(given).items()))
    return _slowly(given.chunks) if given.slow else given.chunks


def _slowly(chunks: Iterable[bytes]) -> Iterable[bytes]:
    for chunk in chunks:
        time.sleep(PAUSE)
        yield chunk


async def asgi_site(scope: Any, receive: Any, send: Any) -> None:
    """The site as an ASGI application."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    probes = [(name.decode(), value.decode()) for name, value in scope["headers"] if b"probe" in name]
    given = answer(current_visitor.get(), scope["method"], scope["path"], probes)
    headers = [(name.lower().encode(), value.encode()) for name, value in _headers(given).items()]
    await send({"type": "http.response.start", "status": given.status, "headers": headers})
    for chunk in given.chunks:
        if given.slow:
            await asyncio.sleep(PAUSE)
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _live(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _headers(given: Answer) -> dict[str, str]:
    length = sum(map(len, given.chunks))
    return {"Content-Type": given.kind, "Content-Length": str(length), "X-Told": given.told or "-"}


wsgi = wsgi_edge.AliasMiddleware(wsgi_site, tracker=tracker)
asgi = asgi_edge.AliasMiddleware(asgi_site, tracker=tracker)
