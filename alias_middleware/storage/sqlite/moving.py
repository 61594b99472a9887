"""Moving everything out of the SQLite files, and into them: pages of each part, and the seal."""

from __future__ import annotations

import secrets
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b

from alias_middleware.errors import StorageUnavailable
from alias_middleware.storage.erasure_log import ErasureLog
from alias_middleware.storage.moving import EVENTS, PROFILES, Cursor, Key, Moving, Page, Part, Row, Standing
from alias_middleware.storage.pseudonyms import OTHER_KEYS
from alias_middleware.storage.sqlite import seal
from alias_middleware.storage.sqlite.connection import Connection
from alias_middleware.storage.sqlite.files import Files
from alias_middleware.storage.sqlite.filling import Filling
from alias_middleware.storage.sqlite.keyring import FileKeyring
from alias_middleware.storage.sqlite.pages import ShownPages
from alias_middleware.storage.sqlite.shapes import BEFORE_ALL_EVENTS, EVENTS_OF_DAY, SHAPES
from alias_middleware.storage.sqlite.shelf import Renew
from alias_middleware.storage.sqlite.transactions import reading

_TIMEOUT_SECONDS = 10.0
_IDENTITY_BYTES = 16
_DAYS = """
    SELECT c.day, c.service, c.mark, c.day < ifnull(h.purged_before, 0)
    FROM changes c JOIN services s ON s.id = c.service LEFT JOIN horizons h ON h.namespace = s.namespace
    ORDER BY c.day, c.service
"""
_HASHED_IN_BOTH = ("tombstones", "lasting_keys")
_HALF_ROTATED = "SELECT namespace, mark FROM preferences.pseudonyms EXCEPT SELECT * FROM main.pseudonyms"


class SQLiteMoving(Moving):
    """The verbs for moving on one storage's files."""

    def __init__(
        self, files: Files, keyring: FileKeyring, log: ErasureLog, finish: Callable[[Connection], None]
    ) -> None:
        """Use the storage's files, keys and log of erasures; `finish` finishes erasures that were cut short.

        Whoever fills it keeps this object till the end.
        """
        self._finish = finish
        self._spelled: dict[int, bytes] = {}
        self._files = files
        self._keyring = keyring
        self._filling = Filling(log)

    def identity(self) -> str:
        """Give what the history file says, or make it up."""
        with self._files.wrapped() as connection, connection.transaction(_TIMEOUT_SECONDS) as sql:
            fresh = secrets.token_hex(_IDENTITY_BYTES)
            sql.execute("INSERT OR IGNORE INTO moves VALUES ('identity', ?)", (fresh,))
            return _noted(sql, "identity") or fresh

    def marks(self) -> list[bytes]:
        """Give the marks of the keys; none as long as nobody was hashed, for then no key file is made."""
        return self._keyring.present_marks()

    def standing(self) -> Standing:
        """Tell whether the files are sealed."""
        with reading(self._files) as sql:
            return Standing(seal.is_sealed(sql), _noted(sql, "filled_from"))

    def seal(self, filled_from: str | None = None) -> None:
        """Seal the preferences, then the history.

        A batch whose late changes are in the one and not yet in the other must come to its end before: where
        nobody writes any more, `alias-middleware drain --once` brings it there.
        """
        with self._files.wrapped() as connection:
            if not seal.is_sealed(connection.sql):
                self._finish(connection)
            with connection.preferences_transaction(_TIMEOUT_SECONDS) as sql:
                _require_rest(sql)
                seal.put_on(sql, "preferences")
            with connection.transaction(_TIMEOUT_SECONDS) as sql:
                seal.put_on(sql, "main")
                if filled_from is not None:
                    _note_filling(sql, filled_from)

    def open(self) -> None:
        """Open the history, then the preferences."""
        with self._files.wrapped() as connection:
            with connection.transaction(_TIMEOUT_SECONDS) as sql:
                seal.take_off(sql, "main")
                sql.execute("DELETE FROM moved_days")
            with connection.preferences_transaction(_TIMEOUT_SECONDS) as sql:
                seal.take_off(sql, "preferences")

    def days(self) -> dict[int, bytes]:
        """Give the marks of days; a purge leaves them as they are, so that what it took is in it."""
        days: dict[int, list[tuple[int, ...]]] = defaultdict(list)
        with reading(self._files) as sql:
            for day, *marked in sql.execute(_DAYS):
                days[day].append(tuple(marked))
        return {day: blake2b(repr(marks).encode(), digest_size=16).digest() for day, marks in days.items()}

    def moved_days(self) -> Mapping[int, bytes]:
        """Give what was noted."""
        with reading(self._files) as sql:
            return dict(sql.execute("SELECT day, mark FROM moved_days").fetchall())

    def note_day(self, day: int, mark: bytes) -> None:
        """Note a day."""
        with self._files.wrapped() as connection, seal.lifted(connection, "main") as sql:
            sql.execute("INSERT OR REPLACE INTO moved_days VALUES (?, ?)", (day, mark))

    def page(self, part: Part, after: Cursor | None, limit: int, *, day: int | None = None) -> Page:
        """Give a page in the order of the table's key."""
        with reading(self._files) as sql:
            if part is EVENTS:
                return self._events(sql, day, after, limit)
            shape = SHAPES[part]
            where = ""
            if after is not None:
                marks = ", ".join("?" * len(after))
                where = f"WHERE ({', '.join(shape.cursor)}) > ({marks})"
            query = f"{shape.select} {where} ORDER BY {', '.join(shape.cursor)} LIMIT ?"
            return _page(sql.execute(query, (*(after or ()), limit)).fetchall(), part, limit)

    def _events(self, sql: sqlite3.Connection, day: int | None, after: Cursor | None, limit: int) -> Page:
        if day is None:
            raise ValueError("events are read by days")
        rows = sql.execute(EVENTS_OF_DAY, (day, *(after or BEFORE_ALL_EVENTS), limit)).fetchall()
        pages, spelled = ShownPages(sql), self._spelled  # a page keeps its number
        for body in {row[7] for row in rows if isinstance(row[7], int)} - spelled.keys():
            spelled[body] = pages.spelled(body)
        return _page([(*row[:7], spelled.get(row[7], row[7]), *row[8:]) for row in rows], EVENTS, limit)

    def find(self, part: Part, keys: Sequence[Key]) -> list[Row]:
        """Look up each key."""
        shape, width = SHAPES[part], len(part.columns)
        query = f"{shape.select} WHERE {shape.named}"
        with reading(self._files) as sql:
            rows = [sql.execute(query, key).fetchone() for key in keys]
        return [row[:width] for row in rows if row is not None]

    def count(self, part: Part, *, day: int | None = None) -> int:
        """Count the rows of a table."""
        with reading(self._files) as sql:
            if part is not EVENTS:
                return int(sql.execute(f"SELECT count(*) FROM {SHAPES[part].table}").fetchone()[0])
            where, asked = ("", ()) if day is None else ("WHERE day = ?", (day,))
            return int(sql.execute(f"SELECT count(*) FROM events {where}", asked).fetchone()[0])

    def put(self, part: Part, rows: Sequence[Row]) -> int:
        """Keep rows, in one transaction."""
        with self._files.wrapped() as connection:
            if part is PROFILES:
                with _profiles(connection) as (sql, renew):
                    self._filling.put_profiles(sql, rows, renew)
                return len(rows)
            connection.remember_much()
            return self._filling.put(connection, part, rows)

    def drop(self, part: Part, keys: Sequence[Key]) -> None:
        """Delete rows, in one transaction."""
        with self._files.wrapped() as connection:
            if part is PROFILES:
                with _profiles(connection) as (sql, renew):
                    self._filling.drop_profiles(sql, keys, renew)
                return
            self._filling.drop(connection, part, keys)

    def drop_day(self, day: int) -> None:
        """Delete a day's events."""
        with self._files.wrapped() as connection, seal.lifted(connection, "main") as sql:
            sql.execute("DELETE FROM events WHERE day = ?", (day,))
            sql.execute("UPDATE changes SET mark = random() WHERE day = ?", (day,))
            sql.execute("DELETE FROM moved_days WHERE day = ?", (day,))


