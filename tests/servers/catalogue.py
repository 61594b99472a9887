"""The servers that are tested, as users start them."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from tests.servers.launch import ROOT, Server

SITE = "tests.servers.site_app"


def _gunicorn(name: str, *options: str, workers: int = 2) -> Server:
    def command(where: int | Path) -> list[str]:
        bind = f"127.0.0.1:{where}" if isinstance(where, int) else f"unix:{where}"
        base = ["--bind", bind, "--workers", str(workers), "--graceful-timeout", "10"]
        return ["gunicorn", *base, *options, f"{SITE}:wsgi"]

    return Server(name, command, workers)


def uwsgi(name: str, *options: str, workers: int = 2, program: Sequence[str] = ("uwsgi",)) -> Server:
    """uWSGI, the wheel of it or another `program`, told of its plugin before anything else."""

    def command(where: int | Path) -> list[str]:
        at = f"127.0.0.1:{where}" if isinstance(where, int) else str(where)
        base = ["--http-socket", at, "--master", "--processes", str(workers), "--need-app"]
        gracefully = ["--hook-master-start", "unix_signal:15 gracefully_kill_them_all"]
        site = ["--pythonpath", str(ROOT), "--module", f"{SITE}:wsgi", "--disable-logging"]
        return [*program, *base, *gracefully, *site, *options]

    return Server(name, command, workers, unix_peer="0.0.0.0", keeps_connections=False)


def _uvicorn(name: str, *options: str, workers: int = 1) -> Server:
    def command(where: int | Path) -> list[str]:
        at = ["--host", "127.0.0.1", "--port", str(where)] if isinstance(where, int) else ["--uds", str(where)]
        return ["uvicorn", *at, "--workers", str(workers), "--no-access-log", *options, f"{SITE}:asgi"]

    return Server(name, command, workers)


def _granian(name: str, interface: str, *options: str, workers: int = 1) -> Server:
    def command(where: int | Path) -> list[str]:
        at = ["--host", "127.0.0.1", "--port", str(where)] if isinstance(where, int) else ["--uds", str(where)]
        base = ["--interface", interface, "--workers", str(workers), "--backpressure", "16"]
        return ["granian", *at, *base, *options, f"{SITE}:{interface}"]

    # Told to stop before all its workers have started, it waits for ever for those that had not.
    return Server(name, command, workers, starts_with=tuple(f"Started worker-{n + 1}" for n in range(workers)))


def _hypercorn(name: str, *options: str, workers: int = 1) -> Server:
    def command(where: int | Path) -> list[str]:
        bind = f"127.0.0.1:{where}" if isinstance(where, int) else f"unix:{where}"
        base = ["--bind", bind, "--workers", str(workers), "--graceful-timeout", "10"]
        return ["hypercorn", *base, *options, f"{SITE}:asgi"]

    return Server(name, command, workers)


def _waitress(name: str, *options: str) -> Server:
    def command(where: int | Path) -> list[str]:
        at = f"--listen=127.0.0.1:{where}" if isinstance(where, int) else f"--unix-socket={where}"
        return ["waitress-serve", at, *options, f"{SITE}:wsgi"]

    return Server(name, command, stops_by=signal.SIGINT)  # SIGTERM ends it on the spot


GUNICORN = _gunicorn("gunicorn sync")
GTHREAD = _gunicorn("gunicorn gthread", "--threads", "4")
GEVENT = _gunicorn("gunicorn gevent", "--worker-class", "gevent")
PRELOAD = _gunicorn("gunicorn --preload", "--preload", "--threads", "4")
WAITRESS = _waitress("waitress")
UWSGI = uwsgi("uWSGI --threads", "--threads", "2")
UWSGI_BARE = uwsgi("uWSGI")
UVICORN = _uvicorn("uvicorn httptools", "--http", "httptools")
UVICORN_H11 = _uvicorn("uvicorn h11", "--http", "h11", "--loop", "asyncio", workers=2)
UVICORN_PAIR = _uvicorn("uvicorn, 2 workers", workers=2)
UVICORN_DIRECT = _uvicorn("uvicorn --no-proxy-headers", "--no-proxy-headers")
GRANIAN_WSGI = _granian("granian WSGI", "wsgi", workers=2)
GRANIAN_ASGI = _granian("granian ASGI", "asgi")
HYPERCORN = _hypercorn("hypercorn")

SERVERS = [
    GUNICORN,
    GTHREAD,
    GEVENT,
    PRELOAD,
    WAITRESS,
    UWSGI,
    UWSGI_BARE,
    UVICORN,
    UVICORN_H11,
    GRANIAN_WSGI,
    GRANIAN_ASGI,
    HYPERCORN,
]

PARSERS = [GTHREAD, WAITRESS, UWSGI_BARE, GRANIAN_WSGI, UVICORN, UVICORN_H11, GRANIAN_ASGI, HYPERCORN]
"""One server for each way of reading a request."""

RENEWED = [
    _gunicorn("gunicorn --max-requests", "--threads", "2", "--max-requests", "15"),
    uwsgi("uWSGI --max-requests", "--max-requests", "15"),
    _hypercorn("hypercorn --max-requests", "--max-requests", "15", workers=2),
]
"""Servers that change a worker for a new one after a few requests."""

RELOADED = [GTHREAD, PRELOAD, UVICORN_H11]
"""Servers that change all workers for new ones at SIGHUP.

granian now and then leaves a worker out, and then waits for it for ever when it is told to stop.

uWSGI starts its own program anew then, which is not its own where it was installed as a wheel.
"""
