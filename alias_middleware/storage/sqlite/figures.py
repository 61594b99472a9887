"""The file of roll-ups beside the history: derived, deletable at any time, never in the way of a question."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from alias_middleware.errors import StorageUnavailable
from alias_middleware.rollups.coding import decode_section, encode_section
from alias_middleware.rollups.model import SECTIONS, Rollup, Section
from alias_middleware.storage.sqlite import blocks
from alias_middleware.storage.sqlite.days import CHANNELS, OF_THE_SERVICE
from alias_middleware.storage.sqlite.files import DRIVER_ERRORS, create_private, log_ahead
from alias_middleware.storage.sqlite.marks import ServiceDay
from alias_middleware.storage.sqlite.schema import FIGURES, migrate

_KEEP_TIMEOUT_SECONDS = 0.2
_FORGET_TIMEOUT_SECONDS = 5.0
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_IN_USE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_UNUSABLE = (*DRIVER_ERRORS, StorageUnavailable)
"""What opening and reading the file may raise; the last where a newer version of this library made it."""

Rolled = dict[str, Rollup]
"""A service's day, or block of days, by channel."""


class FiguresFile:
    """The roll-ups that were kept, each with the mark of the day's events that it was made of."""

    def __init__(self, path: Path) -> None:
        """Keep roll-ups in `path`. Nothing is opened yet."""
        self._path = path

    @contextmanager
    def _opened(self, timeout: float) -> Iterator[sqlite3.Connection]:
        create_private(self._path)
        with closing(sqlite3.connect(self._path, timeout=timeout, isolation_level=None)) as sql:
            try:
                log_ahead(sql, "main")
                sql.execute("PRAGMA main.synchronous = NORMAL")
                sql.execute("PRAGMA secure_delete = ON")
                migrate(sql, "main", FIGURES)
                yield sql
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode & 0xFF in _DAMAGED:
                    self._discard()
                raise
            except StorageUnavailable:
                self._discard()
                raise

    def _discard(self) -> None:
        """Delete a file that is no use: it is made anew."""
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                self._path.with_name(self._path.name + suffix).unlink()

    def find(
        self, marks: Mapping[ServiceDay, int], channels: Sequence[str], sections: Collection[Section]
    ) -> dict[ServiceDay, Rolled]:
        """Give the sections that were kept of those days whose marks still hold; nothing when that fails."""
        if not marks:
            return {}
        try:
            with self._opened(_KEEP_TIMEOUT_SECONDS) as sql:
                sql.execute("BEGIN")
                return _find(sql, marks, channels, sections)
        except _UNUSABLE:
            return {}

    def marks(self) -> dict[ServiceDay, int]:
        """Give the marks of all that was kept; nothing when that fails."""
        try:
            with self._opened(_KEEP_TIMEOUT_SECONDS) as sql:
                rows = sql.execute("SELECT service, day, mark FROM days").fetchall()
        except _UNUSABLE:
            return {}
        return {(service, day): mark for service, day, mark in rows}

    def keep(
        self,
        rolled: Mapping[ServiceDay, Rolled],
        marks: Mapping[ServiceDay, int],
        marks_now: Callable[[], Mapping[ServiceDay, int]],
    ) -> bool:
        """Keep roll-ups made under `marks`; False when the file is busy or unusable.

        Those whose marks have changed by `marks_now`, asked for while the file is locked, are left out: after
        an erasure nothing brings back what it deleted here.
        """
        try:
            with self._opened(_KEEP_TIMEOUT_SECONDS) as sql:
                sql.execute("BEGIN IMMEDIATE")
                now = marks_now()
                for day, channels in rolled.items():
                    if now.get(day) == marks[day]:
                        _replace(sql, day, marks[day], channels)
                sql.execute("COMMIT")
        except _UNUSABLE:
            return False
        return True

    def forget_changed(self, marks_now: Callable[[], Mapping[ServiceDay, int]]) -> None:
        """Delete what was kept of days that have changed: a person's erasure leaves nothing behind.

        A file that is no use is deleted whole, for it might hold them: whoever made it, it stops no erasure.

        Raises:
            sqlite3.Error: the file is busy.
            OSError: it can be neither used nor deleted.
        """
        if not self._path.exists():
            return
        try:
            with self._opened(_FORGET_TIMEOUT_SECONDS) as sql:
                _forget_changed(sql, marks_now)
        except _UNUSABLE as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _IN_USE:
                raise
            self._discard()


def _forget_changed(sql: sqlite3.Connection, marks_now: Callable[[], Mapping[ServiceDay, int]]) -> None:
    sql.execute("BEGIN IMMEDIATE")
    now = marks_now()
    now = {**now, **blocks.marks_of(now)}
    for service, day, mark in sql.execute("SELECT service, day, mark FROM days").fetchall():
        if now.get((service, day)) != mark:
            _delete(sql, (service, day))
    sql.execute("COMMIT")
    sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _find(
    sql: sqlite3.Connection,
    marks: Mapping[ServiceDay, int],
    channels: Sequence[str],
    sections: Collection[Section],
) -> dict[ServiceDay, Rolled]:
    since, until = min(day for _, day in marks), max(day for _, day in marks) + 1
    found: dict[ServiceDay, Rolled] = {}
    for service in {service for service, _ in marks}:
        rows = sql.execute(
            "SELECT day, mark FROM days WHERE service = ? AND day >= ? AND day < ?", (service, since, until)
        )
        held = {day: {} for day, mark in rows if marks.get((service, day)) == mark}  # type: dict[int, Rolled]
        for section in sections:
            for channel in channels if section != "arrivals" else [OF_THE_SERVICE]:
                bodies = sql.execute(
                    "SELECT day, body FROM sections "
                    "WHERE service = ? AND section = ? AND channel = ? AND day >= ? AND day < ?",
                    (service, section, channel, since, until),
                )
                for day, body in bodies:
                    if day in held:
                        rollup = held[day].setdefault(channel, Rollup())
                        setattr(rollup, section, decode_section(section, body))
        found.update({(service, day): rolled for day, rolled in held.items()})
    return found


def _replace(sql: sqlite3.Connection, day: ServiceDay, mark: int, channels: Rolled) -> None:
    _delete(sql, day)
    sql.execute("INSERT INTO days VALUES (?, ?, ?)", (*day, mark))
    sql.executemany(
        "INSERT INTO sections VALUES (?, ?, ?, ?, ?)",
        [
            (day[0], section, channel, day[1], encode_section(rollup, section))
            for channel, rollup in channels.items()
            for section in SECTIONS
            if (section == "arrivals") == (channel == OF_THE_SERVICE)
        ],
    )


def _delete(sql: sqlite3.Connection, day: ServiceDay) -> None:
    service, ordinal = day
    sql.execute("DELETE FROM days WHERE service = ? AND day = ?", day)
    sql.executemany(
        "DELETE FROM sections WHERE service = ? AND section = ? AND channel = ? AND day = ?",
        [(service, section, channel, ordinal) for section in SECTIONS for channel in (OF_THE_SERVICE, *CHANNELS)],
    )
