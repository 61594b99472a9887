"""`sqlite:///alias.db`: profiles and history in files of this machine, for any number of processes.

History is in the named file and written by the elected writer; preferences are in a file beside it, so that
a batch never holds up a request. Both are in WAL mode: reads wait for nobody.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from alias_middleware.errors import StorageUnavailable
from alias_middleware.events import Event
from alias_middleware.history import Knowledge
from alias_middleware.identity import stored_part
from alias_middleware.interests import Sums
from alias_middleware.profile import ProfileChange, StoredProfile
from alias_middleware.rollups.model import Days
from alias_middleware.storage.base import (
    Abilities,
    Answer,
    Batch,
    Difference,
    Ledger,
    Outcome,
    Question,
    Scope,
    Storage,
)  # fmt: skip
from alias_middleware.storage.clientele import Clientele
from alias_middleware.storage.erasure_log import ErasureLog
from alias_middleware.storage.keyring import Keyring
from alias_middleware.storage.outbox import Suppression
from alias_middleware.storage.pseudonyms import check_keyed
from alias_middleware.storage.sqlite import (
    moving,
    preferences,
    questions,
    seals,
    suppressions,
    tastes,
    verify,
)  # fmt: skip
from alias_middleware.storage.sqlite.address import path_of
from alias_middleware.storage.sqlite.answers import Answers, stale
from alias_middleware.storage.sqlite.arriving import arrive
from alias_middleware.storage.sqlite.conversions import SQLiteConversions
from alias_middleware.storage.sqlite.custody import SQLiteCustody
from alias_middleware.storage.sqlite.erasing import Erasing
from alias_middleware.storage.sqlite.figures import FiguresFile
from alias_middleware.storage.sqlite.files import DRIVER_ERRORS, Files
from alias_middleware.storage.sqlite.fold import Fold
from alias_middleware.storage.sqlite.keyring import FileKeyring
from alias_middleware.storage.sqlite.ledger import advance, check_positions, count, count_unidentified
from alias_middleware.storage.sqlite.moving import SQLiteMoving
from alias_middleware.storage.sqlite.outbox import SQLiteOutbox
from alias_middleware.storage.sqlite.pseudonyms import SQLitePseudonyms, keep_lasting, mark_of
from alias_middleware.storage.sqlite.recollection import Recollection
from alias_middleware.storage.sqlite.replacement import Sweep
from alias_middleware.storage.sqlite.shelf import Identity, stored_profile
from alias_middleware.storage.sqlite.tombstones import Tombstones
from alias_middleware.storage.sqlite.transactions import writing

_BATCH_TIMEOUT_SECONDS = 5.0

_READ = """
    SELECT preferences, personal, consents FROM preferences.profiles WHERE namespace = ? AND key = ?
"""
_KNOW = """
    SELECT knowledge, habits FROM visitors JOIN chronicles ON visitor = id WHERE namespace = ? AND key = ?
