"""Processes that tests start, kill and count on: `python -m tests.support.processes ROLE DATABASE ...`.

Each prints `ready` when it is about to work. What it did is printed as a number, where somebody asks.
"""

from __future__ import annotations

import asyncio
import json
import logging
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alias_middleware import Item, Tracker, current_visitor
from alias_middleware.errors import StorageUnavailable
from alias_middleware.profile import ProfileChange
from alias_middleware.storage.sqlite import SQLiteStorage
from tests.support.waiting import PATIENCE, WaitedInVainError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ALIAS = "314522927347"
SERVICE = "sonneries"
ROOT = Path(__file__).parents[2]


class SteppedClock:
    """The machine's clock and the nanoseconds by which a test puts it wrong, which are in a file of 8 bytes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._error = mmap.mmap(os.open(path, os.O_RDONLY), 8, access=mmap.ACCESS_READ)

    def __call__(self) -> int:
        return time.time_ns() + int.from_bytes(self._error, "little", signed=True)

    @staticmethod
    def step(path: Path, seconds: float) -> None:
        """Put the clock wrong by so much."""
        with path.open("r+b") as file:
            file.write(round(seconds * 1e9).to_bytes(8, "little", signed=True))


def make_tracker(database: Path | str, **settings: Any) -> Tracker:
    """Make the tracker that all processes of a test share the files of; `clock` names a stepped clock's file."""
    if "clock" in settings:
        settings["clock"] = SteppedClock(settings["clock"])
    defaults: dict[str, Any] = {
        "storage": f"sqlite:///{database}",
        "trusted_gateways": ["127.0.0.1"],
        "writer_interval": 0.05,
    }
    return Tracker(service=SERVICE, **{**defaults, **settings})


@contextmanager
def process(
    role: str, *arguments: object, inherit: tuple[int, ...] = (), within: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    """Run a role, started by the command `within` if one is given; what is left of it at the end is killed."""
    command = [*within, sys.executable, "-m", f"{__package__}.processes", role, *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=inherit
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def wait_until_ready(started: subprocess.Popen[str]) -> None:
    """Wait for the line that says so."""
    assert started.stdout is not None
    if not select.select([started.stdout], [], [], PATIENCE)[0]:
        raise WaitedInVainError("waited in vain for a process to be ready")
    assert started.stdout.readline() == "ready\n"


def finish(started: subprocess.Popen[str]) -> int:
    """Tell a process to come to its end, and give the number it printed."""
    printed, _ = started.communicate(timeout=2 * PATIENCE)
    assert started.returncode == 0
    return int(printed.split()[-1])


def _tell(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def _act(path: str) -> None:
    """Do what the path says: buy an order of this name, or like the site."""
    match path.split("/"):
        case ["", "buy", order]:
            ringtone = Item("rt-42", "Sonnerie", price=Decimal("3.00"))
            current_visitor.get().purchase(order, [ringtone], currency="EUR")
        case ["", "like", *_]:
            current_visitor.get().profile.increment("likes")


def serve_asgi(database: str, descriptor: str, settings: str = "{}") -> None:
    """Serve pages with uvicorn on an open socket; under `/slow` after a moment."""
    import uvicorn

    from alias_middleware.asgi import AliasMiddleware

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/slow"):
            await asyncio.sleep(0.02)
        _act(scope["path"])
        headers = [(b"content-type", b"text/html"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    site = AliasMiddleware(app, tracker=make_tracker(database, **json.loads(settings)))
    config = uvicorn.Config(
        site, lifespan="off", log_level="critical", proxy_headers=False, timeout_graceful_shutdown=2
    )
    _tell("ready")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(descriptor))])
    site.tracker.close()


def serve_wsgi(database: str, descriptor: str, settings: str = "{}") -> None:
    """Serve pages with waitress on an open socket."""
    import waitress

    from alias_middleware.wsgi import AliasMiddleware

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        _act(environ["PATH_INFO"])
        start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "2")])
        return [b"ok"]

    site = AliasMiddleware(app, tracker=make_tracker(database, **json.loads(settings)))
    logging.getLogger("waitress").setLevel(logging.ERROR)  # it tells of every request that waits a moment
    server = waitress.create_server(site, sockets=[socket.socket(fileno=int(descriptor))], threads=4)
    _tell("ready")
    server.run()


