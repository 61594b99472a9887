"""Requests a second on the servers people use: bare, behind SessionMiddleware, and behind ours."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from alias_middleware import Tracker
from benchmarks.bytecode import as_installed
from benchmarks.figures import Figure
from benchmarks.rounds import Spread, ratio, spread
from benchmarks.served_app import SETTINGS

_ROOT = Path(__file__).parents[1]
_PATIENCE = 20.0
_VISITORS = 2_000
_APP = "benchmarks.served_app"
_BARE = "benchmarks.bare_app"
_ASGI = {"bare": f"{_BARE}:asgi", "session": f"{_APP}:asgi_session", "alias": f"{_APP}:asgi_alias"}
_IMPORTED = (_BARE, _APP, "alias_middleware.wsgi", "alias_middleware.storage.sqlite", "benchmarks.asgi_peers")

DRAINED = "alias, drained by another process"
"""The contender with `writer="external"` and `alias-middleware drain` beside it."""


class Server(NamedTuple):
    """How a server is started on a port with an app of `benchmarks.served_app`."""

    name: str
    command: Callable[[int, str], list[str]]
    apps: Mapping[str, str]
    least_of_bare: float | None = None


def _python(*arguments: str) -> list[str]:
    return [sys.executable, "-m", *arguments]


SERVERS = (
    Server(
        "uvicorn (uvloop, httptools)",
        lambda port, app: _python(
            "uvicorn", "--port", str(port), "--loop", "uvloop", "--http", "httptools", "--no-access-log",
            "--log-level", "warning", "--lifespan", "off", "--no-proxy-headers", app,
        ),
        {**_ASGI, DRAINED: _ASGI["alias"]},
        0.60,
    ),
    Server(
        "granian (ASGI)",
        lambda port, app: _python(
            "granian", "--interface", "asginl", "--port", str(port), "--no-ws", "--log-level", "warning",
            app,
        ),
        _ASGI,
        0.60,
    ),
    Server(
        "gunicorn (gthread)",
        lambda port, app: _python(
            "gunicorn", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "4",
            "--keep-alive", "30", "--log-level", "warning", app,
        ),
        {"bare": f"{_BARE}:wsgi", "alias": f"{_APP}:wsgi_alias"},
        0.60,
    ),
)  # fmt: skip


class Running(NamedTuple):
    """A started server. `drainer`: the process that drains its spool, where it does not do so itself."""

    port: int
    pid: int
    drainer: int | None = None

    def processor_time(self) -> Times:
        """How long all its processes have been running."""
        return Times(_processor_time(self.pid), 0.0 if self.drainer is None else _processor_time(self.drainer))


class Times(NamedTuple):
    """Seconds of processor time: the server's own, and of what drains its spool beside it."""

    server: float
    drainer: float


def server_figures(
    folder: Path, *, servers: Sequence[Server] = SERVERS, rounds: int = 7, seconds: float = 1.0
) -> Iterator[Figure]:
    """Serve with each contender in turn, round after round, all of them started and warm."""
    for server in servers:
        with ExitStack() as started:
            running = {
                name: started.enter_context(_contender(server, name, folder / server.name.split()[0]))
                for name in server.apps
            }
            measured = _rounds(running, rounds, seconds)
            yield from _compared(server, {name: [each.rate for each in those] for name, those in measured.items()})
            yield from _processors(measured)
            if "session" in server.apps:
                yield from _memory(server, running)


def backlog_figures(folder: Path, *, rounds: int = 3, seconds: float = 3.0) -> Iterator[Figure]:
    """What still waits in the spool right after a stretch in which uvicorn was as busy as it can be."""
    name = f"in the spool after {seconds:.0f} s of saturation, of all events"
    for contender, target in (("alias", 5.0), (DRAINED, None)):
        shares = [_backlog(contender, folder / f"backlog-{number}", seconds) for number in range(rounds)]
        yield Figure(name if target is not None else f"  {contender}", "%", spread(shares), target)


def _backlog(name: str, folder: Path, seconds: float) -> float:
    with _contender(SERVERS[0], name, folder) as running:
        _saturate(running.port, seconds)
        with closing(Tracker(**_given(name, folder), writer="external")) as tracker:
            counters: dict[str, Any] = tracker.counters()
    return 100 * float(counters["spooled"] / counters["seen"])


class Round(NamedTuple):
    """What a contender came to in one round: requests a second, and the microseconds of processor time for each.

    `server_us`: the server's own, without what drains its spool in a process beside it.
    """

    rate: float
    server_us: float
    whole_us: float


