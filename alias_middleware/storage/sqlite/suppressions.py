"""What forbids contacting a visitor, under his keyed hashes in the history file: it survives his erasure."""

from __future__ import annotations

import sqlite3

from alias_middleware.storage.base import Suppression
from alias_middleware.storage.sqlite.keyring import Keyring

_PURPOSE = "suppression"


def say(
    sql: sqlite3.Connection, keyring: Keyring, namespace: str, key: str, said: Suppression, *, lifted: bool = False
) -> None:
    """Keep, or lift, what was said in a scope, unless the latest word on it is newer.

    A suppression holds against a lifting of the same moment.
    """
    latest = max(
        (row[0] for hash_ in keyring.every(_PURPOSE, namespace, key) for row in sql.execute(
            "SELECT time_us FROM suppressions WHERE namespace = ? AND hash = ? AND scope = ?",
            (namespace, hash_, said.scope),
        )),
        default=None,
    )  # fmt: skip
    if latest is not None and (latest > said.time_us or (lifted and latest == said.time_us)):
        return
    sql.execute(
        "INSERT OR REPLACE INTO suppressions VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            namespace,
            keyring.newest(_PURPOSE, namespace, key),
            said.scope,
            said.reason,
            said.channel,
            said.time_us,
            lifted,
        ),
    )


def held(sql: sqlite3.Connection, keyring: Keyring, namespace: str, key: str) -> list[Suppression]:
    """Give a visitor's suppressions by scope, under whichever key they were written."""
    if sql.execute("SELECT 1 FROM suppressions LIMIT 1").fetchone() is None:
        return []  # a mere question makes no key file
    latest: dict[str, tuple[Suppression, bool]] = {}
    for hash_ in keyring.every(_PURPOSE, namespace, key):
        rows = sql.execute(
            "SELECT scope, reason, channel, time_us, lifted FROM suppressions WHERE namespace = ? AND hash = ?",
            (namespace, hash_),
        )
        for *said, lifted in rows:
            suppression = Suppression(*said)
            known = latest.get(suppression.scope)
            if known is None or known[0].time_us < suppression.time_us:
                latest[suppression.scope] = suppression, bool(lifted)
    return [latest[scope][0] for scope in sorted(latest) if not latest[scope][1]]
