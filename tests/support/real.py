"""Real programs that tests talk to: found, started on free loopback ports, and stopped by their own pid."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE, wait_until

_RANDOM = random.SystemRandom()
_SYSTEM_PROGRAMS = "/usr/sbin:/usr/local/sbin:/sbin:/usr/lib/kannel/test"


def require_program(name: str) -> str:
    """Give the path of a program; without it the test is skipped, or fails where ALIAS_REQUIRE_REAL=1."""
    beside = Path(sys.executable).parent  # an environment's programs, whether it is activated or not
    path = shutil.which(name, path=beside) or shutil.which(name) or shutil.which(name, path=_SYSTEM_PROGRAMS)
    require(path is not None, f"{name} is not installed")
    return path or ""


def require(there: bool, reason: str) -> None:
    """Skip the test, or fail where ALIAS_REQUIRE_REAL=1, unless something is there."""
    if there:
        return
    if os.environ.get("ALIAS_REQUIRE_REAL") == "1":
        pytest.fail(f"{reason}, and ALIAS_REQUIRE_REAL=1 forbids a skip")
    pytest.skip(reason)


def require_module(name: str) -> None:
    """Skip the test, or fail where ALIAS_REQUIRE_REAL=1, unless a module can be imported."""
    require(find_spec(name) is not None, f"{name} is not installed")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Give a port that is free on every address, and that nobody else gets while this process lives.

    The system gives clients ports above these. Who was given one holds a name among the abstract sockets: two runs
    of the tests on one machine do not get in each other's way, however late they listen.
    """
    while True:
        port = _RANDOM.randint(20_000, 32_000)
        claim, probe = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_INET, kind)
        with suppress(OSError), claim, probe:
            claim.bind(f"\0alias-middleware-tests-{port}")
            probe.bind(("", port))
            claim.detach()  # it stays open until the process ends
            return port


def connect(where: int | Path, *, source: str = "") -> socket.socket:
    """Connect to a port of 127.0.0.1, from an address of this machine if one is given, or to a Unix socket."""
    if isinstance(where, int):
        source_address = (source, 0) if source else None
        return socket.create_connection(("127.0.0.1", where), timeout=PATIENCE, source_address=source_address)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(PATIENCE)
        connection.connect(str(where))
    except OSError:
        connection.close()
        raise
    return connection


def listens(where: int | Path) -> bool:
    """Tell whether somebody listens on a port of 127.0.0.1, or on a Unix socket."""
    try:
        connect(where).close()
    except OSError:
        return False
    return True


def is_open(port: int) -> bool:
    """Tell whether somebody listens on a port, without connecting: who does is taken for a box."""
    listening = f":{port:04X} 00000000:0000 0A"
    return listening in Path("/proc/net/tcp").read_text()


@contextmanager
def running(
    command: Sequence[str], *, port: int | Path, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the end of the block, once it listens on its port; what it writes goes to a file.

    `environment` is added to the test's own. One that does not stop when it is told to is killed, and the test
    fails.
    """
    env = {**os.environ, **(environment or {})}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, start_new_session=True
        )
    try:
        wait_until(lambda: process.poll() is not None or listens(port), f"{command[0]} listens")
        assert process.poll() is None, log.read_text(errors="replace")
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> int:
    """Tell a process to stop, and give how it ended.

    One that does not is killed with its workers, and the test fails.
    """
    process.send_signal(how)
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
