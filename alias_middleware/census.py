"""Counting over all processes: what the storage has counted, plus what still waits in the spool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

from alias_middleware import segments
from alias_middleware.errors import StorageError
from alias_middleware.events import Event
from alias_middleware.spool import Tally, decode_record
from alias_middleware.storage.base import Storage

_ATTEMPTS = 20
_ALWAYS = ("seen", "stored", "deduplicated", "spooled")
_GROUPS = ("dropped", "identity")

Counts = dict[str, int | dict[str, int]]


def count(folder: Path, storage: Storage, unflushed: Mapping[str, int]) -> Counts:
    """Count storage, spool and this process's own `unflushed` counts together.

    While a writer moves events from one to the other, it is asked again until nothing moved.
    """
    totals: Counter[str] = Counter()
    for _ in range(_ATTEMPTS):
        before, unavailable = _positions_and_counts(storage)
        waiting = _waiting(folder, before[0])
        if waiting is not None and (unavailable or _positions_and_counts(storage)[0][0] == before[0]):
            totals = before[1] + waiting
            totals["storage_unavailable"] = int(unavailable)
            break
    totals.update(unflushed)
    return _grouped(totals)


def _positions_and_counts(storage: Storage) -> tuple[tuple[dict[str, int], Counter[str]], bool]:
    try:
        ledger = storage.ledger()
    except StorageError:
        return ({}, Counter()), True
    return (ledger.positions, Counter(ledger.counts)), False


def _waiting(folder: Path, positions: Mapping[str, int]) -> Counter[str] | None:
    """Count what segments hold past their drained positions; None when one went away meanwhile."""
    counts: Counter[str] = Counter()
    for name in segments.names(folder):
        try:
            for payload in segments.payloads(folder / name, positions.get(name, 0)):
                _add(counts, payload)
        except FileNotFoundError:
            return None
    return counts


def _add(counts: Counter[str], payload: bytes) -> None:
    try:
        record = decode_record(payload)
    except msgspec.DecodeError:
        counts.update({"seen": 1, "spooled": 1})
        return
    if isinstance(record, Tally):
        counts.update(record.counts)
    elif isinstance(record, Event):
        counts.update({"seen": 1, "spooled": 1})


def _grouped(totals: Mapping[str, int]) -> Counts:
    grouped: Counts = dict.fromkeys(_ALWAYS, 0)
    groups: dict[str, dict[str, int]] = {group: {} for group in _GROUPS}
    for name, number in sorted(totals.items()):
        group, _, member = name.partition(".")
        if member and group in groups:
            groups[group][member] = number
        elif number or name in _ALWAYS:
            grouped[name] = number
    return grouped | groups


def sizes(folder: Path) -> dict[str, int]:
    """Give the segments of a folder and the bytes they hold now."""
    found = {}
    for name in segments.names(folder):
        try:
            found[name] = (folder / name).stat().st_size
        except FileNotFoundError:
            continue
    return found


def is_drained(folder: Path, storage: Storage, waiting: Mapping[str, int]) -> bool:
    """Tell whether somebody has drained segments up to the sizes they had.

    Raises:
        StorageError: the storage does not answer.
    """
    positions = storage.ledger().positions
    return all(positions.get(name, 0) >= size or not (folder / name).exists() for name, size in waiting.items())
