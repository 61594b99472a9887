"""One page for servers to import by name, bare and behind each middleware: `benchmarks.served_app:asgi_alias`.

The settings of the tracker are in the environment; what is not asked for is not made.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from alias_middleware.tracker import Tracker
from alias_middleware.wsgi import ENVIRON_KEY, AliasMiddleware
from benchmarks import asgi_peers

SETTINGS = "ALIAS_BENCH_SETTINGS"
BODY = b"<!doctype html><title>Sport</title><p>The news of the day."
_HEADERS = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(BODY)))]


def _plain_wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", _HEADERS)
    return [BODY]


def _reading_wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    environ[ENVIRON_KEY].profile.get("font")
    start_response("200 OK", _HEADERS)
    return [BODY]


def _tracker() -> Tracker:
    return Tracker(**json.loads(os.environ[SETTINGS]))


def __getattr__(name: str) -> Any:
    match name:
        case "asgi_bare":
            return asgi_peers.plain
        case "asgi_session":
            return asgi_peers.behind_session()
        case "asgi_alias":
            return asgi_peers.behind_alias(asgi_peers.reading_a_profile, _tracker())
        case "wsgi_bare":
            return _plain_wsgi
        case "wsgi_alias":
            return AliasMiddleware(_reading_wsgi, tracker=_tracker())
    raise AttributeError(name)
