"""The SQLite storage's custody: purges, erasures replayed from their log, the audit of disclosures."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from alias_middleware.identity import stored_part
from alias_middleware.storage.custody import Custody, Cut, Disclosure
from alias_middleware.storage.erasure_log import ErasureLog
from alias_middleware.storage.keyring import Keyring
from alias_middleware.storage.outbox import Dispatch
from alias_middleware.storage.sqlite.erasure import TOMBSTONE, erased_at
from alias_middleware.storage.sqlite.files import Files
from alias_middleware.storage.sqlite.pseudonyms import named_by, wipe
from alias_middleware.storage.sqlite.purge import Purge
from alias_middleware.storage.sqlite.transactions import reading, writing

_PURPOSE = "disclosure"
_TIMEOUT_SECONDS = 10.0
_EVERYBODY = """
    SELECT namespace, key FROM visitors UNION SELECT namespace, key FROM preferences.profiles
    UNION SELECT namespace, key FROM dispatches ORDER BY namespace
"""

Erase = Callable[[str, str, int], dict[str, int]]
"""Erases (namespace, key) as of a time and gives the rows gone by table."""


class SQLiteCustody(Custody):
    """Rights of the persons in one storage's files."""

    def __init__(self, files: Files, keyring: Keyring, log: ErasureLog, erase: Erase) -> None:
        """Use the storage's files, keys, log of erasures and way to erase."""
        self._files = files
        self._keyring = keyring
        self._log = log
        self._erase = erase

    def purge(self, namespace: str, cut: Cut, *, dry_run: bool) -> dict[str, int]:
        """Carry a cut out in short transactions, then leave no byte of what went in the files."""
        with self._files.wrapped() as connection:
            purge = Purge(connection, namespace, cut)
            if dry_run:
                return purge.count()
            gone = purge.carry_out()
            if any(number for what, number in gone.items() if what != "frozen_days"):
                wipe(connection)
            return gone

    def replay_erasures(self, *, dry_run: bool) -> dict[str, int]:
        """Erase again, and remember those of whom nothing is here."""
        with self._files.wrapped() as connection:
            self._keyring.check(self._log.marks())
            logged = self._log.latest()
            unknown = {
                place: time_us
                for place, time_us in logged.items()
                if _erased_here(connection.sql, *place) < time_us
            }
            found = list(self._found(connection.sql, unknown))
        told = {"logged": len(logged), "replayed": len(unknown)}
        if dry_run:
            return told
        gone: Counter[str] = Counter()
        for namespace, key, time_us in found:
            gone.update(self._erase(namespace, key, time_us))
        self._remember(unknown)
        return told | gone

    def _found(
        self, sql: sqlite3.Connection, unknown: dict[tuple[str, bytes], int]
    ) -> Iterator[tuple[str, str, int]]:
        """Recognise by their hashes the persons who are here."""
        if not unknown:
            return
        for namespace, people in groupby(sql.execute(_EVERYBODY).fetchall(), key=itemgetter(0)):
            for key in self._named(sql, namespace, [key for _, key in people]):
                hashes = self._keyring.every(TOMBSTONE, namespace, key)
                times = [unknown[namespace, hash_] for hash_ in hashes if (namespace, hash_) in unknown]
                if times:
                    yield namespace, key, max(times)

    def _named(self, sql: sqlite3.Connection, namespace: str, keys: Sequence[str]) -> list[str]:
        """Name visitors by their lasting keys, too, which either file may have."""
        named = {
            key: name
            for schema in ("preferences", "main")
            for key, name in named_by(sql, self._keyring, namespace, keys, schema).items()
        }
        return [named.get(key, key) for key in keys]

    def _remember(self, unknown: dict[tuple[str, bytes], int]) -> None:
        """Leave tombstones for those who are not here: events of theirs may still wait in a spool."""
        rows = [(*place, time_us) for place, time_us in unknown.items()]
        keep = "ON CONFLICT (namespace, hash) DO UPDATE SET erased_us = max(erased_us, excluded.erased_us)"
        with self._files.wrapped() as connection:
            with connection.preferences_transaction(_TIMEOUT_SECONDS) as sql:
                sql.executemany(f"INSERT INTO preferences.tombstones VALUES (?, ?, ?, NULL) {keep}", rows)
            with connection.transaction(_TIMEOUT_SECONDS) as sql:
                sql.executemany(f"INSERT INTO main.tombstones VALUES (?, ?, ?) {keep}", rows)

    def note(self, namespace: str, key: str, disclosure: Disclosure) -> None:
        """Keep a row of the audit under the visitor's keyed hash."""
        row = (disclosure.time_us, disclosure.id, disclosure.what, disclosure.requester, disclosure.reason)
        hash_ = self._keyring.newest(_PURPOSE, namespace, key)
        with writing(self._files) as sql:
            sql.execute("INSERT OR IGNORE INTO disclosures VALUES (?, ?, ?, ?, ?, ?, ?)", (namespace, hash_, *row))

    def disclosures(self, namespace: str, key: str) -> list[Disclosure]:
        """Give a visitor's audit, under whichever key it was written."""
        query = "SELECT id, time_us, what, requester, reason FROM disclosures WHERE namespace = ? AND hash = ?"
        with reading(self._files) as sql:
            if sql.execute("SELECT 1 FROM disclosures LIMIT 1").fetchone() is None:
                return []  # a mere question makes no key file
            rows = [
                row
                for hash_ in self._keyring.every(_PURPOSE, namespace, key)
                for row in sql.execute(query, (namespace, hash_)).fetchall()
            ]
        found = [
            Disclosure(id=id_, time_us=time_us, what=what, requester=requester, reason=reason)
            for id_, time_us, what, requester, reason in rows
        ]
        return sorted(found, key=lambda row: (row.time_us, row.id))

    def dispatches(self, namespace: str, key: str) -> list[tuple[str, Dispatch]]:
        """Give the campaign messages of one visitor, oldest first."""
        with reading(self._files) as sql:
            rows = sql.execute(
                "SELECT service, campaign, key, state, reason, until_us, time_us, message_id, claimed_us "
                "FROM dispatches WHERE namespace = ? AND key = ? ORDER BY time_us, service, campaign",
                (namespace, stored_part(key)),
            ).fetchall()
        return [(service, Dispatch(*rest)) for service, *rest in rows]


def _erased_here(sql: sqlite3.Connection, namespace: str, hash_: bytes) -> int:
    """Give the latest erasure that both files know of, 0 for none."""
    return min(erased_at(sql, schema, namespace, [hash_]) or 0 for schema in ("main", "preferences"))
