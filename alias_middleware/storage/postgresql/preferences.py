"""Profiles in PostgreSQL: field operations on one locked row.

A commit whose answer is lost may or may not have happened, so a row keeps digests of its latest changes: `done`,
see `carried_out`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from psycopg import Cursor

from alias_middleware.identity import stored_part
from alias_middleware.profile import ProfileChange, ProfileDocument, apply_change, encode_json
from alias_middleware.storage.base import LateChange
from alias_middleware.storage.carried_out import left_of, remembered
from alias_middleware.storage.postgresql.arrays import column_of
from alias_middleware.storage.postgresql.pool import Connection

Hashes = Callable[[str, str], Sequence[bytes]]
"""Gives the keyed hashes of (namespace, key) under which a tombstone may stand."""

_SELECT = """
    SELECT not_before, done, preferences, personal, consents, stamps FROM profiles
    WHERE namespace = %s AND key = %s FOR UPDATE
"""
MAKE = """
    INSERT INTO profiles VALUES (%s, %s, 0, NULL, '{}', '{}', '{}', '{}', '')
    ON CONFLICT (namespace, key) DO NOTHING
"""
ERASED = "SELECT max(erased_us) FROM tombstones WHERE namespace = %s AND hash = ANY(%s)"
_UPDATE = """
    UPDATE profiles SET not_before = %s, refuses_measure_us = %s, preferences = %s, personal = %s, consents = %s,
        stamps = %s, done = %s
    WHERE namespace = %s AND key = %s
"""
_REFUSALS = """
    SELECT key, refuses_measure_us FROM profiles
    WHERE namespace = %s AND key = ANY(%s::text[]) AND refuses_measure_us IS NOT NULL
"""
_DOCUMENT = b'{"preferences":%b,"personal":%b,"consents":%b,"stamps":%b}'

_decode_document = msgspec.json.Decoder(ProfileDocument).decode


Keep = Callable[[Connection, str, str], None]
"""Keeps the lasting key of (namespace, key) beside a profile, in the open transaction."""


class Row(NamedTuple):
    """A locked profile."""

    not_before: int
    done: bytes
    document: ProfileDocument


def change(connection: Connection, namespace: str, change: ProfileChange, hashes: Hashes, keep: Keep) -> int:
    """Carry out a change in a transaction of two round trips (three for a new profile); give the refused ones."""
    with connection.pipeline():
        connection.execute("BEGIN")
        cursor = connection.execute(_SELECT, (namespace, stored_part(change.key)), binary=True)
    row = _opened(cursor.fetchone()) or _made(connection, namespace, change.key, hashes)
    if change.begun_us <= row.not_before:
        connection.execute("ROLLBACK")
        return 0
    refused = apply_change(row.document, change, late=False)
    with connection.pipeline():
        keep(connection, namespace, change.key)
        _write(connection, namespace, change.key, row._replace(done=remembered(row.done, change)))
        connection.execute("COMMIT")
    return refused


def change_late(connection: Connection, changes: Iterable[LateChange], hashes: Hashes, keep: Keep) -> int:
    """Carry out changes that waited in the spool, each once, in a transaction that keeps erasures out."""
    refused = 0
    for namespace, said in {late.id: late[:2] for late in changes}.values():
        place = namespace, stored_part(said.key)
        row = _opened(connection.execute(_SELECT, place, binary=True).fetchone())
        if row is None:
            if said.begun_us <= _erased_us(connection, namespace, said.key, hashes):
                continue
            row = _made(connection, namespace, said.key, hashes)
        left = left_of(said, row.done)
        if said.begun_us > row.not_before and left.operations:
            refused += apply_change(row.document, left, late=True)
            keep(connection, namespace, said.key)
            _write(connection, namespace, said.key, row)
    return refused


def refusals(connection: Connection, namespace: str, keys: Sequence[str]) -> dict[str, int]:
    """Give, of some visitors, those who refuse to be measured and since when (microseconds)."""
    return dict(connection.execute(_REFUSALS, (namespace, column_of(keys))).fetchall())


def _opened(found: Any) -> Row | None:
    if found is None:
        return None
    not_before, done, *areas = found
    return Row(not_before, done, _decode_document(_DOCUMENT % tuple(areas)))


def _made(connection: Connection, namespace: str, key: str, hashes: Hashes) -> Row:
    """Make a visitor's row and lock it; an erasure under way is waited for, and its tombstone then seen."""
    with connection.pipeline():
        connection.execute(MAKE, (namespace, stored_part(key)))
        cursor = connection.execute(_SELECT, (namespace, stored_part(key)), binary=True)
        erased = connection.execute(ERASED, (namespace, hashes(namespace, key)))
    row = _opened(cursor.fetchone()) or Row(0, b"", ProfileDocument())
    return row._replace(not_before=max(row.not_before, _moment(erased)))


def _erased_us(connection: Connection, namespace: str, key: str, hashes: Hashes) -> int:
    return _moment(connection.execute(ERASED, (namespace, hashes(namespace, key))))


def _moment(cursor: Cursor[Any]) -> int:
    """Give the time of an erasure that was asked for, 0 where there was none."""
    row = cursor.fetchone()
    return (row and row[0]) or 0


def _write(connection: Connection, namespace: str, key: str, row: Row) -> None:
    document = row.document
    refusal = document.refuses("measure")
    areas = map(encode_json, (document.preferences, document.personal, document.consents, document.stamps))
    since = refusal.time_us if refusal else None
    connection.execute(_UPDATE, (row.not_before, since, *areas, row.done, namespace, stored_part(key)))
