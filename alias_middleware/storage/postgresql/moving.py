"""Moving everything out of PostgreSQL, and into it: pages of each part, and the seal."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

from alias_middleware.storage.keyring import Keyring
from alias_middleware.storage.moving import (
    EVENTS,
    GIVEN_NUMBERS,
    ORDERS,
    VISITORS,
    Cursor,
    Key,
    Moving,
    Page,
    Part,
    Row,
    Standing,
)
from alias_middleware.storage.postgresql import moving_tables
from alias_middleware.storage.postgresql.erasure import forget
from alias_middleware.storage.postgresql.filling import drop_rows, put_highest, put_rows, put_visitors, with_events
from alias_middleware.storage.postgresql.numbering import numbers_of
from alias_middleware.storage.postgresql.pool import Connection, Pool
from alias_middleware.storage.postgresql.shapes import SHAPES, spelled, stored

_SECONDS = 300.0
_IDENTITY_BYTES = 16
_DAYS = """
    SELECT c.day, c.service, c.mark, c.day < coalesce(h.purged_before, 0)
    FROM changes c JOIN services s ON s.id = c.service LEFT JOIN horizons h ON h.namespace = s.namespace
    ORDER BY c.day, c.service
"""
_EVENTS = """
    SELECT day, service, key, time_us, id, channel, kind, body, service, key, time_us, id FROM events
    WHERE day = %s AND (service, key, time_us, id) > (%s, %s, %s, %s) ORDER BY service, key, time_us, id LIMIT %s
