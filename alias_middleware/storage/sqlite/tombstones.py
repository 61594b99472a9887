"""Who was erased, and when: tombstones under keyed hashes, in each of the two files.

A row of nobody, whose namespace is empty, marks each key that tombstones are kept under: who lacks one of those
keys would know nobody's erasure, and is refused instead.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from alias_middleware.storage.keyring import TOMBSTONE, Keyring
from alias_middleware.storage.sqlite import erasure

_NOBODYS = ""
_MARKS = "SELECT hash FROM {}.tombstones WHERE namespace = ''"
_ANY = "SELECT 1 FROM {}.tombstones LIMIT 1"
_MARK = {
    "main": "INSERT OR IGNORE INTO main.tombstones VALUES (?, ?, 0)",
    "preferences": "INSERT OR IGNORE INTO preferences.tombstones VALUES (?, ?, 0, NULL)",
}


class Tombstones:
    """The tombstones of one storage, found and written under the keys of `keyring`."""

    def __init__(self, keyring: Keyring) -> None:
        """Hash visitors with `keyring`."""
        self._keyring = keyring

    def hashes(self, sql: sqlite3.Connection, schema: str, namespace: str, key: str) -> list[bytes]:
        """Give the hashes of somebody to be erased, newest first, and mark the newest key, in a transaction.

        Raises:
            StorageCorrupt: a key is missing.
        """
        self.check(sql, schema)
        sql.execute(_MARK[schema], (_NOBODYS, self._keyring.marks()[-1]))
        return self._keyring.every(TOMBSTONE, namespace, key)

    def lookup(
        self, sql: sqlite3.Connection, schema: str, named: Mapping[tuple[str, str], str] = MappingProxyType({})
    ) -> Callable[[str, str], int | None]:
        """Give what tells the time of a visitor's latest erasure, None where he never was.

        `named`: visitors as they are named, where more is known than their visitor keys (`Batch.parted`).
        It raises StorageCorrupt when a key is missing; a mere question makes no key file.
        """
        return partial(self._erased_at, sql, schema, named, checked=[])

    def _erased_at(
        self,
        sql: sqlite3.Connection,
        schema: str,
        named: Mapping[tuple[str, str], str],
        namespace: str,
        key: str,
        *,
        checked: list[bool],
    ) -> int | None:
        if sql.execute(_ANY.format(schema)).fetchone() is None:
            return None
        if not checked:
            self.check(sql, schema)
            checked.append(True)
        hashes = self._keyring.every(TOMBSTONE, namespace, named.get((namespace, key), key))
        return erasure.erased_at(sql, schema, namespace, hashes)

    def check(self, sql: sqlite3.Connection, schema: str) -> None:
        """Make sure that nobody who was erased is unknown to us.

        Raises:
            StorageCorrupt: a key is missing.
        """
        self._keyring.check(mark for (mark,) in sql.execute(_MARKS.format(schema)))

    def newest(self, namespace: str, key: str) -> tuple[bytes, bytes]:
        """Give the hash to write of a visitor, and the mark of its key."""
        return self._keyring.newest(TOMBSTONE, namespace, key), self._keyring.marks()[-1]
