"""Real programs that tests talk to: found, started on free loopback ports, and stopped by their own pid."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

_PATIENCE = 20.0


def require_program(name: str) -> str:
    """Give the path of a program; without it the test is skipped, or fails where ALIAS_REQUIRE_REAL=1."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if path is not None:
        return path
    reason = f"{name} is not installed"
    if os.environ.get("ALIAS_REQUIRE_REAL") == "1":
        pytest.fail(f"{reason}, and ALIAS_REQUIRE_REAL=1 forbids a skip")
    pytest.skip(reason)


def free_port() -> int:
    """Give a port of 127.0.0.1 that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds; fail, saying what was waited for, when it does not."""
    end = time.monotonic() + _PATIENCE
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, f"waited in vain until {what}"
        pause.wait(0.02)


def listens(port: int) -> bool:
    """Tell whether somebody listens on a port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def running(command: Sequence[str], *, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the end of the block, once it listens on its port; what it writes goes to a file."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        wait_until(lambda: process.poll() is not None or listens(port), f"{command[0]} listens")
        assert process.poll() is None, log.read_text(errors="replace")
        yield process
    finally:
        process.terminate()
        process.wait(_PATIENCE)
