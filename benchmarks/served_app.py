"""The page for servers to import by name, behind each middleware: `benchmarks.served_app:asgi_alias`.

The settings of the tracker are in the environment. What is not asked for is neither made nor imported: a server's
memory is that of one middleware.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from benchmarks.bare_app import answer, wsgi

SETTINGS = "ALIAS_BENCH_SETTINGS"
_VISITOR = "alias_middleware.visitor"


async def _reading_asgi(scope: Any, receive: Any, send: Any) -> None:
    scope[_VISITOR].profile.get("font")
    await answer(send)


def _reading_wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    environ[_VISITOR].profile.get("font")
    return wsgi(environ, start_response)


def __getattr__(name: str) -> Any:
    match name:
        case "asgi_session":
            from benchmarks import asgi_peers

            return asgi_peers.behind_session()
        case "asgi_alias":
            from alias_middleware import asgi

            return asgi.AliasMiddleware(_reading_asgi, **_settings())
        case "wsgi_alias":
            from alias_middleware import wsgi as edge

            return edge.AliasMiddleware(_reading_wsgi, **_settings())
    raise AttributeError(name)


def _settings() -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(os.environ[SETTINGS])
    return settings
