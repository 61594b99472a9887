"""The servers that libraries are pointed at, on free loopback ports: Redis, and one that counts events."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

_ROOT = Path(__file__).parents[2]
_PATIENCE = 20.0


class RedisServer:
    """A Redis of our own. `appended`: with an append-only file; else with the snapshots that are its default."""

    def __init__(self, folder: Path, *, appended: bool) -> None:
        self.port = _free_port()
        self._folder = folder
        self._options = ["--appendonly", "yes" if appended else "no"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder)]
        self._process = subprocess.Popen([*command, *self._options], stdout=subprocess.DEVNULL)
        end = time.monotonic() + _PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("Redis does not start")
            time.sleep(0.01)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it: SIGKILL leaves it no time to write anything down."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_PATIENCE)
            self._process = None

    def _answers(self) -> bool:
        """Whether it has read its files and takes commands."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def has_redis() -> bool:
    return shutil.which("redis-server") is not None


@contextmanager
def redis_server(folder: Path, *, appended: bool) -> Iterator[RedisServer | None]:
    """Run Redis, where it is installed."""
    if not has_redis():
        yield None
        return
    server = RedisServer(folder, appended=appended)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def event_counter() -> Iterator[int]:
    """Run a server that counts the events of PostHog's SDK, in a process of its own; give its port."""
    command = [sys.executable, "-m", "benchmarks.compare.events"]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE) as process:
        try:
            yield int(process.stdout.readline())  # type: ignore[union-attr]
        finally:
            process.terminate()


def events_at(port: int) -> int:
    """Ask how many different events have arrived, once no more are coming."""
    before, now = -1, 0
    while now != before:
        before = now
        time.sleep(0.2)
        with urlopen(f"http://127.0.0.1:{port}/", timeout=_PATIENCE) as answer:
            now = int(answer.read())
    return now


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