"""
_STRANGER = StoredProfile()


class SQLiteStorage(Storage):
    """Profiles and history in two SQLite files."""

    abilities = Abilities(reads_block=False, shared=True, replaces=True)

    def __init__(self, url: str, *, secret_keys: Sequence[bytes] = ()) -> None:
        """Use the file of `url`: `sqlite:///relative.db` or `sqlite:////absolute.db`. Nothing is opened yet.

        Raises:
            SettingsError: the URL names no file.
        """
        self.path = path_of(url)
        self._files = Files(self.path)
        self._figures = FiguresFile(self.path.with_name(self.path.name + "-figures"))
        self._keyring = FileKeyring(self.path.with_name(self.path.name + "-key"), secret_keys)
        self._tombstones = Tombstones(self._keyring)
        self._log = ErasureLog(self.path.with_name(self.path.name + "-erasures"))
        self._erasing = Erasing(self._files, self._tombstones, self._figures)
        self._changing = threading.Lock()
        self._applying = threading.Lock()
        self._recollection = Recollection()
        os.register_at_fork(after_in_child=partial(_unlock, weakref.ref(self)))

    @property
    def spool_folder(self) -> Path:
        """The spool's place beside the database."""
        return self.path.with_name(self.path.name + "-spool")

    def read_profile(self, namespace: str, key: str) -> StoredProfile:
        """Give a visitor's documents: off the shelf, or from the preferences file alone."""
        shelf = self._files.shelf
        profile = shelf.find(namespace, key)
        if profile is None:
            stored = stored_part(key)
            slip = shelf.slip(namespace, stored)
            row, files = self._read(_READ, namespace, stored)
            profile = _STRANGER if row is None else stored_profile(row)
            shelf.keep(slip, namespace, key, profile, files)
        return profile

    def read_knowledge(self, namespace: str, key: str) -> bytes:
        """Give what is derived from a visitor's history, from the history file alone.

        Reading both files in one query costs the sum of two queries, and most requests need only one.
        """
        row, _ = self._read(_KNOW, namespace, stored_part(key))
        return b"[]" if row is None else b"%b\n%b" % row

    def _read(self, query: str, namespace: str, key: str) -> tuple[Any, Identity]:
        """Give one row, or None, and the files it comes from."""
        held = None
        try:
            held = self._files.take()
            row = held.sql.execute(query, (namespace, key)).fetchone()
        except DRIVER_ERRORS as error:
            raise self._files.failure(held, error) from error
        self._files.give(held)
        return row, held.files

    def change_profile(self, namespace: str, change: ProfileChange, *, timeout: float) -> int:
        """Carry out operations in one short transaction on the preferences file."""
        deadline = time.monotonic() + timeout
        if not self._changing.acquire(timeout=timeout):
            raise StorageUnavailable("another thread is changing profiles", reason="locked")
        try:
            left = max(0.0, deadline - time.monotonic())
            with self._files.wrapped() as connection, connection.profile_changes(left) as (sql, renew):
                tombstone = self._tombstones.lookup(sql, "preferences")
                refused = preferences.change(sql, namespace, change, tombstone, renew, late=False)
                keep_lasting(sql, "preferences", self._keyring, namespace, change.key)
                return refused
        finally:
            self._changing.release()

    def apply(self, batch: Batch) -> Outcome:
        """Take over a batch: late profile changes in one transaction, all the rest in another.

        A crash between the two does no harm: a change applies once by its id. The ids are forgotten when
        the batch's positions are committed, so both transactions refuse a batch read from elsewhere.
        """
        with self._files.wrapped(batch=True) as connection:
            self._erasing.finish(connection)
            refused = 0
            if batch.changes:
                with connection.profile_changes(_BATCH_TIMEOUT_SECONDS) as (sql, renew):
                    check_positions(sql, batch)
                    tombstone = self._tombstones.lookup(sql, "preferences")
                    refused = preferences.change_late(sql, batch.changes_by_time(), tombstone, renew)
                    for late in batch.changes:
                        keep_lasting(sql, "preferences", self._keyring, late.namespace, late.change.key)
            connection.remember_much()
            with self._applying:
                with connection.transaction(_BATCH_TIMEOUT_SECONDS) as sql:
                    outcome = self._fold(sql, batch)
                    outcome.refused = refused
                    count(sql, outcome.counts())
                self._recollection.committed()
            if batch.changes:
                with connection.preferences_transaction(_BATCH_TIMEOUT_SECONDS) as sql:
                    preferences.forget_applied(sql, batch.changes)
            if self._files.preferences_log_is_long():
                connection.checkpoint_preferences()
        return outcome

    def _fold(self, sql: sqlite3.Connection, batch: Batch) -> Outcome:
        advance(sql, batch)
        origins = batch.origins()
        check_keyed(batch.keyings(origins), partial(mark_of, sql))
        batch, named = batch.parted(origins)

        def refusals(namespace: str, keys: Iterable[str]) -> Mapping[str, int]:
            return preferences.refusals(sql, namespace, keys)

        batch, arrived = arrive(sql, batch)
        self._recollection.begin(sql)
        erased_at = self._tombstones.lookup(sql, "main", named)
        fold = Fold(sql, self._recollection, erased_at, refusals)
        for origin in origins:
            fold.service(origin)
        outcome = fold.fold(batch.entries)
        seals.keep(sql, batch.sealings, erased_at)
        for (namespace, _), name in named.items():
            keep_lasting(sql, "main", self._keyring, namespace, name)
        outcome.dropped.update(arrived.dropped)
        outcome.taken_back = arrived.taken_back
        count_unidentified(sql, [(fold.service(of)[0], day, n) for (of, day), n in batch.unidentified.items()])
        count(sql, batch.counts)
        return outcome

    def ledger(self) -> Ledger:
        """Give counters and positions of one moment."""
        with self._files.wrapped() as connection, connection.snapshot() as sql:
            return questions.ledger(sql)

    def history(self, namespace: str, key: str, limit: int, *, before_us: int | None = None) -> list[Event]:
        """Give a visitor's latest events, newest first."""
        with self._files.wrapped() as connection, connection.snapshot() as sql:
            return questions.history(sql, namespace, stored_part(key), limit, before_us)

    def category_sums(self, namespace: str) -> Mapping[str, Sums]:
        """Give everybody's sums by category."""
        with self._files.wrapped() as connection:
            return tastes.read(connection.sql, namespace)

    def live_since(self, service: str) -> int | None:
        """Give the time of a service's first live page view."""
        with self._files.wrapped() as connection:
            row = connection.sql.execute("SELECT since_us FROM live WHERE service = ?", (service,)).fetchone()
        return None if row is None else row[0]

    def replace_live(self, service: str, since_us: int, until_us: int) -> int:
        """Sweep live page views out of the history file, in short transactions."""
        with self._files.wrapped() as connection:
            return Sweep(connection, service, (since_us, until_us)).carry_out()

    def rollups(self, asked: Sequence[Question]) -> list[Answer]:
        """Roll up as of one moment; days that have not changed since the last question are not read again."""
        with self._files.wrapped() as connection:
            return Answers(self._figures).answer(connection, asked)

    def stale(self) -> Sequence[tuple[Scope, Days]]:
        """Give the days that have changed since they were rolled up."""
        with self._files.wrapped() as connection, connection.snapshot() as sql:
            return stale(sql, self._figures)

    def mark(self, scope: Scope) -> bytes:
        """Give a digest of the marks of the scope's days, and of the erasures."""
        with self._files.wrapped() as connection, connection.snapshot() as sql:
            return questions.mark(sql, questions.services(sql, scope))

    def span(self, scope: Scope) -> Days | None:
        """Give the days in which something was recorded; all of a day may have been erased since."""
        with self._files.wrapped() as connection, connection.snapshot() as sql:
            return questions.span(sql, questions.services(sql, scope))

    def verify(self, since: int, until: int) -> list[Difference]:
        """Compare roll-ups, visitors' rows, arrivals and category sums with the raw events, as of one moment."""
        with self._files.wrapped() as connection, connection.snapshot() as sql:
            services = questions.every_service(sql)
            return [
                *verify.unmarked_days(sql, services, since, until),
                *verify.differing_rollups(sql, self._figures, services, since, until),
                *verify.differing_blocks(sql, self._figures, services, since, until),
                *verify.differing_visitors(sql, services),
            ]

    def clientele(self, page: Clientele) -> list[tuple[str, Knowledge]]:
        """Give a page of visitors with their knowledge."""
        with self._files.wrapped() as connection:
            return questions.clientele(connection.sql, page)

    def erase(self, namespace: str, key: str, time_us: int) -> dict[str, int]:
        """Erase a visitor from both files; an erasure cut short is finished by the next batch."""
        with self._files.wrapped() as connection:
            for schema in ("main", "preferences"):
                self._tombstones.check(connection.sql, schema)
            self._log.append(namespace, *self._tombstones.newest(namespace, key), time_us)
        return self._erasing.erase(namespace, key, time_us)

    def erased_at(self, namespace: str, key: str) -> int | None:
        """Give the time of a visitor's latest erasure."""
        with self._files.wrapped() as connection:
            return self._tombstones.lookup(connection.sql, "preferences")(namespace, key)

    def suppress(self, namespace: str, key: str, suppression: Suppression) -> None:
        """Keep a suppression under the visitor's keyed hash."""
        with writing(self._files) as sql:
            suppressions.keep(sql, self._keyring, namespace, key, suppression)

    def suppressions(self, namespace: str, key: str) -> list[Suppression]:
        """Give a visitor's suppressions by scope."""
        with self._files.wrapped() as connection:
            return suppressions.held(connection.sql, self._keyring, namespace, key)

    def outbox(self) -> SQLiteOutbox:
        """Give the campaigns and their messages."""
        return SQLiteOutbox(self._files, partial(_suppressions_of, self._keyring))

    def conversions(self) -> SQLiteConversions:
        """Give the ledger of conversions to numbers."""
        return SQLiteConversions(self._files)

    def custody(self) -> SQLiteCustody:
        """Give retention, the log of erasures and the audit."""
        return SQLiteCustody(self._files, self._keyring, self._log, self._erasing.erase)

    def pseudonyms(self) -> SQLitePseudonyms:
        """Give what knows the pseudonym keys again and rotates them."""
        return SQLitePseudonyms(self._files, self._keyring, self._erasing.finish)

    def own_key(self) -> bytes | None:
        """Give the key in the file beside the database, which is made unless somebody was hashed without it."""
        with self._files.wrapped() as connection:
            return self._keyring.in_file(make=not moving.somebody_is_hashed(connection.sql))

    def moving(self) -> SQLiteMoving:
        """Give the verbs for moving all there is."""
        return SQLiteMoving(self._files, self._keyring, self._log, self._erasing.finish)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._files.close()

    def begin_anew(self) -> None:
        """In a child, right after the fork: the thread that held the lock does not exist here."""
        self._changing = threading.Lock()
        self._applying = threading.Lock()


def _suppressions_of(
    keyring: Keyring, sql: sqlite3.Connection, namespace: str, keys: Iterable[str]
) -> Mapping[str, Sequence[Suppression]]:
    return suppressions.held_by(sql, keyring, namespace, keys)


def _unlock(storage: weakref.ref[SQLiteStorage]) -> None:
    if (inherited := storage()) is not None:
        inherited.begin_anew()
