"""What the writer remembers from one batch to the next: the rows of recent visitors and the numbers of pages.

It holds while nobody else has written, which the file itself tells: each batch, and each erasure, draws a number
and leaves it there.
"""

from __future__ import annotations

import sqlite3

from alias_middleware.storage.chronicle import VisitorRow
from alias_middleware.storage.sqlite.pages import PageNumbers

_MOST_VISITORS = 16_384


class Recollection:
    """Visitors and pages as the last committed batch left them."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self.pages = PageNumbers()
        self.visitors: dict[str, dict[str, VisitorRow]] = {}
        """By namespace and key."""
        self._number = 0
        self._turn: int | None = None
        self._drawn: int | None = None

    def begin(self, sql: sqlite3.Connection) -> None:
        """Begin a batch in `sql`'s open transaction: forget everything unless the last one was ours."""
        ours = self._turn is not None and self._turn == turn(sql)
        self._turn = None
        if not ours:
            self._forget()
        self.pages.begin(sql, anew=not ours)
        self._drawn = draw(sql)

    def committed(self) -> None:
        """Rely on what the batch left behind."""
        self._turn = self._drawn

    def keep(self, rows: list[VisitorRow]) -> None:
        """Remember visitors of a batch who were not, and nobody else when they are too many."""
        if self._number + len(rows) > _MOST_VISITORS:
            self._forget()
        for row in rows[:_MOST_VISITORS]:
            self.visitors.setdefault(row.namespace, {})[row.key] = row
        self._number += len(rows[:_MOST_VISITORS])

    def _forget(self) -> None:
        self.visitors, self._number = {}, 0


def turn(sql: sqlite3.Connection) -> int | None:
    """Give the number that the latest writer left."""
    row = sql.execute("SELECT number FROM turns").fetchone()
    return row[0] if row else None


def draw(sql: sqlite3.Connection) -> int:
    """Leave a new number: whatever anybody remembers of visitors' rows holds no more."""
    sql.execute("INSERT OR REPLACE INTO turns VALUES (1, random())")
    number = turn(sql)
    if number is None:
        raise sqlite3.DatabaseError("a row that was written is not there")
    return number
