"""The page for servers to import by name, behind each middleware: `benchmarks.served_app:asgi_alias`.

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
from benchmarks.bare_app import wsgi

SETTINGS = "ALIAS_BENCH_SETTINGS"


def _reading_wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    environ[ENVIRON_KEY].profile.get("font")
    return wsgi(environ, start_response)


def _tracker() -> Tracker:
    return Tracker(**json.loads(os.environ[SETTINGS]))


def __getattr__(name: str) -> Any:
    match name:
        case "asgi_session":
            return asgi_peers.behind_session()
        case "asgi_alias":
            return asgi_peers.behind_alias(asgi_peers.reading_a_profile, _tracker())
        case "wsgi_alias":
            return AliasMiddleware(_reading_wsgi, tracker=_tracker())
    raise AttributeError(name)
