"""The writer: drains everybody's spool into the storage, in large batches, one writer a folder.

It runs in a thread of each process that records events; whoever holds the folder's lock does the work, the
others stand by. `alias-middleware drain` runs the same as a process of its own.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from alias_middleware import segments
from alias_middleware.errors import StorageError, StorageUnavailable, describe
from alias_middleware.profile import ProfileChange
from alias_middleware.spool import Header, Tally, decode_record
from alias_middleware.storage.base import Batch, Entry, LateChange, Origin, Outcome, Span, Storage

_BATCH_BYTES = 1 << 20
_LONGEST_PAUSE = 5.0

logger = logging.getLogger("alias_middleware.writer")


class _Gathering:
    """What has been read for one batch."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.changes: list[LateChange] = []
        self.spans: dict[str, Span] = {}
        self.abandoned: list[str] = []
        self.counts: Counter[str] = Counter()
        self.unidentified: Counter[tuple[Origin, int]] = Counter()
        self.bytes = 0

    def add(self, name: str, position: int, part: segments.Part, header: Header) -> None:
        """Take what was read of one segment from a position on."""
        for place, payload in part.records:
            try:
                record = decode_record(payload)
            except msgspec.DecodeError:
                self.counts.update({"seen": 1, "dropped.undecodable": 1})
                continue
            if isinstance(record, Tally):
                self.counts.update(record.counts)
                for day, page_views in record.unidentified.items():
                    self.unidentified[header.origin, day] += page_views
            elif isinstance(record, ProfileChange):
                self.changes.append(LateChange(header.origin.namespace, record, header.event_id(place)))
            else:
                self.entries.append(Entry(header.origin, record, header.event_id(place)))
                self.counts["seen"] += 1
        if part.torn:
            self.counts["torn"] += part.torn
        if part.end > position:
            self.spans[name] = Span(position, part.end)
            self.bytes += part.end - position
        if part.abandoned:
            self.abandoned.append(name)

    def batch(self, finished: list[str]) -> Batch:
        """Make the batch."""
        return Batch(
            entries=self.entries,
            changes=self.changes,
            spans=self.spans,
            finished=finished,
            counts=dict(self.counts),
            unidentified=dict(self.unidentified),
        )


class Writer:
    """Drains one spool folder into one storage, while it holds the folder's lock."""

    def __init__(self, folder: Path, storage: Storage, *, interval: float, tick: Callable[[], None]) -> None:
        """Drain `folder` about every `interval` seconds once started; `tick` is called each time before."""
        self._folder = folder
        self._storage = storage
        self._interval = interval
        self._tick = tick
        self._lock = segments.WriterLock(folder)
        self._turn = threading.Lock()
        self._start_lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._positions: dict[str, int] | None = None
        self._finished: list[str] = []
        self._down = False

    def start(self) -> None:
        """Start the thread, if it does not run yet."""
        if self._thread is None and not self._stopping.is_set():
            with self._start_lock:
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="alias-middleware-writer", daemon=True)
                    self._thread = thread
                    thread.start()

    @property
    def is_down(self) -> bool:
        """Whether the last attempt failed."""
        return self._down

    def _run(self) -> None:
        pause = self._interval
        while not self._stopping.wait(pause):
            try:
                self._tick()
                self.drain()
                pause = self._interval
            except (StorageError, OSError):
                pause = min(pause * 2, max(_LONGEST_PAUSE, self._interval))
            except Exception as error:
                logger.error("draining the spool failed: %s", describe(error))
                pause = max(_LONGEST_PAUSE, self._interval)

    def stop(self, timeout: float) -> None:
        """Stop the thread and let another process be the writer."""
        self._stopping.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        self.stand_down(timeout)

    def stand_down(self, timeout: float = 1.0) -> None:
        """Let another process be the writer, unless this one is in the middle of a batch."""
        if self._turn.acquire(timeout=timeout):
            try:
                self._positions = None
                self._lock.release()
            finally:
                self._turn.release()

    def abandon(self) -> None:
        """After a fork: let go of what the parent holds. Its thread does not exist here."""
        self._lock.release()

    def drain(self) -> bool:
        """Drain what is in the folder now; False when another process is the writer.

        Raises:
            StorageError: the storage did not take it; everything is still in the spool.
            OSError: the folder cannot be used.
        """
        with self._turn:
            try:
                if not self._lock.held:
                    self._positions = None
                    if not self._lock.acquire():
                        return False
                    segments.remove_drafts(self._folder)
                while self._drain_some():
                    pass
            except (StorageError, OSError) as error:
                self._positions = None
                self._note_failure(error)
                raise
            self._note_success()
            return True

    def _drain_some(self) -> bool:
        """Move one batch; False when nothing was there."""
        if self._positions is None:
            self._positions = self._storage.ledger().positions
            self._finished = [name for name in self._positions if not (self._folder / name).exists()]
        gathering = self._gather(self._positions)
        if not gathering.spans and not self._finished:
            self._remove(gathering.abandoned)
            return False
        self._apply(gathering.batch(self._finished))
        for name in self._finished:
            self._positions.pop(name, None)
        self._finished = []
        self._positions.update({name: span.end for name, span in gathering.spans.items()})
        self._remove(gathering.abandoned)
        return bool(gathering.spans)

    def _gather(self, positions: dict[str, int]) -> _Gathering:
        gathering = _Gathering()
        for name in segments.names(self._folder):
            room = _BATCH_BYTES - gathering.bytes
            if room <= 0:
                break
            position = positions.get(name, 0)
            try:
                part = segments.read(self._folder / name, position, max(room, _BATCH_BYTES))
            except FileNotFoundError:
                continue
            if part.header is not None:
                gathering.add(name, position, part, part.header)
            elif part.abandoned:
                logger.error("spool segment %s has no readable header and was set aside", name)
                segments.set_aside(self._folder / name)
        return gathering

    def _remove(self, abandoned: list[str]) -> None:
        for name in abandoned:
            segments.remove(self._folder / name)
            if self._positions is not None and name in self._positions:
                self._finished.append(name)

    def _apply(self, batch: Batch) -> None:
        try:
            self._storage.apply(batch)
        except StorageError:
            raise
        except Exception as error:
            logger.error("a batch failed; its events are tried one by one: %s", describe(error))
            self._apply_one_by_one(batch)

    def _apply_one_by_one(self, batch: Batch) -> None:
        """Take a batch over around the events that the storage chokes on; those are kept in a file."""
        rejected = Outcome()
        for entry in batch.entries:
            try:
                self._storage.apply(Batch(entries=[entry]))
            except StorageError:
                raise
            except Exception as error:
                self._keep_rejected(entry, error)
                rejected.dropped["rejected"] += 1
        rest = msgspec.structs.replace(
            batch, entries=[], counts=dict(Counter(batch.counts) + Counter(rejected.counts()))
        )
        self._storage.apply(rest)

    def _keep_rejected(self, entry: Entry, error: Exception) -> None:
        line = {
            "service": entry.origin.service,
            "id": entry.id,
            "error": type(error).__name__,
            "event": msgspec.to_builtins(entry.event),
        }
        descriptor = os.open(
            self._folder / "rejected.jsonl", os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        with os.fdopen(descriptor, "w") as file:
            file.write(json.dumps(line) + "\n")

    def _note_failure(self, error: Exception) -> None:
        if isinstance(error, StorageUnavailable) and error.reason == "stale_position":
            return
        if not self._down:
            self._down = True
            logger.error("the storage does not take events; they wait in the spool: %s", describe(error))

    def _note_success(self) -> None:
        if self._down:
            self._down = False
            logger.warning("the storage takes events again")
