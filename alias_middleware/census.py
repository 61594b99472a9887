"""Counting over all processes: what the storage has counted, plus what still waits in the spool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from alias_middleware import segments
from alias_middleware.errors import StorageError
from alias_middleware.events import Event
from alias_middleware.records import Identified, Tally, decode_record
from alias_middleware.storage.base import Ledger

_ATTEMPTS = 20
_ALWAYS = ("seen", "stored", "deduplicated", "spooled")
_GROUPS = ("dropped", "identity")


class Counted(Protocol):
    """What is asked of a storage here."""

    def ledger(self) -> Ledger:
        """Give the counters and the drained positions, consistent with each other."""


Counts = dict[str, int | dict[str, int]]


def count(folder: Path, storage: Counted, unflushed: Mapping[str, int]) -> Counts:
    """Count storage, spool and this process's own `unflushed` counts together.

    The storage says what it counted and up to where of each segment; behind that, the segments that were
    there before it was asked are counted here. Where a writer removes one meanwhile, all is asked again.
    """
    for _ in range(_ATTEMPTS):
        names = _names(folder)
        totals, positions = _counted(storage)
        waiting, complete = _waiting(folder, names, positions)
        if complete:
            break
    totals.update(waiting)
    totals.update(unflushed)
    return _grouped(totals)


def _counted(storage: Counted) -> tuple[Counter[str], Mapping[str, int]]:
    try:
        ledger = storage.ledger()
    except StorageError:
        return Counter({"storage_unavailable": 1}), {}
    return Counter(ledger.counts), ledger.positions


def _waiting(folder: Path, names: Sequence[str], positions: Mapping[str, int]) -> tuple[Counter[str], bool]:
    """Count what segments hold past their drained positions; False when one went away meanwhile."""
    counts: Counter[str] = Counter()
    complete = True
    for name in names:
        try:
            for payload in segments.payloads(folder / name, positions.get(name, 0)):
                _add(counts, payload)
        except FileNotFoundError:
            complete = False
        except OSError:
            continue  # the writer says in the log which segment cannot be read
    return counts, complete


def _names(folder: Path) -> list[str]:
    try:
        return segments.names(folder)
    except OSError:
        return []


def _add(counts: Counter[str], payload: bytes) -> None:
    try:
        record = decode_record(payload)
    except msgspec.DecodeError:
        counts.update({"seen": 1, "spooled": 1})
        return
    if isinstance(record, Tally):
        counts.update(record.counts)
    elif isinstance(record, Event | Identified):
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
    for name in _names(folder):
        with suppress(OSError):
            found[name] = (folder / name).stat().st_size
    return found


def is_drained(folder: Path, storage: Counted, waiting: Mapping[str, int]) -> bool:
    """Tell whether somebody has drained segments up to the sizes they had.

    Raises:
        StorageError: the storage does not answer.
    """
    positions = storage.ledger().positions
    return all(positions.get(name, 0) >= size or not (folder / name).exists() for name, size in waiting.items())
