"""The tables for pseudonyms, the same in the history file and in the preferences file."""

from __future__ import annotations

PSEUDONYMS = """
    CREATE TABLE pseudonyms (namespace TEXT PRIMARY KEY, mark TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE lasting_keys (
        namespace TEXT NOT NULL,
        key TEXT NOT NULL,
        concealed BLOB NOT NULL,
        PRIMARY KEY (namespace, key)
    ) WITHOUT ROWID;
"""
"""`mark` is the check value of the pseudonym keys; for `concealed` see `Keyring.conceal`."""
