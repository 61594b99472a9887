"""Everybody's sums per category in the history file, and what a batch adds to visitors' habits and to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from alias_middleware.events import PageView, Purchase, TrackedEvent, body_of
from alias_middleware.habits import VIEW, Note, decayed, decode_habits, grown, line_of_view, lines_of, notes_of
from alias_middleware.interests import Sums
from alias_middleware.storage.base import Entry
from alias_middleware.storage.sqlite.chronicle import VisitorRow
from alias_middleware.storage.sqlite.rows import insert_rows

_SELECT = "SELECT category, recent, whole FROM category_sums WHERE namespace = ?"
_ADD = """
    ON CONFLICT (namespace, category) DO UPDATE SET
        recent = recent + excluded.recent, whole = whole + excluded.whole
"""
_NOBODY = "DELETE FROM category_sums WHERE whole <= 0"  # what is left of the decayed sum is rounding


class Tastes:
    """One batch's part in visitors' habits and in everybody's sums."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        """Work in `sql`'s open transaction."""
        self._sql = sql
        self._sums: dict[tuple[str, str], list[float]] = {}

    def note(self, visitor: VisitorRow, entries: Iterable[Entry]) -> None:
        """Count new page views and carts; orders are counted as they are settled."""
        for entry in entries:
            event = entry.event
            if isinstance(event, PageView):
                self._count(visitor.namespace, event.category, 1, event.time_us // 1_000_000)
                visitor.habits = grown(visitor.habits, line_of_view(event.time_us, body_of(event)))
            elif isinstance(event, TrackedEvent):
                self._add(visitor, notes_of(event))

    def show(self, visitor: VisitorRow, entries: Iterable[Entry], lines: bytes) -> None:
        """Count new page views, whose lines are made already."""
        visitor.habits = grown(visitor.habits, lines)
        for entry in entries:
            event = entry.event
            if isinstance(event, PageView) and event.category is not None:
                self.add(visitor.namespace, event.category, decayed(VIEW, event.time_us // 1_000_000), VIEW)

    def order(self, visitor: VisitorRow, order: Purchase, sign: int) -> None:
        """Count an order (1), or count no more one that was cancelled or gave way to another copy (-1)."""
        self._add(visitor, notes_of(order, sign))

    def _add(self, visitor: VisitorRow, notes: list[Note]) -> None:
        for note in notes:
            self._count(visitor.namespace, note.category, note.weight, note.moment_s)
        if notes:
            visitor.habits = grown(visitor.habits, lines_of(notes))

    def _count(self, namespace: str, category: str | None, weight: int, moment_s: int) -> None:
        if category is not None:
            self.add(namespace, category, decayed(weight, moment_s), weight)

    def add(self, namespace: str, category: str, recent: float, whole: float) -> None:
        """Add to everybody's sums."""
        sums = self._sums.get((namespace, category))
        if sums is None:
            self._sums[namespace, category] = [recent, whole]
        else:
            sums[0] += recent
            sums[1] += whole

    def write(self) -> None:
        """Write everybody's sums."""
        rows = [(*place, *sums) for place, sums in sorted(self._sums.items())]
        insert_rows(self._sql, "category_sums", rows, conflict=_ADD)
        if any(whole < 0 for _, whole in self._sums.values()):
            self._sql.execute(_NOBODY)


def read(sql: sqlite3.Connection, namespace: str) -> dict[str, Sums]:
    """Give everybody's sums in a namespace."""
    return {category: Sums(recent, whole) for category, recent, whole in sql.execute(_SELECT, (namespace,))}


def forget(sql: sqlite3.Connection, namespace: str, kept: bytes) -> None:
    """Take a visitor's habits out of everybody's sums. `kept`: what his row keeps of them."""
    tastes = Tastes(sql)
    try:
        habits = decode_habits(kept)
    except msgspec.DecodeError:  # a damaged row must not keep anybody from being erased
        return
    for category, strength in habits.categories.items():
        tastes.add(namespace, category, -strength.recent, -strength.whole)
    tastes.write()
