"""The writer: drains everybody's spool into the storage, in large batches, one writer a folder.

It runs in a thread of each process that records events; whoever holds the folder's lock does the work, the
others stand by. `alias-middleware drain` runs the same as a process of its own.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from alias_middleware import rejects, segments
from alias_middleware.errors import SpoolError, StorageError, StorageUnavailable, describe
from alias_middleware.gathering import Gathering, Raw
from alias_middleware.outage import Outage
from alias_middleware.storage.base import Storage

REJECTED = "rejected.jsonl"
"""The file of a spool folder that keeps what could not be stored, for somebody to look at."""

_BATCH_BYTES = 384 << 10
"""More than 5,000 page views, which take 4 MB while they are stored."""
_BATCH_RECORDS = 1 << 20
_LONGEST_PAUSE = 5.0
_MANY_RECORDS = 200
_REFUSALS = 3
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

logger = logging.getLogger("alias_middleware.writer")


class Writer:
    """Drains one spool folder into one storage, while it holds the folder's lock."""

    def __init__(
        self,
        folder: Path,
        storage: Storage,
        *,
        interval: float,
        tick: Callable[[], None],
        quiet: Callable[[], None],
        replaced: Callable[[], None],
        outage: Outage,
    ) -> None:
        """Drain `folder` about every `interval` seconds once started.

        `tick` is called each time before, and `quiet` by `rest` when there was little to drain; `replaced` when
        the storage is not the one of the last batch any more. `outage` is told when the storage fails, and when it
        does not.
        """
        self._folder = folder
        self._storage = storage
        self._interval = interval
        self._tick = tick
        self._quiet = quiet
        self._is_quiet = False
        self._replaced = replaced
        self._outage = outage
        self._lock = segments.WriterLock(folder)
        self._turn = threading.Lock()
        self._start_lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._positions: dict[str, int] | None = None
        self._finished: list[str] = []
        self._most_records = _BATCH_RECORDS
        self._drained = 0
        self._kept: set[tuple[str, int]] = set()
        self._complained: set[str] = set()
        self._folder_fails = False

    @classmethod
    def alone(cls, folder: Path, storage: Storage, *, interval: float = 1.0) -> Writer:
        """Make one that belongs to no site: it tells nobody what it meets, but for the log and its errors."""

        def nothing() -> None:
            """Leave it at that."""

        outage = Outage(now=lambda: 0)
        return cls(
            folder, storage, interval=interval, tick=nothing, quiet=nothing, replaced=nothing, outage=outage
        )

    def start(self) -> None:
        """Start the thread, if it does not run yet."""
        if self._thread is None and not self._stopping.is_set():
            with self._start_lock:
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="alias-middleware-writer", daemon=True)
                    thread.start()
                    self._thread = thread

    @property
    def started(self) -> bool:
        """Whether `start` has nothing to do any more."""
        return self._thread is not None

    def rest(self) -> float:
        """Do, after a drain that found little, what a quiet moment is for; give the seconds until the next drain.

        They are the interval, divided by how many times 200 records the last one found: what a busy site recorded
        waits for a tenth of a second or two.
        """
        if self._is_quiet:
            self._quiet()
        return self._interval * min(1.0, _MANY_RECORDS / max(self._drained, 1))

    def _run(self) -> None:
        pause = self._interval
        while not self._stopping.wait(pause):
            try:
                self._tick()
                self.drain()
                pause = self.rest()
            except Exception as error:
                self._note_failure(error)
                pause = min(pause * 2, max(_LONGEST_PAUSE, self._interval))

    def stop(self, timeout: float) -> None:
        """Stop the thread and let another process be the writer."""
        self._stopping.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
            if thread.is_alive():  # in the middle of a batch that takes longer than anybody waits
                return
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

    def drain(self, timeout: float = -1) -> bool:
        """Drain what is in the folder now; False when another process is the writer.

        Also False when another thread of this one has not drained after `timeout` seconds, if not negative.

        Raises:
            StorageError: the storage did not take it; everything is still in the spool.
            OSError: the folder cannot be used.
        """
        if not self._turn.acquire(timeout=timeout):
            return False
        try:
            return self._drain()
        except Exception as error:
            self._positions = None
            self._note_failure(error)
            raise
        finally:
            self._turn.release()

    def _drain(self) -> bool:
        self._drained, self._is_quiet = 0, False
        if not self._lock.held:
            self._positions = None
            if not self._lock.acquire():
                return False
            segments.remove_drafts(self._folder)
        refusals = 0
        more = True
        while more:
            try:
                more = self._drain_some()
            except StorageUnavailable as error:
                refusals += 1
                if error.reason != "stale_position" or refusals > _REFUSALS:
                    raise
                if refusals == 1:  # nobody else drains meanwhile: we hold the lock
                    logger.error("the storage is not that of the last batch: it was deleted, replaced or restored")
                    self._replaced()
                self._positions = None
        self._note_success()
        self._is_quiet = self._drained < _MANY_RECORDS
        return True

    def _drain_some(self) -> bool:
        """Move one batch; False when that was all there was."""
        if self._positions is None:
            self._positions = dict(self._storage.ledger().positions)
            self._finished = segments.done(self._folder)
        gathering = self._gather(self._positions)
        self._drained += gathering.records
        if gathering.spans or self._finished:
            if not self._apply(gathering):
                return True
            self._positions.update({name: span.end for name, span in gathering.spans.items()})
        for name in self._finished:
            self._positions.pop(name, None)
            segments.remove(self._folder / name)
        for name in gathering.ended:
            segments.finish(self._folder / name)
        for name in gathering.unreadable:
            logger.error("spool segment %s has no readable header and was set aside", name)
            segments.set_aside(self._folder / name)
        self._finished = gathering.ended + gathering.unreadable
        return gathering.more or bool(self._finished)

    def _gather(self, positions: Mapping[str, int]) -> Gathering:
        gathering = Gathering()
        for name in segments.names(self._folder):
            records = self._most_records - gathering.records
            if gathering.bytes >= _BATCH_BYTES or records <= 0:
                gathering.more = True
                break
            position = positions.get(name, 0)
            try:
                part = segments.read(self._folder / name, position, _BATCH_BYTES, records)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._complain(name, f"cannot be read: {describe(error)}")
                continue
            if part.newer:
                self._complain(name, "is left to the newer alias_middleware that wrote it")
            gathering.add(name, position, part)
        return gathering

    def _complain(self, name: str, problem: str) -> None:
        """Say once what is wrong with a segment; the others are drained."""
        if name not in self._complained:
            self._complained.add(name)
            logger.error("spool segment %s %s", name, problem)

    def _apply(self, gathering: Gathering) -> bool:
        """Hand a batch over; False when the storage choked on it and fewer records are to be tried."""
        for raw in gathering.undecodable:
            self._keep(raw, "undecodable")
        try:
            self._storage.apply(gathering.batch(self._finished))
        except StorageError:
            raise
        except Exception as error:
            if not gathering.records:
                raise
            if gathering.records > 1:
                self._most_records = gathering.records // 2
                return False
            self._reject(gathering, error)
        self._kept.clear()
        self._most_records = min(self._most_records * 2, _BATCH_RECORDS)
        return True

    def _reject(self, gathering: Gathering, error: Exception) -> None:
        """Pass over the one record that the storage chokes on."""
        if gathering.last is not None:
            self._keep(gathering.last, type(error).__name__)
        self._storage.apply(gathering.batch_without_record(self._finished))
        logger.error("the storage chokes on an event, which is kept in %s: %s", REJECTED, describe(error))

    def _keep(self, raw: Raw, reason: str) -> None:
        """Write a record to the file of rejected ones, once even if its batch is tried again."""
        if (raw.segment, raw.place) in self._kept:
            return
        rejects.keep(self._folder / REJECTED, raw.rejected_line(reason))
        self._kept.add((raw.segment, raw.place))

    def set_aside(self, line: bytes) -> None:
        """Keep a record that nothing can store and that never was in the spool, among the rejected ones.

        Raises:
            SpoolError: it is not kept.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            rejects.keep(self._folder / REJECTED, line)
        except OSError as error:
            reason: Literal["disk_full", "unwritable"] = "disk_full" if error.errno in _NO_ROOM else "unwritable"
            raise SpoolError(describe(error), reason=reason) from error

    def forget_rejected(self, key: str) -> int:
        """Take what could not be stored of an erased visitor out of the file of rejected records; give how many.

        Raises:
            OSError: the file cannot be read or changed.
        """
        return rejects.forget(self._folder / REJECTED, key)

    def _note_failure(self, error: Exception) -> None:
        """Have an outage said, of the storage or of the folder; one line however often it is met."""
        if not isinstance(error, OSError):
            self._outage.noticed(self, error)
        elif not self._folder_fails:
            self._folder_fails = True
            logger.error("the folder of the spool cannot be drained: %s", describe(error))

    def _note_success(self) -> None:
        self._outage.ended(self)
        if self._folder_fails:
            self._folder_fails = False
            logger.warning("the folder of the spool is drained again")
