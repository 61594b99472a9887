"""Starting the servers users run, each in a process of its own, on the site of `site_app`."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any, NamedTuple

from alias_middleware import Tracker
from tests.servers import SETTINGS
from tests.servers.raw import Reply, ask
from tests.support.real import free_port, require_program, running, stop
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
GATEWAY = "127.0.0.6"


class Server(NamedTuple):
    """A server as users start it."""

    name: str
    command: Callable[[int | Path], list[str]]
    """Its program and the arguments that let it listen on a port or a Unix socket."""
    workers: int = 1
    starts_with: tuple[str, ...] = ()
    """What is in its log once all its workers are there, if it does not bear to be stopped before."""
    stops_by: signal.Signals = signal.SIGTERM
    """The signal at which it finishes what it serves."""
    unix_peer: str = "unix"
    """The member of `trusted_gateways` by which it calls whoever connects to its Unix socket."""

    keeps_connections: bool = True
    """Whether it answers several requests on one connection."""

    def __str__(self) -> str:
        return self.name


class Site:
    """A site's files, and whatever serves them."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.settings: dict[str, Any] = {
            "service": "sonneries",
            "storage": f"sqlite:///{folder}/alias.db",
            "trusted_gateways": [GATEWAY],
            "writer_interval": 0.1,
            **settings,
        }

    @contextmanager
    def served_by(self, server: Server, *, by_unix_socket: bool = False) -> Iterator[Served]:
        """Serve the site until the end of the block."""
        where = self.folder / "site.sock" if by_unix_socket else free_port()
        program, *arguments = server.command(where)
        command = [require_program(program), *arguments]
        # Servers import the site by its name; they run in the folder, where some leave files of their own.
        environment = {SETTINGS: json.dumps(self.settings), "PYTHONPATH": str(ROOT)}
        log = self.folder / "server.log"
        with running(command, port=where, log=log, environment=environment) as process:
            served = Served(where, process, log)
            wait_until(lambda: served.is_up(server.starts_with), f"{server.name} serves")
            try:
                yield served
            finally:
                stop(process, server.stops_by)

    @contextmanager
    def tracker(self) -> Iterator[Tracker]:
        """A tracker on the site's files, as a cron job has it: it drains nothing by itself."""
        tracker = Tracker(**{**self.settings, "writer": "external", "raise_errors": True})
        try:
            yield tracker
        finally:
            tracker.close()


class Served:
    """A running server."""

    def __init__(self, where: int | Path, process: Popen[bytes], log: Path) -> None:
        self.where = where
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        """What the server and the site wrote so far."""
        return self._log.read_text(errors="replace")

    def ask(self, method: str, path: str, *lines: str, source: str = GATEWAY) -> Reply:
        """Ask over a connection of its own, with header lines exactly as given."""
        return ask(self.where, [(method, path, lines)], source=source)[0]

    def is_up(self, log: Sequence[str]) -> bool:
        """Whether the site answers, and the log has these texts."""
        assert self.process.poll() is None, self.log
        try:
            return all(text in self.log for text in log) and self.ask("GET", "/process").status == 200
        except OSError:
            return False

    def held(self) -> dict[str, int]:
        """What the process that happens to answer holds."""
        held: dict[str, int] = json.loads(self.ask("GET", "/process").body)
        return held

    def reload(self) -> None:
        """Tell the server to change to new workers."""
        os.kill(self.process.pid, signal.SIGHUP)
