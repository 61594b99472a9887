"""The history file's tables for retention and audit: frozen days, numbers ever given, disclosures."""

from __future__ import annotations

RIGHTS = """
    CREATE TABLE horizons (
        namespace TEXT PRIMARY KEY,
        frozen_before INTEGER NOT NULL,
        purged_before INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE TABLE frozen (
        service INTEGER NOT NULL,
        day INTEGER NOT NULL,
        channel TEXT NOT NULL,
        section TEXT NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (service, day, channel, section)
    ) WITHOUT ROWID;
    CREATE TABLE numbers (id INTEGER PRIMARY KEY CHECK (id = 1), given INTEGER NOT NULL);
    CREATE TABLE disclosures (
        namespace TEXT NOT NULL,
        hash BLOB NOT NULL,
        time_us INTEGER NOT NULL,
        id INTEGER NOT NULL,
        what TEXT NOT NULL,
        requester TEXT NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (namespace, hash, time_us, id)
    ) WITHOUT ROWID;
"""
"""`horizons`: the local days before which a namespace takes no more events, and has no raw ones left.

`frozen`: the roll-ups of such days, as the file of roll-ups has them. `numbers`: the highest number that a
visitor who is gone had: frozen days may still have it, and tables made of the views, so nobody else may get it."""
