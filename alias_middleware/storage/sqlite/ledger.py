"""Counters and drained positions, as a batch's transaction moves them on."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from alias_middleware.errors import StorageUnavailable
from alias_middleware.storage.base import Batch
from alias_middleware.storage.sqlite.marks import mark_changed


def check_positions(sql: sqlite3.Connection, batch: Batch) -> None:
    """Refuse a batch that was read from elsewhere than where this file stands."""
    for segment, span in batch.spans.items():
        row = sql.execute("SELECT position FROM positions WHERE segment = ?", (segment,)).fetchone()
        if (row[0] if row else 0) != span.start:
            raise StorageUnavailable("the batch was read from elsewhere", reason="stale_position")


def advance(sql: sqlite3.Connection, batch: Batch) -> None:
    """Move the drained positions on."""
    check_positions(sql, batch)
    ends = [(segment, span.end) for segment, span in batch.spans.items()]
    sql.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", ends)
    sql.executemany("DELETE FROM positions WHERE segment = ?", [(segment,) for segment in batch.finished])


def count_unidentified(sql: sqlite3.Connection, rows: Sequence[tuple[int, int, int]]) -> None:
    """Add page views without an alias, by service and local day."""
    mark_changed(sql, {(service, day) for service, day, _ in rows}, 0)
    sql.executemany(
        "INSERT INTO unidentified VALUES (?, ?, ?) "
        "ON CONFLICT (service, day) DO UPDATE SET page_views = page_views + excluded.page_views",
        rows,
    )


def count(sql: sqlite3.Connection, counts: Mapping[str, int]) -> None:
    """Add to the counters."""
    sql.executemany(
        "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        list(counts.items()),
    )
