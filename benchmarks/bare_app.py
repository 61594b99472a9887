"""The page that every contender serves, bare: nothing of ours or of a peer's is imported for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

PAGE = b"<!doctype html><title>Sport</title><p>The news of the day."
HEADERS = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(PAGE)))]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    await answer(send)


async def answer(send: Any) -> None:
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"%d" % len(PAGE))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE})


def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return [PAGE]
