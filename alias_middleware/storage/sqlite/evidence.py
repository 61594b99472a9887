"""What is known of visitors when messages to them are judged, read from both files as of one moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from alias_middleware.identity import stored_part
from alias_middleware.profile import StoredProfile
from alias_middleware.storage.outbox import REACHED, Evidence, Suppression
from alias_middleware.storage.sqlite.seals import seals_of

_MOST_CONTACTS = 100
_STRANGER = StoredProfile()

_KNOWN = """
    SELECT v.key, c.knowledge, c.habits, p.preferences, p.personal, p.consents
    FROM visitors v JOIN chronicles c ON c.visitor = v.id
    LEFT JOIN preferences.profiles p ON p.namespace = v.namespace AND p.key = v.key
"""
_KNOWN_OF = """
    SELECT asked.key, ifnull(c.knowledge, CAST('[]' AS BLOB)), ifnull(c.habits, x''), p.preferences, p.personal,
        p.consents
    FROM (SELECT ? AS namespace, ? AS key) asked
    LEFT JOIN visitors v ON v.namespace = asked.namespace AND v.key = asked.key
    LEFT JOIN chronicles c ON c.visitor = v.id
    LEFT JOIN preferences.profiles p ON p.namespace = asked.namespace AND p.key = asked.key
"""
_CONTACTS = f"""
    SELECT key, claimed_us FROM dispatches
    WHERE namespace = ? AND key BETWEEN ? AND ? AND claimed_us IS NOT NULL AND state IN {REACHED}
    ORDER BY key, claimed_us DESC
"""

_Row = tuple[str, bytes, bytes, bytes | None, bytes | None, bytes | None]
SuppressionsOf = Callable[[sqlite3.Connection, str, Iterable[str]], Mapping[str, Sequence[Suppression]]]
"""Reads the suppressions of visitors of a namespace, by their keys."""


def page(
    sql: sqlite3.Connection, suppressions_of: SuppressionsOf, namespace: str, after: str, limit: int
) -> list[Evidence]:
    """Give what is known of a page of visitors; `sql` is in a transaction."""
    asked = (namespace, after, limit)
    rows = sql.execute(f"{_KNOWN} WHERE v.namespace = ? AND v.key > ? ORDER BY v.key LIMIT ?", asked).fetchall()
    return _completed(sql, suppressions_of, namespace, rows)


def of_one(sql: sqlite3.Connection, suppressions_of: SuppressionsOf, namespace: str, key: str) -> Evidence:
    """Give what is known of one visitor; `sql` is in a transaction."""
    stored = stored_part(key)
    row = sql.execute(_KNOWN_OF, (namespace, stored)).fetchone()
    return _completed(sql, suppressions_of, namespace, [row], {stored: key})[0]


def _completed(
    sql: sqlite3.Connection,
    suppressions_of: SuppressionsOf,
    namespace: str,
    rows: Sequence[_Row],
    named: Mapping[str, str] = MappingProxyType({}),
) -> list[Evidence]:
    """Add to rows of visitors, in the order of their keys, what forbids contacts and what went to them.

    `named`: visitors as they are named where more is known than their visitor keys.
    """
    if not rows:
        return []
    contacts: dict[str, list[int]] = {}
    for key, claimed_us in sql.execute(_CONTACTS, (namespace, rows[0][0], rows[-1][0])):
        theirs = contacts.setdefault(key, [])
        if len(theirs) < _MOST_CONTACTS:
            theirs.append(claimed_us)
    seals = seals_of(sql, namespace, rows[0][0], rows[-1][0])
    forbidden = suppressions_of(sql, namespace, [named.get(row[0], row[0]) for row in rows])
    return [
        Evidence(
            key,
            b"%b\n%b" % (knowledge, habits),
            _profile(*documents),
            tuple(forbidden.get(named.get(key, key), ())),
            tuple(contacts.get(key, ())),
            tuple(seals.get(key, ())),
        )
        for key, knowledge, habits, *documents in rows
    ]


def _profile(preferences: bytes | None, personal: bytes | None, consents: bytes | None) -> StoredProfile:
    """The documents of a visitor, who may have none."""
    if preferences is None or personal is None or consents is None:
        return _STRANGER
    return StoredProfile(preferences, personal, consents)
