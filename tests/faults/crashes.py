"""kill -9, again and again, of workers and of the drainer while phones browse."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import time
from contextlib import AbstractContextManager
from pathlib import Path

from tests.faults.load import Reckoning, mixed, reckon
from tests.support.processes import make_tracker, process, wait_until_ready

_EXTERNAL = json.dumps({"writer": "external"})
_LONGEST_LIFE = 0.4


class Cast:
    """Two workers, one on each edge, on one socket, and a drainer: each begins anew when it was killed.

    The first worker would drain too: whoever holds the lock when it is killed leaves it to another.
    """

    def __init__(self, database: Path, listener: socket.socket) -> None:
        fileno = listener.fileno()
        self._inherit = (fileno,)
        self._roles: dict[str, tuple[object, ...]] = {
            "serve_asgi": (database, fileno),
            "serve_wsgi": (database, fileno, _EXTERNAL),
            "drain": (database,),
        }
        self._contexts: dict[str, AbstractContextManager[subprocess.Popen[str]]] = {}
        self._running: dict[str, subprocess.Popen[str]] = {}

    @property
    def names(self) -> list[str]:
        return list(self._roles)

    def begin(self, name: str) -> None:
        """Start one, and wait until it is at work."""
        context = process(name, *self._roles[name], inherit=self._inherit)
        self._running[name] = context.__enter__()
        self._contexts[name] = context
        wait_until_ready(self._running[name])

    def kill(self, name: str) -> None:
        """Kill one where it stands."""
        self._running[name].kill()
        self._running[name].wait()
        self._contexts.pop(name).__exit__(None, None, None)

    def end(self) -> None:
        for name in list(self._contexts):
            self.kill(name)


def crash(folder: Path, *, kills: int, seed: int) -> Reckoning:
    """Kill a random one at a random moment, so many times, and reckon up at the end."""
    dice = random.Random(seed)
    database = folder / "alias.db"
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        cast = Cast(database, listener)
        try:
            for name in cast.names:
                cast.begin(name)
            with mixed(listener.getsockname()[1]) as clients:
                for _ in range(kills):
                    clients.served(dice.randrange(20, 100))
                    time.sleep(dice.uniform(0, _LONGEST_LIFE))  # anywhere between two batches, or within one
                    name = dice.choice(cast.names)
                    cast.kill(name)
                    cast.begin(name)
                clients.served(20)
        finally:
            cast.end()
    tracker = make_tracker(database, writer="external")
    try:
        return reckon(tracker, clients)
    finally:
        tracker.close()
