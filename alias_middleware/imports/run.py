"""Taking a file over into a storage: in large batches, from where it stopped, each line once.

How far a file has come is a position in the storage, committed with each batch, so a process killed at any moment
neither loses nor doubles a line. The rejected lines' file is cut back to what was committed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from alias_middleware.imports.lines import Lines
from alias_middleware.imports.records import Reader, Record, Records
from alias_middleware.imports.views import UNREADABLE
from alias_middleware.storage.base import Batch, Entry, LateChange, Span, Storage

BATCH_LINES = 20_000


class Report(msgspec.Struct):
    """What became of a file's lines. `read` of them this time, `resumed_at` passed over as taken over before.

    `joined`: the lines that are further items of the order before them. `conflicts`: those within `deduplicated`
    whose order is known with another content, which counts instead.
    """

    resumed_at: int = 0
    read: int = 0
    joined: int = 0
    stored: int = 0
    deduplicated: int = 0
    conflicts: int = 0
    changes: int = 0
    dropped: dict[str, int] = {}
    left_out: dict[str, int] = {}


class Import:
    """One file on its way into a storage."""

    def __init__(self, storage: Storage, *, name: str, rejected: Path) -> None:
        """Take over the file of that `name` (see `lines.fingerprint`); bad lines go to the file `rejected`."""
        self._storage = storage
        self._positions = f"import:{name}", f"import-rejected:{name}"
        self._rejected = rejected
        self._report = Report()
        self._left_out: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()

    def take(self, lines: Lines, reader: Reader, *, progress: Callable[[int], None] = lambda done: None) -> Report:
        """Read the lines from where the storage stands; `progress` is told the bytes of the file read so far.

        Raises:
            StorageError: the storage took nothing of the last batch; a new attempt goes on from there.
            OSError: the file or that of rejected lines fails.
        """
        begun, rejects = self._stands()
        self._report.resumed_at = begun
        self._cut_rejected(rejects)
        batch = _Gathered(begun, rejects)
        records = Records(lines, reader, begun)
        for record in records:
            batch.add(record)
            if batch.lines >= BATCH_LINES:
                batch = self._commit(batch)
                progress(lines.read_bytes)
        if records.unfinished:  # not counted as read: the next import finds the whole of it
            self._left_out["unfinished"] += records.unfinished
        self._commit(batch)
        progress(lines.read_bytes)
        self._report.left_out = dict(self._left_out)
        self._report.dropped = dict(self._dropped)
        return self._report

    def _stands(self) -> tuple[int, int]:
        positions = self._storage.ledger().positions
        lines, rejects = (positions.get(name, 0) for name in self._positions)
        return lines, rejects

    def _cut_rejected(self, size: int) -> None:
        """Cut off what a killed import wrote behind its last commit."""
        if self._rejected.exists():
            os.truncate(self._rejected, min(size, self._rejected.stat().st_size))

    def _commit(self, batch: _Gathered) -> _Gathered:
        if not batch.lines:
            return batch
        rejects = batch.rejects_begun + self._write_rejected(batch.rejected)
        spans = (Span(batch.begun, batch.begun + batch.lines), Span(batch.rejects_begun, rejects))
        outcome = self._storage.apply(
            Batch(
                entries=batch.entries,
                changes=batch.changes,
                spans=dict(zip(self._positions, spans, strict=True)),
                counts={"seen": len(batch.entries)} if batch.entries else {},
                imported=True,
            )
        )
        report = self._report
        report.read += batch.lines
        report.joined += batch.joined
        report.stored += outcome.stored
        report.deduplicated += outcome.deduplicated
        report.conflicts += outcome.conflicts
        report.changes += len(batch.changes)
        self._dropped.update(outcome.dropped)
        self._left_out.update(batch.left_out)
        return _Gathered(batch.begun + batch.lines, rejects)

    def _write_rejected(self, lines: Iterable[bytes]) -> int:
        return write_rejected(self._rejected, lines)


def write_rejected(path: Path, lines: Iterable[bytes]) -> int:
    """Append bad lines, durably, to a file that only its owner reads; give their bytes."""
    text = b"".join(line + b"\n" for line in lines)
    if text:
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    return len(text)


class _Gathered:
    """What was read for one batch."""

    def __init__(self, begun: int, rejects_begun: int) -> None:
        self.begun = begun
        self.rejects_begun = rejects_begun
        self.lines = 0
        self.joined = 0
        self.entries: list[Entry] = []
        self.changes: list[LateChange] = []
        self.rejected: list[bytes] = []
        self.left_out: Counter[str] = Counter()

    def add(self, record: Record) -> None:
        found, lines = record
        self.lines += len(lines)
        if type(found) is Entry:
            self.joined += len(lines) - 1
            self.entries.append(found)
        elif isinstance(found, str):
            self.left_out[found] += len(lines)
            if found == UNREADABLE:
                self.rejected += lines
        elif isinstance(found, LateChange):
            self.changes.append(found)