@contextmanager
def _profiles(connection: Connection) -> Iterator[tuple[sqlite3.Connection, Renew]]:
    """Change profiles of the sealed file: as `seal.lifted`, and their versions are renewed."""
    with connection.profile_changes(_TIMEOUT_SECONDS) as (sql, renew), seal.lifted_in(sql, "preferences"):
        yield sql, renew


def _page(rows: list[Row], part: Part, limit: int) -> Page:
    width = len(part.columns)
    return Page([row[:width] for row in rows], rows[-1][width:] if len(rows) == limit else None)


def _noted(sql: sqlite3.Connection, name: str) -> str | None:
    row = sql.execute("SELECT value FROM moves WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def _note_filling(sql: sqlite3.Connection, filled_from: str) -> None:
    if _noted(sql, "filled_from") != filled_from:
        sql.execute("DELETE FROM moved_days")
        sql.execute("INSERT OR REPLACE INTO moves VALUES ('filled_from', ?)", (filled_from,))


def somebody_is_hashed(sql: sqlite3.Connection) -> bool:
    """Tell whether a keyed hash of anybody is kept."""
    in_both = [f"{schema}.{table}" for schema in ("main", "preferences") for table in _HASHED_IN_BOTH]
    tables = (*in_both, "suppressions", "disclosures")
    return any(sql.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None for table in tables)


def _require_rest(sql: sqlite3.Connection) -> None:
    """Refuse while a batch, an erasure or a rotation is under way: half of it would be moved."""
    if sql.execute(_HALF_ROTATED).fetchone() is not None:
        raise StorageUnavailable(
            "a rotation was cut short: run `alias-middleware pseudonyms rotate` again", reason=OTHER_KEYS
        )
    for what, query in (
        ("a batch", "SELECT 1 FROM preferences.applied"),
        ("an erasure", "SELECT 1 FROM preferences.tombstones WHERE unfinished_key IS NOT NULL"),
    ):
        if sql.execute(query).fetchone() is not None:
            raise StorageUnavailable(f"{what} is under way; the next batch finishes it", reason="locked")