class BusyStorage(SQLiteStorage):
    """A storage that is never in time to change a profile, so that every change goes through the spool."""

    def change_profile(self, namespace: str, change: ProfileChange, *, timeout: float) -> int:
        raise StorageUnavailable(reason="locked")


def append(database: str) -> None:
    """Record events and deferred increments for others to drain, until stdin ends; print how many of each."""
    tracker = make_tracker(database, storage=BusyStorage(f"sqlite:///{database}"), writer="external")
    visitor = tracker.visitor(ALIAS)
    _tell("ready")
    number = 0
    while not select.select([sys.stdin], [], [], 0.001)[0]:
        assert visitor.track(f"{os.getpid()}-{number}")
        visitor.profile.increment("shared", 1)
        number += 1
    tracker.close()
    _tell(number)


def drain(database: str) -> None:
    """Drain all that others record, for ever."""
    tracker = make_tracker(database, writer="external")
    tracker.drain()
    _tell("ready")
    while True:
        tracker.drain()
        time.sleep(0.002)


def increment(database: str, name: str, times: str, timeout: str) -> None:
    """Increment one field shared with others, and set one of its own, `times` times each."""
    tracker = make_tracker(database, storage_timeout=float(timeout))
    _tell("ready")
    sys.stdin.read(1)
    for number in range(int(times)):
        with tracker.visitor(ALIAS) as visitor:
            visitor.profile.increment("shared", 1)
            visitor.profile[name] = number
    tracker.close()
    _tell(times)


def mingle(database: str, way: str, name: str, timeout: str, notes: str) -> None:
    """Do things with one visitor, by threads or by tasks, until stdin ends, and write down what was done."""
    from tests.support.mingling import WAYS

    tracker = make_tracker(database, storage_timeout=float(timeout))
    _tell("ready")
    sys.stdin.read(1)
    deeds = WAYS[way](tracker, name, lambda: not select.select([sys.stdin], [], [], 0)[0])
    tracker.close()
    Path(notes).write_text(json.dumps(deeds))
    _tell(len(deeds))


def die(database: str, times: str) -> None:
    """Record events, then die without a word."""
    tracker = make_tracker(database, writer="external")
    for number in range(int(times)):
        tracker.visitor(ALIAS).track(f"last-words-{number}")
    os.kill(os.getpid(), signal.SIGKILL)


def fork(database: str, children: str, times: str) -> None:
    """Record in threads while forking children that record too; print how many were recorded in all."""
    tracker = make_tracker(database)
    stopping = threading.Event()
    recorded = [0] * 3

    def record(thread: int) -> None:
        while not stopping.is_set():
            tracker.visitor(ALIAS).track(f"thread-{thread}")
            recorded[thread] += 1
            time.sleep(0.0005)

    threads = [threading.Thread(target=record, args=(thread,)) for thread in range(3)]
    for thread in threads:
        thread.start()
    pids = []
    for _ in range(int(children)):
        pid = os.fork()
        if pid == 0:
            for number in range(int(times)):
                tracker.visitor(ALIAS).track(f"child-{number}")
            os._exit(0)
        pids.append(pid)
        time.sleep(0.01)
    statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    stopping.set()
    for thread in threads:
        thread.join()
    assert not any(statuses)
    tracker.close()
    _tell(sum(recorded) + int(children) * int(times))


def daemonise(database: str, own: str) -> None:
    """Record, then do as daemons do: fork, close every file, open others; record again and write to them."""
    tracker = make_tracker(database, writer="external")
    tracker.visitor(ALIAS).track("before")
    pid = os.fork()
    if pid == 0:
        os.closerange(3, 64)
        files = [os.open(own, os.O_CREAT | os.O_WRONLY | os.O_APPEND) for _ in range(32)]
        tracker.visitor(ALIAS).track("after")
        os._exit(
            0 if all(os.write(file, b"mine" if file == files[0] else b"") is not None for file in files) else 1
        )
    _tell(os.waitpid(pid, 0)[1])


ROLES: dict[str, Callable[..., None]] = {
    role.__name__: role
    for role in (serve_asgi, serve_wsgi, append, drain, increment, mingle, die, fork, daemonise)
}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])
