"""One connection to the SQLite storage's two files: its transactions, and what it keeps in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from alias_middleware.storage.sqlite.shelf import Changes, Identity, Renew, Shelf

_LEAST_CACHE_PAGES, _MOST_CACHE_PAGES = 850, 4_000
_CACHED_SHARE = 50
"""Batches have a fiftieth of the history file in memory, 3.5 MB at least and 16 at most. With 4 MB a batch of
visitors who are anywhere in 800 MB costs 4 % more: it changes more pages, and some are read and written twice."""


class Connection:
    """A connection to both files, and which files it was opened on."""

    __slots__ = ("_shelf", "files", "remembers", "sql", "timeout")

    def __init__(self, sql: sqlite3.Connection, files: Identity, shelf: Shelf, timeout: float) -> None:
        """Hold an open connection, which waits so many seconds for another process's lock."""
        self.sql = sql
        self.files = files
        self._shelf = shelf
        self.timeout = timeout
        self.remembers = False
        """Whether it is the one for batches."""

    def close(self) -> None:
        """Close; a connection that failed may fail to."""
        with suppress(sqlite3.Error):
            self.sql.close()

    def wait(self, seconds: float) -> None:
        """Wait at most so long for another process's lock, from the next statement on."""
        if seconds != self.timeout:
            self.sql.execute(f"PRAGMA busy_timeout = {max(0, int(seconds * 1000))}")
            self.timeout = seconds

    def remember_much(self) -> None:
        """Keep more of the history file's pages in memory: batches come back to the same ones."""
        self.remembers = True
        (pages,) = self.sql.execute("PRAGMA main.page_count").fetchone()
        cached = min(max(pages // _CACHED_SHARE, _LEAST_CACHE_PAGES), _MOST_CACHE_PAGES)
        self.sql.execute(f"PRAGMA main.cache_size = {cached}")

    @contextmanager
    def transaction(self, seconds: float) -> Iterator[sqlite3.Connection]:
        """Run a write transaction on the history file alone."""
        with self._transaction("DELETE FROM main.positions WHERE 0", seconds) as sql:
            yield sql

    @contextmanager
    def preferences_transaction(self, seconds: float) -> Iterator[sqlite3.Connection]:
        """Run a write transaction on the preferences file alone that changes no profile."""
        with self._transaction("DELETE FROM preferences.applied WHERE 0", seconds) as sql:
            yield sql

    @contextmanager
    def profile_changes(self, seconds: float) -> Iterator[tuple[sqlite3.Connection, Renew]]:
        """Run a transaction on the preferences file that changes profiles, and renews their versions."""
        changes = Changes(self._shelf)
        try:
            with self.preferences_transaction(seconds) as sql:
                yield sql, changes.begin
        finally:
            if not self.sql.in_transaction:
                changes.end()

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

        BEGIN IMMEDIATE would lock every attached file; a first statement that changes nothing locks its own. What
        SQLite needs to undo a statement that changes many rows stays in memory meanwhile: it would be a file among
        the system's temporary ones, on who knows which disk, with whole pages of visitors' rows.
        """
        self.wait(seconds)
        self.sql.execute("PRAGMA temp_store = MEMORY")
        self.sql.execute("BEGIN")
        try:
            self.sql.execute(lock)
            yield self.sql
            self.sql.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self.sql.execute("ROLLBACK")
            raise
        finally:
            with suppress(sqlite3.Error):  # a reader's large sort may take a file
                self.sql.execute("PRAGMA temp_store = DEFAULT")

    def truncate_logs(self) -> None:
        """Move what both write-ahead logs hold into their files, and leave nothing of it in them."""
        for schema in ("main", "preferences"):
            with suppress(sqlite3.OperationalError):
                self.sql.execute(f"PRAGMA {schema}.wal_checkpoint(TRUNCATE)")

    def checkpoint_preferences(self) -> None:
        """Move what the preferences' write-ahead log holds into their file, as far as readers allow."""
        with suppress(sqlite3.OperationalError):
            self.sql.execute("PRAGMA preferences.wal_checkpoint(PASSIVE)")