def _rounds(running: Mapping[str, Running], rounds: int, seconds: float) -> dict[str, list[Round]]:
    """Saturate all contenders in turn; every round begins with another, and the first only warms up."""
    names = list(running)
    measured: dict[str, list[Round]] = {name: [] for name in names}
    for turn in range(-1, rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            before = running[name].processor_time()
            rate = _saturate(running[name].port, seconds)
            after = running[name].processor_time()
            if turn >= 0:
                server = after.server - before.server
                whole = server + after.drainer - before.drainer
                requests = rate * seconds / 1e6
                measured[name].append(Round(rate, server / requests, whole / requests))
    return measured


def _compared(server: Server, rates: Mapping[str, list[float]]) -> Iterator[Figure]:
    of_bare = spread(ratio(rates["alias"], rates["bare"]))
    yield Figure(f"{server.name}: requests a second, of bare", "", of_bare, server.least_of_bare, at_least=True)
    if DRAINED in rates:
        yield Figure(f"  {DRAINED}", "", spread(ratio(rates[DRAINED], rates["bare"])))
    if "session" in rates:
        of_session = spread(ratio(rates["alias"], rates["session"]))
        target = 1.4 if server is SERVERS[0] else None
        yield Figure(
            f"{server.name}: requests a second, of SessionMiddleware's", "", of_session, target, at_least=True
        )
    for name, each in rates.items():
        yield Figure(f"  {name}", "a second", spread(each))


def _processors(measured: Mapping[str, list[Round]]) -> Iterator[Figure]:
    """What each takes of a processor, however many there are for server, drainer and load generator to share."""
    whole = {name: [each.whole_us for each in those] for name, those in measured.items()}
    for name in sorted({"alias", DRAINED} & whole.keys()):
        added = [more - less for more, less in zip(whole[name], whole["bare"], strict=True)]
        yield Figure(f"  {name}: processor time added to a request, writer included", "us", spread(added))
    if DRAINED in measured:
        server = {name: [each.server_us for each in those] for name, those in measured.items()}
        for peer, whose in (("bare", "bare's"), ("session", "SessionMiddleware's")):
            of_peer = spread(ratio(server[peer], server[DRAINED]))
            yield Figure(f"  {DRAINED}: requests in a second of the server's processor, of {whose}", "", of_peer)


def _memory(server: Server, running: Mapping[str, Running]) -> Iterator[Figure]:
    more = (_resident(running["alias"].pid) - _resident(running["bare"].pid)) / 1e6
    target = 20.0 if server is SERVERS[0] else None
    yield Figure(f"{server.name}: memory over the bare app", "MB", Spread(more, more, more), target)


@contextmanager
def _contender(server: Server, name: str, folder: Path) -> Iterator[Running]:
    """Start a server with one of its apps, and what drains the spool beside it."""
    given = _given(name, folder)
    if name != DRAINED:
        with serving(server.command, server.apps[name], folder, given) as running:
            yield running
        return
    with (
        serving(server.command, server.apps[name], folder, {**given, "writer": "external"}) as running,
        _draining(folder, given) as drainer,
    ):
        yield running._replace(drainer=drainer)


def _given(name: str, folder: Path) -> dict[str, Any]:
    return settings(folder / "drained" if name == DRAINED else folder)


@contextmanager
def _draining(folder: Path, given: Mapping[str, Any]) -> Iterator[int]:
    """Start the drainer of a site that may have recorded nothing yet, wait for it, and end it as its users do."""
    Path(f"{given['storage'].removeprefix('sqlite:///')}-spool").mkdir(mode=0o700, exist_ok=True)
    command = _python("alias_middleware", "drain", "--storage", given["storage"])
    environment = as_installed(folder, *_IMPORTED)
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            if process.stderr is None or not process.stderr.readline().startswith(b"Draining"):
                raise RuntimeError("the drainer does not start")
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_PATIENCE)


@contextmanager
def serving(
    command: Callable[[int, str], list[str]], app: str, folder: Path, given: Mapping[str, Any]
) -> Iterator[Running]:
    """Start a server on a free port, and end it as its users do."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    environment = {**as_installed(folder, *_IMPORTED), SETTINGS: json.dumps(given)}
    with subprocess.Popen(command(port, app), env=environment, cwd=_ROOT) as process:
        try:
            _wait(process, port)
            yield Running(port, process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def settings(folder: Path) -> dict[str, Any]:
    """The tracker's settings for a site in a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "service": "sonneries",
        "storage": f"sqlite:///{folder / 'alias.db'}",
        "trusted_gateways": ["127.0.0.1"],
    }


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the server does not start") from None
            time.sleep(0.05)
        else:
            return


def _saturate(port: int, seconds: float) -> float:
    """Requests a second that the load generator got answered."""
    arguments = [str(port), str(seconds), str(_VISITORS)]
    ran = subprocess.run(_python("benchmarks.load", *arguments), cwd=_ROOT, capture_output=True, check=True)
    answers, spent = ran.stdout.split()
    return int(answers) / float(spent)


def _resident(pid: int) -> int:
    """The bytes of memory that a process and its children have to themselves and others."""
    own = sum(
        int(line.split()[1]) * 1024
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    )
    return own + sum(map(_resident, _children(pid)))


def _processor_time(pid: int) -> float:
    """Seconds that the threads of a process and of its children have been running."""
    own = sum(int(each.read_text().split()[0]) for each in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    return own + sum(map(_processor_time, _children(pid)))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
