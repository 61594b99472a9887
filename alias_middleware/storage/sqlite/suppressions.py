"""What forbids contacting a visitor, under his keyed hashes in the history file: it survives his erasure."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from alias_middleware.storage.keyring import SUPPRESSION, Keyring
from alias_middleware.storage.outbox import Suppression, latest_by_scope
from alias_middleware.storage.sqlite.pseudonyms import named_by
from alias_middleware.storage.sqlite.rows import select_by_keys

_HELD = "SELECT hash, scope, reason, channel, time_us FROM suppressions WHERE namespace = ? AND hash IN"


def keep(sql: sqlite3.Connection, keyring: Keyring, namespace: str, key: str, said: Suppression) -> None:
    """Keep what was said in a scope, unless something newer was."""
    _check_keys(sql, keyring)
    hashes = keyring.every(SUPPRESSION, namespace, key)
    if any(held.time_us > said.time_us for _, held in _rows(sql, namespace, hashes) if held.scope == said.scope):
        return
    sql.execute(
        "INSERT OR REPLACE INTO suppressions VALUES (?, ?, ?, ?, ?, ?)",
        (namespace, hashes[0], said.scope, said.reason, said.channel, said.time_us),
    )
    sql.execute("INSERT OR IGNORE INTO suppression_keys VALUES (?)", (keyring.marks()[-1],))


def held(sql: sqlite3.Connection, keyring: Keyring, namespace: str, key: str) -> list[Suppression]:
    """Give a visitor's suppressions by scope, the latest of each, under whichever key it was written."""
    return held_by(sql, keyring, namespace, [key]).get(key, [])


def held_by(
    sql: sqlite3.Connection, keyring: Keyring, namespace: str, keys: Iterable[str]
) -> dict[str, list[Suppression]]:
    """Give the suppressions of those visitors who have any, each by scope, the latest of a scope.

    One set-based read: a query for each visitor of an audience takes as long as all the rest of judging him.
    """
    if sql.execute("SELECT 1 FROM suppressions LIMIT 1").fetchone() is None:
        return {}  # a mere question makes no key file
    _check_keys(sql, keyring)
    keys = list(keys)
    named = named_by(sql, keyring, namespace, keys)
    whose = {named.get(key, key): key for key in keys}
    owners = {hash_: whose[name] for hash_, name in keyring.every_of(SUPPRESSION, namespace, list(whose))}
    found: dict[str, list[Suppression]] = {}
    for hash_, said in _rows(sql, namespace, list(owners)):
        found.setdefault(owners[hash_], []).append(said)
    return {key: latest_by_scope(said) for key, said in found.items()}


def _check_keys(sql: sqlite3.Connection, keyring: Keyring) -> None:
    """Refuse to answer without a key that opt-outs were kept under."""
    keyring.check(mark for (mark,) in sql.execute("SELECT mark FROM suppression_keys"))


def _rows(sql: sqlite3.Connection, namespace: str, hashes: Sequence[bytes]) -> Iterator[tuple[bytes, Suppression]]:
    for hash_, *said in select_by_keys(sql, _HELD, (namespace,), hashes):
        yield hash_, Suppression(*said)
