"""The SQLite storage's files and connections: one a thread, opened anew after a fork or a replaced file."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from alias_middleware.errors import StorageCorrupt, StorageError, StorageUnavailable
from alias_middleware.storage.sqlite.schema import HISTORY, PREFERENCES, migrate

_READ_TIMEOUT_SECONDS = 0.05
_REQUEST_CHECKPOINT_PAGES = 10_000
_LOOK_EVERY = 64

_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_REASONS = {
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_FULL: "disk_full",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_CANTOPEN: "cannot_open",
    sqlite3.SQLITE_IOERR: "io_error",
}

_SCHEMAS = (("main", HISTORY, "FULL"), ("preferences", PREFERENCES, "NORMAL"))
"""A batch is on the disk before its spool is deleted; a preference survives the death of any process."""

Identity = tuple[tuple[int, int] | None, ...]


class Connection:
    """One thread's connection to both files, and which files it was opened on."""

    __slots__ = ("_timeout", "files", "sql")

    def __init__(self, sql: sqlite3.Connection, files: Identity) -> None:
        """Hold an open connection."""
        self.sql = sql
        self.files = files
        self._timeout = _READ_TIMEOUT_SECONDS

    def wait(self, seconds: float) -> None:
        """Wait at most so long for another process's lock, from the next statement on."""
        if seconds != self._timeout:
            self.sql.execute(f"PRAGMA busy_timeout = {max(0, int(seconds * 1000))}")
            self._timeout = seconds

    @contextmanager
    def transaction(self, seconds: float) -> Iterator[sqlite3.Connection]:
        """Run a write transaction on the history file alone."""
        with self._transaction("DELETE FROM main.positions WHERE 0", seconds) as sql:
            yield sql

    @contextmanager
    def preferences_transaction(self, seconds: float) -> Iterator[sqlite3.Connection]:
        """Run a write transaction on the preferences file alone."""
        with self._transaction("DELETE FROM preferences.applied WHERE 0", seconds) as sql:
            yield sql

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Read everything as of one moment."""
        self.sql.execute("BEGIN")
        try:
            yield self.sql
        finally:
            with suppress(sqlite3.Error):
                self.sql.execute("COMMIT")

    @contextmanager
    def _transaction(self, lock: str, seconds: float) -> Iterator[sqlite3.Connection]:
        """Commit at the end, or roll back when anything is raised.

        BEGIN IMMEDIATE would lock every attached file; a first statement that changes nothing locks its own.
        """
        self.wait(seconds)
        self.sql.execute("BEGIN")
        try:
            self.sql.execute(lock)
            yield self.sql
            self.sql.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self.sql.execute("ROLLBACK")
            raise

    def checkpoint(self, *, truncate: bool = False) -> None:
        """Move what both write-ahead logs hold into their files, as far as readers allow."""
        for schema in ("main", "preferences"):
            with suppress(sqlite3.OperationalError):
                self.sql.execute(f"PRAGMA {schema}.wal_checkpoint({'TRUNCATE' if truncate else 'PASSIVE'})")


class Files:
    """Where the history and the preferences are, and this process's connections to them."""

    def __init__(self, path: Path) -> None:
        """Keep history in `path` and preferences beside it. Nothing is opened yet."""
        self.history = path
        self.preferences = path.with_name(path.name + "-preferences")
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._local = threading.local()
        self._open: list[Connection] = []
        self._reads = 0

    def reading(self) -> sqlite3.Connection:
        """Give this thread's connection for a read.

        Whether the files are still the same is looked at every 64th time, which keeps a read fast.
        """
        self._reads += 1
        held: Connection | None = getattr(self._local, "held", None)
        if held is None or self._pid != os.getpid() or self._reads % _LOOK_EVERY == 0:
            held = self.connection()
            held.wait(_READ_TIMEOUT_SECONDS)
        return held.sql

    def connection(self) -> Connection:
        """Give this thread's connection to the files as they are now, opening them when need be."""
        if self._pid != os.getpid():
            self._leave_to_parent()
        held: Connection | None = getattr(self._local, "held", None)
        if held is not None and held.files != self._identity():
            self.drop()
            held = None
        if held is None:
            held = self._connect()
            self._local.held = held
            with self._lock:
                self._open.append(held)
        return held

    def _leave_to_parent(self) -> None:
        """After a fork: the connections belong to the parent; closing them here would undo its locks."""
        kept = self._open
        self._lock = threading.Lock()
        self._forget()
        self._left = kept

    def _identity(self) -> Identity:
        return tuple(map(_file_identity, (self.history, self.preferences)))

    def _connect(self) -> Connection:
        for path in (self.history, self.preferences):
            _create_private(path)
        sql = sqlite3.connect(
            self.history, timeout=_READ_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            sql.execute("PRAGMA busy_timeout = 2000")
            sql.execute("ATTACH DATABASE ? AS preferences", (str(self.preferences),))
            for schema, steps, synchronous in _SCHEMAS:
                sql.execute(f"PRAGMA {schema}.journal_mode = WAL")
                sql.execute(f"PRAGMA {schema}.synchronous = {synchronous}")
                migrate(sql, schema, steps)
            sql.execute(f"PRAGMA wal_autocheckpoint = {_REQUEST_CHECKPOINT_PAGES}")
            sql.execute("PRAGMA secure_delete = ON")
            sql.execute(f"PRAGMA busy_timeout = {int(_READ_TIMEOUT_SECONDS * 1000)}")
        except BaseException:
            sql.close()
            raise
        return Connection(sql, self._identity())

    def drop(self) -> None:
        """Close this thread's connection; the next use opens the files again."""
        held: Connection | None = getattr(self._local, "held", None)
        if held is not None:
            self._local.held = None
            with self._lock, suppress(ValueError):
                self._open.remove(held)
            with suppress(sqlite3.Error):
                held.sql.close()

    def close(self) -> None:
        """Close every thread's connection."""
        if self._pid != os.getpid():
            return
        with self._lock:
            opened, self._open = self._open, []
            self._local = threading.local()
        for held in opened:
            with suppress(sqlite3.Error):
                held.sql.close()

    def failure(self, error: Exception) -> StorageError:
        """Wrap a driver's error, and drop a connection that may have gone bad with it."""
        if isinstance(error, StorageError):
            return error
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            self.drop()
        if code in _CORRUPT:
            return StorageCorrupt(f"SQLite cannot read its files: {error}")
        reason = _REASONS.get(code, "error")
        return StorageUnavailable(f"SQLite: {error}", reason=reason)

    @contextmanager
    def wrapped(self) -> Iterator[Connection]:
        """Give this thread's connection and wrap what the driver or the file system raises."""
        try:
            yield self.connection()
        except (sqlite3.Error, OSError) as error:
            raise self.failure(error) from error


def _file_identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _create_private(path: Path) -> None:
    """Make a missing file readable by its owner only: it will hold personal data."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
