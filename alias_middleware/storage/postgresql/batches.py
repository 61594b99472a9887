"""A batch on its way into PostgreSQL: one transaction, one batch at a time however many writers there are."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from alias_middleware.errors import StorageUnavailable
from alias_middleware.storage.base import Batch, Outcome
from alias_middleware.storage.folding import fold
from alias_middleware.storage.keyring import TOMBSTONE, Keyring
from alias_middleware.storage.postgresql import locks, planning, preferences, pseudonyms, seals, tastes
from alias_middleware.storage.postgresql.erasure import check_keys
from alias_middleware.storage.postgresql.frozen import admitted
from alias_middleware.storage.postgresql.marks import mark_changed
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.postgresql.replacement import STRETCHES, take_back
from alias_middleware.storage.postgresql.shelf import PostgreSQLShelf
from alias_middleware.storage.pseudonyms import check_keyed
from alias_middleware.storage.replacing import LiveTime, Precedence, by_service

_POSITIONS = "SELECT segment, position FROM positions WHERE segment = ANY(%s)"
_MOVE = """
    INSERT INTO positions SELECT * FROM unnest(%s::text[], %s::bigint[])
    ON CONFLICT (segment) DO UPDATE SET position = excluded.position
"""
_FORGET = "DELETE FROM positions WHERE segment = ANY(%s)"
_COUNT = """
    INSERT INTO counters SELECT * FROM unnest(%s::text[], %s::bigint[])
    ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value
"""
_UNIDENTIFIED = """
    INSERT INTO unidentified VALUES (%s, %s, %s)
    ON CONFLICT (service, day) DO UPDATE SET page_views = unidentified.page_views + excluded.page_views
"""


def apply(connection: Connection, batch: Batch, keyring: Keyring) -> Outcome:
    """Take over a batch; when anything is raised the connection is closed, and nothing of it took effect."""
    with connection.pipeline():
        connection.execute("BEGIN")
        planning.look_up(connection)
        locks.take_turn(connection)
        positions = connection.execute(_POSITIONS, (list(batch.spans),))
        live, stretches = connection.execute(tastes.LIVE), connection.execute(STRETCHES)
    _check_positions(dict(positions.fetchall()), batch)
    check_keys(connection, keyring)
    origins = batch.origins()
    check_keyed(batch.keyings(origins), pseudonyms.mark_of(connection))
    batch, named = batch.parted(origins)
    shelf = PostgreSQLShelf(connection, keyring, named)
    hashes = hashes_of(keyring)
    refused = preferences.change_late(connection, batch.changes_by_time(), hashes, lasting_of(keyring))
    seals.keep(connection, batch.sealings, hashes)
    for origin in origins:
        shelf.service(origin)
    known = {service: LiveTime(*times) for service, *times in live.fetchall()}
    precedence = Precedence(known, by_service(stretches.fetchall()))
    batch, arrived = _arrive(connection, batch, precedence)
    changes = fold(batch.entries, shelf)
    changes.outcome.refused = refused
    changes.outcome.dropped.update(arrived.dropped)
    changes.outcome.taken_back = arrived.taken_back
    shelf.write(changes)
    with connection.pipeline():
        for (namespace, _), name in named.items():
            pseudonyms.keep_lasting(connection, keyring, namespace, name, known=False)
        mark_changed(connection, {(shelf.service(origin)[0], day) for origin, day in batch.unidentified}, 0)
        for (origin, day), page_views in batch.unidentified.items():
            connection.execute(_UNIDENTIFIED, (shelf.service(origin)[0], day, page_views))
        _move(connection, batch)
        _count(connection, batch.counts, changes.outcome.counts())
        connection.execute("COMMIT")
    return changes.outcome


def _arrive(connection: Connection, batch: Batch, precedence: Precedence) -> tuple[Batch, Outcome]:
    """Leave out what is too old, and page views of which another copy counts; take back what counts no more."""
    outcome = Outcome()
    entries = admitted(connection, batch.entries)
    if too_old := len(batch.entries) - len(entries):
        outcome.dropped["too_old"] += too_old
        batch = replace(batch, entries=list(entries))
    batch = precedence.admitted(batch, outcome)
    begun = precedence.begun(batch)
    for service, asked in precedence.to_take_back(begun).items():
        outcome.taken_back += take_back(connection, service, asked)
    tastes.begin_live(connection, begun)
    return batch, outcome


def hashes_of(keyring: Keyring) -> preferences.Hashes:
    """Give the hashes under which a visitor's tombstone may stand."""
    return lambda namespace, key: keyring.every(TOMBSTONE, namespace, key)


def lasting_of(keyring: Keyring) -> preferences.Keep:
    """Give what keeps the lasting key of somebody who has a profile."""

    def keep(connection: Connection, namespace: str, key: str) -> None:
        pseudonyms.keep_lasting(connection, keyring, namespace, key, known=True)

    return keep


def _check_positions(positions: Mapping[str, int], batch: Batch) -> None:
    """Refuse a batch that was read from elsewhere than where this database stands."""
    for segment, span in batch.spans.items():
        if positions.get(segment, 0) != span.start:
            raise StorageUnavailable("the batch was read from elsewhere", reason="stale_position")


def _move(connection: Connection, batch: Batch) -> None:
    if batch.spans:
        ends = [span.end for span in batch.spans.values()]
        connection.execute(_MOVE, (list(batch.spans), ends))
    if batch.finished:
        connection.execute(_FORGET, (batch.finished,))


def _count(connection: Connection, *added: Mapping[str, int]) -> None:
    """Add to the counters. No name twice in a statement: it could not change one row two times."""
    for counts in added:
        if counts:
            connection.execute(_COUNT, (list(counts), list(counts.values())))