"""
_BEFORE_ALL_EVENTS = (-1, "", 0, 0)


class PostgreSQLMoving(Moving):
    """The verbs for moving on one schema."""

    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        """Use the storage's connections and keys."""
        self._pool = pool
        self._keyring = keyring

    def identity(self) -> str:
        """Give what the database says, or make it up."""
        with self._pool.connection(_SECONDS) as connection:
            fresh = secrets.token_hex(_IDENTITY_BYTES)
            connection.execute("INSERT INTO moves VALUES ('identity', %s) ON CONFLICT DO NOTHING", (fresh,))
            return moving_tables.noted(connection, "identity") or fresh

    def marks(self) -> list[bytes]:
        """Give the marks of the keys."""
        return self._keyring.marks()

    def standing(self) -> Standing:
        """Tell whether the schema is sealed."""
        with self._pool.connection(_SECONDS) as connection:
            return Standing(moving_tables.is_sealed(connection), moving_tables.noted(connection, "filled_from"))

    def seal(self, filled_from: str | None = None) -> None:
        """Seal the schema; the user must own its tables."""
        with self._pool.connection(_SECONDS) as connection:
            moving_tables.put_on(connection, filled_from)

    def open(self) -> None:
        """Open the schema."""
        with self._pool.connection(_SECONDS) as connection:
            moving_tables.take_off(connection)

    def days(self) -> dict[int, bytes]:
        """Give the marks of days; a purge leaves them as they are, so that what it took is in it."""
        days: dict[int, list[tuple[int, ...]]] = defaultdict(list)
        with self._pool.connection(_SECONDS) as connection:
            for day, *marked in connection.execute(_DAYS).fetchall():
                days[day].append(tuple(marked))
        return {day: blake2b(repr(marks).encode(), digest_size=16).digest() for day, marks in days.items()}

    def moved_days(self) -> Mapping[int, bytes]:
        """Give what was noted."""
        with self._pool.connection(_SECONDS) as connection:
            return dict(connection.execute("SELECT day, mark FROM moved_days", binary=True).fetchall())

    def note_day(self, day: int, mark: bytes) -> None:
        """Note a day."""
        with self._lifted() as connection:
            connection.execute(
                "INSERT INTO moved_days VALUES (%s, %s) ON CONFLICT (day) DO UPDATE SET mark = excluded.mark",
                (day, mark),
            )

    def page(self, part: Part, after: Cursor | None, limit: int, *, day: int | None = None) -> Page:
        """Give a page in the order of the table's key."""
        with self._pool.connection(_SECONDS) as connection:
            page = self._page(connection, part, after, limit, day)
            if part is VISITORS and any(row[2] is None for row in page.rows):
                numbers_of(connection, [(row[0], row[1]) for row in page.rows])
                page = self._page(connection, part, after, limit, day)
        return page

    def _page(self, connection: Connection, part: Part, after: Cursor | None, limit: int, day: int | None) -> Page:
        if part is EVENTS:
            asked: tuple[Any, ...] = (day, *(after or _BEFORE_ALL_EVENTS), limit)
            query = _EVENTS
        else:
            shape = SHAPES[part]
            order = ", ".join(f"t.{name}" for name in shape.keys)
            marks = ", ".join(["%s"] * len(shape.keys))
            where = f"WHERE ({order}) > ({marks})" if after is not None else ""
            query = f"SELECT {shape.selected}, {order} FROM {shape.origin} {where} ORDER BY {order} LIMIT %s"
            asked = (*(after or ()), limit)
        rows = connection.execute(query.encode(), asked, binary=True).fetchall()
        width = len(part.columns)
        found = spelled(part, [row[:width] for row in rows])
        return Page(found, rows[-1][width:] if len(rows) == limit else None)

    def find(self, part: Part, keys: Sequence[Key]) -> list[Row]:
        """Look all keys up at once."""
        shape = SHAPES[part]
        names = shape.keys
        rows = [row[len(row) - len(names) :] for row in stored(part, list(keys))]
        arrays = ", ".join(f"%s::{shape.types[shape.columns.index(name)]}[]" for name in names)
        matches = " AND ".join(f"t.{name} = asked.{name}" for name in names)
        query = (
            f"SELECT {shape.selected} FROM {shape.origin} "
            f"JOIN unnest({arrays}) AS asked ({', '.join(names)}) ON {matches}"
        )
        with self._pool.connection(_SECONDS) as connection:
            columns = [list(column) for column in zip(*rows, strict=True)]
            return spelled(part, connection.execute(query.encode(), columns, binary=True).fetchall())

    def count(self, part: Part, *, day: int | None = None) -> int:
        """Count the rows of a table."""
        where, asked = ("", ()) if day is None else (" WHERE day = %s", (day,))
        with self._pool.connection(_SECONDS) as connection:
            row = connection.execute(
                f"SELECT count(*) FROM {SHAPES[part].origin}{where}".encode(), asked
            ).fetchone()
        return int(row[0]) if row else 0

    def put(self, part: Part, rows: Sequence[Row]) -> int:
        """Keep rows, in one transaction."""
        with self._lifted() as connection:
            if part is ORDERS:
                rows = with_events(connection, rows)
            if not rows:
                return 0
            if part is VISITORS:
                put_visitors(connection, rows)
            elif part is GIVEN_NUMBERS:
                put_highest(connection, rows)
            else:
                put_rows(connection, part, stored(part, list(rows)))
        return len(rows)

    def drop(self, part: Part, keys: Sequence[Key]) -> None:
        """Delete rows, in one transaction."""
        with self._lifted() as connection:
            if part is VISITORS:
                for namespace, key in keys:
                    forget(connection, namespace, key, from_frozen=False)
            elif part is GIVEN_NUMBERS:
                put_highest(connection, ())
            else:
                drop_rows(connection, part, stored(part, list(keys)))

    def drop_day(self, day: int) -> None:
        """Delete a day's events."""
        with self._lifted() as connection:
            connection.execute("DELETE FROM events WHERE day = %s", (day,))
            connection.execute("UPDATE changes SET mark = mark + 1 WHERE day = %s", (day,))
            connection.execute("DELETE FROM moved_days WHERE day = %s", (day,))

    def tidy(self) -> None:
        """Tell the planner what is in the tables now: it would take them for empty till a worker comes round."""
        with self._pool.connection(_SECONDS) as connection:
            for table in sorted({*(SHAPES[part].table for part in self.keeps), "arrivals", "numbers", "changes"}):
                connection.execute(f"ANALYZE {table}".encode())

    @contextmanager
    def _lifted(self) -> Iterator[Connection]:
        with self._pool.connection(_SECONDS) as connection:
            moving_tables.lift(connection)
            yield connection
            connection.execute("COMMIT")
