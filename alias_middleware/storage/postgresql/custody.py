"""The PostgreSQL storage's custody: purges, erasures replayed from their log, the audit of disclosures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from alias_middleware.errors import SettingsError, StorageUnavailable
from alias_middleware.identity import stored_part
from alias_middleware.storage.custody import Custody, Cut, Disclosure
from alias_middleware.storage.erasure_log import ErasureLog
from alias_middleware.storage.keyring import TOMBSTONE, Keyring
from alias_middleware.storage.outbox import Dispatch
from alias_middleware.storage.postgresql.arrays import columns_of
from alias_middleware.storage.postgresql.erasure import mark_key
from alias_middleware.storage.postgresql.pool import Connection, Pool
from alias_middleware.storage.postgresql.pseudonyms import named_by
from alias_middleware.storage.postgresql.purge import Purge

_PURPOSE = "disclosure"
_SECONDS = 10.0
_PURGE_SECONDS = 24 * 3600.0
_PAGE = 1_000

_NOTE = "INSERT INTO disclosures VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
_DISCLOSURES = """
    SELECT id, time_us, what, requester, reason FROM disclosures WHERE namespace = %s AND hash = ANY(%s)
    ORDER BY time_us, id
"""
_DISPATCHES = """
    SELECT service, campaign, key, state, reason, until_us, time_us, message_id, claimed_us FROM dispatches
    WHERE namespace = %s AND key = %s ORDER BY time_us, service, campaign
"""
_EVERYBODY = """
    SELECT namespace, key FROM (
        SELECT namespace, key FROM visitors UNION SELECT namespace, key FROM profiles
        UNION SELECT namespace, key FROM dispatches
    ) people WHERE (namespace, key) > (%s, %s) ORDER BY namespace, key LIMIT %s
"""
_TOMBSTONES = """
    SELECT t.namespace, t.hash, t.erased_us FROM unnest(%s::text[], %s::bytea[]) AS asked (namespace, hash)
    JOIN tombstones t ON t.namespace = asked.namespace AND t.hash = asked.hash
"""
_REMEMBER = """
    INSERT INTO tombstones SELECT * FROM unnest(%s::text[], %s::bytea[], %s::bigint[])
    ON CONFLICT (namespace, hash) DO UPDATE SET erased_us = greatest(tombstones.erased_us, excluded.erased_us)
"""

Erase = Callable[[str, str, int], dict[str, int]]
"""Erases (namespace, key) as of a time and gives the rows gone by table."""

Place = tuple[str, bytes]
"""A namespace and a keyed hash in it."""


def note(log: ErasureLog, keyring: Keyring, namespace: str, key: str, time_us: int) -> None:
    """Note an erasure that is about to be carried out, under the newest key.

    Raises:
        StorageUnavailable: it cannot be noted, so it must not be carried out.
    """
    try:
        log.append(namespace, keyring.newest(TOMBSTONE, namespace, key), keyring.marks()[-1], time_us)
    except OSError as error:
        raise StorageUnavailable("the log of erasures cannot be written", reason="io_error") from error


class PostgreSQLCustody(Custody):
    """Rights of the persons in one schema."""

    def __init__(self, pool: Pool, keyring: Keyring, log: ErasureLog | None, erase: Erase) -> None:
        """Use the storage's connections, keys, log of erasures and way to erase."""
        self._pool = pool
        self._keyring = keyring
        self._log = log
        self._erase = erase

    def purge(self, namespace: str, cut: Cut, *, dry_run: bool) -> dict[str, int]:
        """Carry a cut out in short transactions, or count in one.

        What was in deleted rows stays in PostgreSQL's files until it vacuums the tables and recycles its log.
        """
        with self._pool.connection(_PURGE_SECONDS) as connection:
            purge = Purge(connection, namespace, cut)
            return purge.count() if dry_run else purge.carry_out()

    def replay_erasures(self, *, dry_run: bool) -> dict[str, int]:
        """Erase again, and remember those of whom nothing is here.

        Raises:
            SettingsError: the URL names no log of erasures.
            StorageCorrupt: a key that the log was written under is not among ours.
        """
        if self._log is None:
            raise SettingsError(
                "erasures are replayed from their log: name it in the URL, as ?erasure_log=/var/lib/site/erasures",
                setting="storage",
            )
        self._keyring.check(self._log.marks())
        logged = self._log.latest()
        with self._pool.connection(_PURGE_SECONDS) as connection:
            missing = _unknown(connection, logged)
            found = list(self._found(connection, missing)) if missing else []
            told = {"logged": len(logged), "replayed": len(missing)}
        if dry_run or not missing:
            return told
        gone: Counter[str] = Counter()
        for namespace, key, time_us in found:
            gone.update(self._erase(namespace, key, time_us))
        with self._pool.connection(_SECONDS) as connection:
            connection.execute(_REMEMBER, columns_of([(*place, time_us) for place, time_us in missing.items()]))
            mark_key(connection, self._keyring)
        return told | gone

    def _found(self, connection: Connection, missing: Mapping[Place, int]) -> Iterator[tuple[str, str, int]]:
        """Recognise by their hashes the persons who are here."""
        after = ("", "")
        while people := connection.execute(_EVERYBODY, (*after, _PAGE)).fetchall():
            after = people[-1]
            for namespace, key in self._named(connection, people):
                hashes = self._keyring.every(TOMBSTONE, namespace, key)
                times = [missing[namespace, hash_] for hash_ in hashes if (namespace, hash_) in missing]
                if times:
                    yield namespace, key, max(times)

    def _named(self, connection: Connection, people: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Name a page of visitors by their lasting keys, too, where these are kept."""
        for namespace, those in groupby(people, key=itemgetter(0)):
            keys = [key for _, key in those]
            named = named_by(connection, self._keyring, namespace, keys)
            yield from ((namespace, named.get(key, key)) for key in keys)

    def note(self, namespace: str, key: str, disclosure: Disclosure) -> None:
        """Keep a row of the audit under the visitor's keyed hash."""
        row = (disclosure.time_us, disclosure.id, disclosure.what, disclosure.requester, disclosure.reason)
        hash_ = self._keyring.newest(_PURPOSE, namespace, key)
        with self._pool.connection(_SECONDS) as connection:
            connection.execute(_NOTE, (namespace, hash_, *row))

    def disclosures(self, namespace: str, key: str) -> list[Disclosure]:
        """Give a visitor's audit, under whichever key it was written."""
        hashes = self._keyring.every(_PURPOSE, namespace, key)
        with self._pool.connection(_SECONDS) as connection:
            rows = connection.execute(_DISCLOSURES, (namespace, hashes)).fetchall()
        return [Disclosure(**dict(zip(Disclosure.__struct_fields__, row, strict=True))) for row in rows]

    def dispatches(self, namespace: str, key: str) -> list[tuple[str, Dispatch]]:
        """Give the campaign messages of one visitor, oldest first."""
        with self._pool.connection(_SECONDS) as connection:
            rows = connection.execute(_DISPATCHES, (namespace, stored_part(key))).fetchall()
        return [(service, Dispatch(*rest)) for service, *rest in rows]


def _unknown(connection: Connection, logged: Mapping[Place, int]) -> dict[Place, int]:
    """Give, of what is logged, the erasures that this database does not know of."""
    if not logged:
        return {}
    rows = connection.execute(_TOMBSTONES, columns_of(logged), binary=True).fetchall()
    here = {(namespace, hash_): erased_us for namespace, hash_, erased_us in rows}
    return {place: time_us for place, time_us in logged.items() if here.get(place, 0) < time_us}
