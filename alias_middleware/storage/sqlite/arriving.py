"""What of a batch the history file takes, and what it takes back for it: all that lies in the time of events."""

from __future__ import annotations

import sqlite3

from msgspec.structs import replace

from alias_middleware.storage.base import Batch, Outcome
from alias_middleware.storage.replacing import LiveTime, Precedence
from alias_middleware.storage.sqlite.frozen import admitted
from alias_middleware.storage.sqlite.replacement import stretches, take_back

_LIVE = "SELECT service, since_us, ifnull(earliest_us, since_us) FROM live"
_BEGUN = "INSERT INTO live VALUES (?, ?, ?) ON CONFLICT (service) DO UPDATE SET since_us = excluded.since_us"


def arrive(sql: sqlite3.Connection, batch: Batch) -> tuple[Batch, Outcome]:
    """Leave out what is too old, and page views of which another copy counts; take back what counts no more.

    Visitors' rows may be others afterwards: nothing may be remembered of them from before.
    """
    outcome = Outcome()
    entries = admitted(sql, batch.entries)
    if too_old := len(batch.entries) - len(entries):
        outcome.dropped["too_old"] += too_old
        batch = replace(batch, entries=list(entries))
    live = {service: LiveTime(*times) for service, *times in sql.execute(_LIVE)}
    precedence = Precedence(live, stretches(sql))
    batch = precedence.admitted(batch, outcome)
    begun = precedence.begun(batch)
    for service, asked in precedence.to_take_back(begun).items():
        outcome.taken_back += take_back(sql, service, asked)
    sql.executemany(_BEGUN, [(service, *live) for service, live in begun.items()])
    return batch, outcome
