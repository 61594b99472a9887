"""How the recording does: how fresh the figures are, what waits, what the counters say."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

from alias_middleware import census
from alias_middleware.dashboard.tables import Column, Table
from alias_middleware.errors import StorageError
from alias_middleware.storage.base import Scope
from alias_middleware.tracker import Tracker

_MEASURES = ("seen", "stored", "deduplicated", "spooled")


class Health(NamedTuple):
    """The state of the recording. `recorded`: the first and the last local day with data."""

    answers: bool
    latest: datetime | None
    recorded: tuple[date, date] | None
    adds_up: bool
    spooled: int
    spool_files: int
    spool_bytes: int
    storage: str
    storage_bytes: int | None
    counters: Table


def gather(tracker: Tracker) -> Health:
    """Look at everything; a storage that does not answer is part of what is told."""
    counters = tracker.counters()
    spool = tracker.settings.spool or tracker.storage.spool_folder
    sizes = census.sizes(spool) if spool is not None else {}
    latest, recorded = _freshness(tracker)
    return Health(
        answers=not counters.get("storage_unavailable"),
        latest=latest,
        recorded=recorded,
        adds_up=_adds_up(counters),
        spooled=_number(counters, "spooled"),
        spool_files=len(sizes),
        spool_bytes=sum(sizes.values()),
        storage=type(tracker.storage).__name__.removesuffix("Storage"),
        storage_bytes=_size(getattr(tracker.storage, "path", None)),
        counters=_table(counters),
    )


def _freshness(tracker: Tracker) -> tuple[datetime | None, tuple[date, date] | None]:
    with suppress(StorageError):
        newest = tracker.statistics.visitors(order_by="last_seen", limit=1).rows
        days = tracker.storage.span(Scope(tracker.settings.namespace, None))
        recorded = None if days is None else (date.fromordinal(days[0]), date.fromordinal(days[1] - 1))
        return newest[0].last_seen if newest else None, recorded
    return None, None


def _number(counters: census.Counts, name: str) -> int:
    value = counters.get(name, 0)
    return value if isinstance(value, int) else sum(value.values())


def _adds_up(counters: census.Counts) -> bool:
    seen, *kept = (_number(counters, name) for name in (*_MEASURES, "dropped"))
    return seen == sum(kept)


def _size(path: Path | None) -> int | None:
    with suppress(OSError):
        return None if path is None else path.stat().st_size
    return None


def _table(counters: census.Counts) -> Table:
    rows: list[tuple[str, int]] = []
    for name, value in counters.items():
        if isinstance(value, int):
            rows.append((name, value))
        else:
            rows += [(f"{name}[{member}]", number) for member, number in value.items()]
    return Table("counters", [Column("counter", "text"), Column("number", "count")], rows)
