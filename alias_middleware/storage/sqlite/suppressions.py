"""What forbids contacting a visitor, under his keyed hashes in the history file: it survives his erasure."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from alias_middleware.storage.outbox import Suppression
from alias_middleware.storage.sqlite.keyring import Keyring

_PURPOSE = "suppression"


def keep(sql: sqlite3.Connection, keyring: Keyring, namespace: str, key: str, said: Suppression) -> None:
    """Keep what was said in a scope, unless something newer was."""
    hashes = keyring.every(_PURPOSE, namespace, key)
    if any(held.time_us > said.time_us for held in _held(sql, namespace, hashes) if held.scope == said.scope):
        return
    sql.execute(
        "INSERT OR REPLACE INTO suppressions VALUES (?, ?, ?, ?, ?, ?)",
        (namespace, hashes[0], said.scope, said.reason, said.channel, said.time_us),
    )


def held(sql: sqlite3.Connection, keyring: Keyring, namespace: str, key: str) -> list[Suppression]:
    """Give a visitor's suppressions by scope, the latest of each, under whichever key it was written."""
    if sql.execute("SELECT 1 FROM suppressions LIMIT 1").fetchone() is None:
        return []  # a mere question makes no key file
    latest: dict[str, Suppression] = {}
    for said in _held(sql, namespace, keyring.every(_PURPOSE, namespace, key)):
        if said.scope not in latest or latest[said.scope].time_us < said.time_us:
            latest[said.scope] = said
    return [latest[scope] for scope in sorted(latest)]


def _held(sql: sqlite3.Connection, namespace: str, hashes: Sequence[bytes]) -> Iterator[Suppression]:
    """Every row of a visitor; `hashes`: newest first."""
    for hash_ in hashes:
        rows = sql.execute(
            "SELECT scope, reason, channel, time_us FROM suppressions WHERE namespace = ? AND hash = ?",
            (namespace, hash_),
        )
        yield from (Suppression(*row) for row in rows.fetchall())
