"""What forbids contacting a visitor, under his keyed hashes in PostgreSQL: it survives his erasure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import astuple
from psycopg import Cursor

from alias_middleware.identity import stored_part
from alias_middleware.storage.keyring import SUPPRESSION, Keyring
from alias_middleware.storage.outbox import Suppression, latest_by_scope
from alias_middleware.storage.postgresql import locks
from alias_middleware.storage.postgresql.pool import Connection

_MARKS = "SELECT mark FROM suppression_keys"
_KEEP_MARK = "INSERT INTO suppression_keys VALUES (%s) ON CONFLICT DO NOTHING"
_KEEP = """
    INSERT INTO suppressions VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (namespace, hash, scope) DO UPDATE SET reason = excluded.reason, channel = excluded.channel,
        time_us = excluded.time_us
    WHERE suppressions.time_us <= excluded.time_us
"""
_HELD = "SELECT hash, scope, reason, channel, time_us FROM suppressions WHERE namespace = %s AND hash = ANY(%s)"


def keep(connection: Connection, keyring: Keyring, namespace: str, key: str, said: Suppression) -> None:
    """Keep what was said in a scope, unless something newer was."""
    with connection.pipeline():
        connection.execute("BEGIN")
        connection.execute(locks.VISITOR.encode(), (namespace, stored_part(key)))
        marks = connection.execute(_MARKS, binary=True)
    keyring.check(mark for (mark,) in marks.fetchall())
    hash_ = keyring.newest(SUPPRESSION, namespace, key)
    with connection.pipeline():
        connection.execute(_KEEP, (namespace, hash_, *astuple(said)))
        connection.execute(_KEEP_MARK, (keyring.marks()[-1],))
        connection.execute("COMMIT")


class Asked(NamedTuple):
    """A question on its way, perhaps in a pipeline: whose hashes are asked for, and where the answers come."""

    keyring: Keyring
    owners: dict[bytes, str]
    marks: Cursor[Any]
    rows: Cursor[Any]

    def answer(self) -> dict[str, list[Suppression]]:
        """Give the suppressions of those visitors who have any, by scope, the latest of each.

        Raises:
            StorageCorrupt: a key under which some are kept is not known here.
        """
        self.keyring.check(mark for (mark,) in self.marks.fetchall())
        found: dict[str, list[Suppression]] = {}
        for hash_, *said in self.rows.fetchall():
            found.setdefault(self.owners[hash_], []).append(Suppression(*said))
        return {key: latest_by_scope(said) for key, said in found.items()}


def ask(
    connection: Connection,
    keyring: Keyring,
    namespace: str,
    keys: Sequence[str],
    named: Mapping[str, str],
) -> Asked:
    """Ask for the suppressions of some visitors, under whichever key each was written.

    `named`: visitors as they are named where more is known than their visitor keys.
    """
    owners = {hash_: key for key in keys for hash_ in keyring.every(SUPPRESSION, namespace, named.get(key, key))}
    return Asked(
        keyring,
        owners,
        connection.execute(_MARKS, binary=True),
        connection.execute(_HELD, (namespace, list(owners)), binary=True),
    )
