"""The preferences file: field operations in short transactions that the writer's batches never hold up."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

import msgspec

from alias_middleware.identity import stored_part
from alias_middleware.profile import ProfileChange, ProfileDocument, apply_change, encode_json
from alias_middleware.storage.base import LateChange
from alias_middleware.storage.carried_out import left_of
from alias_middleware.storage.sqlite.shelf import Renew

Tombstone = Callable[[str, str], int | None]
"""Gives the time of the erasure of (namespace, key), None when there was none."""

_SELECT = """
    SELECT not_before, preferences, personal, consents, stamps FROM preferences.profiles
    WHERE namespace = ? AND key = ?
"""
_DONE = "SELECT done FROM preferences.profiles WHERE namespace = ? AND key = ?"
_UPSERT = """
    INSERT INTO preferences.profiles
        (namespace, key, not_before, preferences, personal, consents, stamps, refuses_measure_us)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (namespace, key) DO UPDATE SET preferences = excluded.preferences,
        personal = excluded.personal, consents = excluded.consents, stamps = excluded.stamps,
        refuses_measure_us = excluded.refuses_measure_us
"""
_REFUSALS = "SELECT refuses_measure_us FROM preferences.profiles WHERE refuses_measure_us IS NOT NULL"
_document_decoder = msgspec.json.Decoder(ProfileDocument)


def change(
    sql: sqlite3.Connection,
    namespace: str,
    change: ProfileChange,
    tombstone: Tombstone,
    renew: Renew,
    *,
    late: bool,
) -> int:
    """Apply one change inside the caller's transaction and give how many operations were refused."""
    key = stored_part(change.key)
    row = sql.execute(_SELECT, (namespace, key)).fetchone()
    if row is None:
        not_before = tombstone(namespace, change.key) or 0
        document = ProfileDocument()
    else:
        not_before = row[0]
        document = _document_decoder.decode(
            b'{"preferences":%b,"personal":%b,"consents":%b,"stamps":%b}' % row[1:]
        )
    if change.begun_us <= not_before:
        return 0
    refused = apply_change(document, change, late=late)
    refusal = document.refuses("measure")
    renew(namespace, key)
    sql.execute(
        _UPSERT,
        (
            namespace,
            key,
            not_before,
            encode_json(document.preferences),
            encode_json(document.personal),
            encode_json(document.consents),
            encode_json(document.stamps),
            refusal.time_us if refusal else None,
        ),
    )
    return refused


def change_late(sql: sqlite3.Connection, changes: Iterable[LateChange], tombstone: Tombstone, renew: Renew) -> int:
    """Apply changes that waited in the spool, each once, inside the caller's transaction.

    What another storage carried out before the profile was moved here is left out.
    """
    refused = 0
    for namespace, said, id_, _ in changes:
        fresh = sql.execute("INSERT OR IGNORE INTO preferences.applied VALUES (?)", (id_,)).rowcount
        if fresh:
            row = sql.execute(_DONE, (namespace, stored_part(said.key))).fetchone()
            left = left_of(said, row[0] if row else b"")
            refused += change(sql, namespace, left, tombstone, renew, late=True)
    return refused


def forget_applied(sql: sqlite3.Connection, changes: Iterable[LateChange]) -> None:
    """Forget the ids of changes whose spool positions are committed: they cannot come again."""
    sql.executemany("DELETE FROM preferences.applied WHERE id = ?", [(late.id,) for late in changes])


def refusals(sql: sqlite3.Connection, namespace: str, keys: Iterable[str]) -> dict[str, int]:
    """Give, of some visitors, those who refuse to be measured and since when (microseconds)."""
    if sql.execute(f"{_REFUSALS} LIMIT 1").fetchone() is None:
        return {}
    found: dict[str, int] = {}
    for key in keys:
        row = sql.execute(f"{_REFUSALS} AND namespace = ? AND key = ?", (namespace, key)).fetchone()
        if row is not None:
            found[key] = row[0]
    return found
