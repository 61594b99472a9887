"""The SQLite storage's files and connections, opened anew after a fork or when a file was replaced."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import WeakSet

import msgspec

from alias_middleware.errors import StorageCorrupt, StorageError, StorageUnavailable
from alias_middleware.storage.sqlite.connection import Connection
from alias_middleware.storage.sqlite.schema import HISTORY, PREFERENCES, migrate
from alias_middleware.storage.sqlite.shelf import Shelf, identity_of

_READ_TIMEOUT_SECONDS = 0.05
_OPENING_TIMEOUT_SECONDS = 2.0
_SWITCH_ATTEMPTS = 20
_SWITCH_PAUSE_SECONDS = 0.005
_LONG_LOG_BYTES = 8 << 20
_MOST_IDLE = 16
_CHECKPOINT_PAGES = 8_000
"""So long a log is checkpointed by who commits next: batches change the same pages again and again, and the longer
the log the fewer of them are written to the file."""

_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_REASONS = {
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_FULL: "disk_full",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_CANTOPEN: "cannot_open",
    sqlite3.SQLITE_IOERR: "io_error",
}
_ERRNO_REASONS = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EROFS: "read_only",
    errno.EACCES: "read_only",
    errno.EPERM: "read_only",
    errno.ENOENT: "cannot_open",
    errno.ENOTDIR: "cannot_open",
    errno.EMFILE: "cannot_open",
}

_SCHEMAS = (("main", HISTORY, "FULL"), ("preferences", PREFERENCES, "NORMAL"))
"""A batch is on the disk before its spool is deleted; a preference survives the death of any process."""

DRIVER_ERRORS = (sqlite3.Error, OSError, msgspec.DecodeError)
"""What reading and writing the files may raise; `Files.failure` wraps it."""


class Files:
    """Where the history and the preferences are, and this process's connections to them.

    Connections are taken for one use each and given back; threads and greenlets come and go without any.
    """

    def __init__(self, path: Path) -> None:
        """Keep history in `path` and preferences beside it. Nothing is opened yet."""
        self.history = path
        self.preferences = path.with_name(path.name + "-preferences")
        self.shelf = Shelf(self.history, self.preferences)
        self._pid = os.getpid()
        self._idle: list[Connection] = []
        self._inherited: list[Connection] = []
        self._opening = threading.Lock()
        _of_this_process.add(self)

    def take(self, *, look: bool = False, batch: bool = False) -> Connection:
        """Give a connection for one use, to be given back with `give`.

        Whether the files are still the same is looked at when asked, and otherwise now and then, which keeps a
        read fast. Batches get the same one each time, if it is there: what another writes ends what it remembers.
        """
        if self._pid != os.getpid():
            self._leave_to_parent()
        if look:
            self.shelf.look()
        else:
            self.shelf.look_if_due()
        try:
            held = self._idle.pop(0 if batch else -1)
        except IndexError:
            return self._connect()
        if held.files != self.shelf.files:
            held.close()
            self.close()
            return self._connect()
        if held.timeout != _READ_TIMEOUT_SECONDS:
            held.wait(_READ_TIMEOUT_SECONDS)
        return held

    def give(self, held: Connection) -> None:
        """Take a connection back."""
        if len(self._idle) < _MOST_IDLE:
            self._idle.insert(0 if held.remembers else _MOST_IDLE, held)
        else:
            held.close()

    def preferences_log_is_long(self) -> bool:
        """Tell whether the writer should spare requests a checkpoint of the preferences."""
        path = self.preferences
        try:
            return path.with_name(path.name + "-wal").stat().st_size > _LONG_LOG_BYTES
        except FileNotFoundError:
            return False

    def _leave_to_parent(self) -> None:
        """After a fork: a connection given back in its last moment is the parent's; closing it is not ours."""
        self._opening = threading.Lock()
        self._pid = os.getpid()
        self._inherited += self._idle
        self._idle = []

    def _connect(self) -> Connection:
        """Open both files, one thread at a time: who makes them keeps the others waiting, not failing."""
        with self._opening:
            return self._open()

    def _open(self) -> Connection:
        for path in (self.history, self.preferences):
            create_private(path)
        files = identity_of(self.history, self.preferences)
        sql = sqlite3.connect(
            self.history, timeout=_OPENING_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            sql.execute("ATTACH DATABASE ? AS preferences", (str(self.preferences),))
            for schema, steps, synchronous in _SCHEMAS:
                log_ahead(sql, schema)
                sql.execute(f"PRAGMA {schema}.synchronous = {synchronous}")
                migrate(sql, schema, steps)
            sql.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            sql.execute("PRAGMA secure_delete = ON")
        except BaseException:
            sql.close()
            raise
        self.shelf.look()  # if they were replaced since, the connection is not used again
        held = Connection(sql, files, self.shelf, _OPENING_TIMEOUT_SECONDS)
        if not self.shelf.keeps:
            self._make_versions(held)
        held.wait(_READ_TIMEOUT_SECONDS)
        return held

    def _make_versions(self, held: Connection) -> None:
        """Make the file without which nothing is kept: many a site would wait long for the change that makes it.

        It is left to that change where somebody holds the lock, the disk has no room, or the preferences are
        another user's, who could not use our file.
        """
        with suppress(sqlite3.Error, OSError):
            if self.preferences.stat().st_uid == os.geteuid():
                with held.preferences_transaction(0):
                    self.shelf.versions_to_renew()

    def __del__(self) -> None:
        """Close what nobody closed: from Python 3.13 on a forgotten connection warns."""
        if hasattr(self, "_idle"):
            self.close()

    def close(self) -> None:
        """Close the connections that are not in use, and forget what was read."""
        self.shelf.close()
        if self._pid == os.getpid():
            idle, self._idle = self._idle, []
            for held in idle:
                held.close()

    def failure(self, held: Connection | None, error: Exception) -> StorageError:
        """Wrap a driver's error; a connection that may have gone bad with it is closed, others too."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if held is not None:
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                self.give(held)
            else:
                held.close()
                self.close()
        if isinstance(error, msgspec.DecodeError):
            return StorageCorrupt("a row does not decode")
        if code in _CORRUPT:
            return StorageCorrupt(f"SQLite cannot read its files: {error}")
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_CONSTRAINT_TRIGGER:  # see `seal`
            return StorageUnavailable("its data are being moved, or were", reason="sealed")
        reason = _REASONS.get(code) or _ERRNO_REASONS.get(getattr(error, "errno", None) or 0, "error")
        return StorageUnavailable(f"SQLite: {error}", reason=reason)

    @contextmanager
    def wrapped(self, *, batch: bool = False) -> Iterator[Connection]:
        """Give a connection to the files as they are now; wrap what the driver or the file system raises."""
        held: Connection | None = None
        try:
            held = self.take(look=True, batch=batch)
            yield held
        except DRIVER_ERRORS as error:
            raise self.failure(held, error) from error
        except BaseException:
            if held is not None:
                self.give(held)
            raise
        self.give(held)


_of_this_process: WeakSet[Files] = WeakSet()


def _close_before_fork() -> None:
    """Let a child inherit no connection.

    SQLite in the child would take the parent's locks for its own and take none itself: the parent, when it
    closes, would delete the log that the child writes to. See https://www.sqlite.org/howtocorrupt.html, 2.6.
    """
    for files in list(_of_this_process):
        files.close()


os.register_at_fork(before=_close_before_fork)


def log_ahead(sql: sqlite3.Connection, schema: str) -> None:
    """Switch a file to its write-ahead log.

    Where several processes open a new file at once SQLite refuses all but one, without waiting: they would wait
    for each other.
    """
    for attempt in range(_SWITCH_ATTEMPTS):
        try:
            sql.execute(f"PRAGMA {schema}.journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or attempt == _SWITCH_ATTEMPTS - 1:
                raise
            time.sleep(_SWITCH_PAUSE_SECONDS)
        else:
            return


def create_private(path: Path) -> None:
    """Make a missing file readable by its owner only: it will hold personal data."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
