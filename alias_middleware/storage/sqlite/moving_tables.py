"""The tables for moving: the seal of each file, where a storage was filled from, and how far."""

from __future__ import annotations

SEAL = """
    CREATE TABLE seal (id INTEGER PRIMARY KEY CHECK (id = 1));
"""
"""A row in it closes the file: see `seal`."""

MOVING = """
    CREATE TABLE moves (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE moved_days (day INTEGER PRIMARY KEY, mark BLOB NOT NULL);
    CREATE UNIQUE INDEX visitors_by_number ON visitors (id);
"""
"""`moves`: the identity of these data, and that of those they were filled from."""
