"""The history file's table of the stretches of time that logs stand for: see `replacement`."""

from __future__ import annotations

REPLACED = """
    CREATE TABLE replaced (
        service TEXT NOT NULL,
        since_us INTEGER NOT NULL,
        until_us INTEGER NOT NULL,
        swept INTEGER NOT NULL,
        PRIMARY KEY (service, since_us, until_us)
    ) WITHOUT ROWID;
"""
"""`swept`: the page views that were recorded live in that time are gone."""
