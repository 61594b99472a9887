"""The dashboard in a WSGI site: requests below its path go to the Starlette app, all others to the site."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from a2wsgi import ASGIMiddleware
from starlette.applications import Starlette

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class Mounted:
    """A WSGI application with the dashboard below a path. After a fork each process runs its own event loop."""

    def __init__(self, site: WSGIApplication, prefix: str, app: Starlette) -> None:
        """Show `app` below `prefix`, such as "/stats"."""
        self._site = site
        self._prefix = prefix
        self._app = app
        self._lock = threading.Lock()
        self._bridge: tuple[int, Any] | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path != self._prefix and not path.startswith(f"{self._prefix}/"):
            return self._site(environ, start_response)
        script = environ.get("SCRIPT_NAME", "")
        inner = {**environ, "SCRIPT_NAME": script + self._prefix, "PATH_INFO": path[len(self._prefix) :] or "/"}
        inner.setdefault("REMOTE_PORT", "0")  # without one the bridge tells no address
        return [b"".join(self._here()(inner, start_response))]  # to its end: half read, its task would never end

    def _here(self) -> Any:
        """Give this process's bridge, made at its first request."""
        with self._lock:
            if self._bridge is None or self._bridge[0] != os.getpid():
                self._bridge = os.getpid(), ASGIMiddleware(cast(Any, self._app))
            return self._bridge[1]
