"""The servers that users run, in a thread of the test."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import uvicorn
import waitress.server
from waitress import wasyncore

from tests.support.waiting import PATIENCE, wait_until


@contextmanager
def waitress_server(application: Any) -> Iterator[int]:
    """Serve a WSGI application with waitress, and give its port."""
    server = waitress.server.create_server(application, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run, name="waitress")
    thread.start()
    try:
        yield int(server.effective_port)
    finally:
        server.trigger.pull_trigger(lambda: wasyncore.close_all(server._map, ignore_all=True))
        thread.join(PATIENCE)
        server.task_dispatcher.shutdown()


@contextmanager
def uvicorn_server(application: Any) -> Iterator[int]:
    """Serve an ASGI application with uvicorn, its peers as they are, and give its port."""
    config = uvicorn.Config(application, proxy_headers=False, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    thread = threading.Thread(target=server.run, args=([listener],), name="uvicorn")
    thread.start()
    try:
        wait_until(lambda: server.started, "uvicorn is started")
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listener.close()


class _ThreadingWSGIServer(ThreadingMixIn, WSGIServer):
    """A thread for each connection."""


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def wsgiref_server(application: Any) -> Iterator[int]:
    """Serve a WSGI application with the standard library's server, and give its port."""
    with _ThreadingWSGIServer(("127.0.0.1", 0), _QuietHandler) as server:
        server.set_app(application)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="wsgiref")
        thread.start()
        try:
            yield int(server.server_port)
        finally:
            server.shutdown()
            thread.join(PATIENCE)
