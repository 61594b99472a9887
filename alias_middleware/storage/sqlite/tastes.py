"""Everybody's sums per category in the history file."""

from __future__ import annotations

import sqlite3

from alias_middleware.interests import Sums
from alias_middleware.storage.sqlite.rows import insert_rows
from alias_middleware.storage.tastes import Tastes

_SELECT = "SELECT category, recent, whole FROM category_sums WHERE namespace = ?"
_ADD = """
    ON CONFLICT (namespace, category) DO UPDATE SET
        recent = recent + excluded.recent, whole = whole + excluded.whole
"""
_NOBODY = "DELETE FROM category_sums WHERE whole <= 0"  # what is left of the decayed sum is rounding


def write(sql: sqlite3.Connection, tastes: Tastes) -> None:
    """Write what a batch adds to everybody's sums."""
    rows = [(*place, *sums) for place, sums in sorted(tastes.sums.items())]
    insert_rows(sql, "category_sums", rows, conflict=_ADD)
    if tastes.lessens:
        sql.execute(_NOBODY)


def read(sql: sqlite3.Connection, namespace: str) -> dict[str, Sums]:
    """Give everybody's sums in a namespace."""
    return {category: Sums(recent, whole) for category, recent, whole in sql.execute(_SELECT, (namespace,))}


def forget(sql: sqlite3.Connection, namespace: str, kept: bytes) -> None:
    """Take a visitor's habits out of everybody's sums. `kept`: what his row keeps of them."""
    tastes = Tastes()
    tastes.forget(namespace, kept)
    write(sql, tastes)
