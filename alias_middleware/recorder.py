"""What one process does for its visitors: record events, change preferences; `asking` has what it reads for them.

A recorder owns what a fork must not share: counters, breakers, the spool's open segment and the writer's
thread. The tracker makes a new one in each process.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

from alias_middleware.addresses import Addresses
from alias_middleware.asking import Asking
from alias_middleware.attachment import check_attached
from alias_middleware.budget import Budgeted
from alias_middleware.categories import Categories
from alias_middleware.errors import SettingsError, SpoolError
from alias_middleware.events import AnyEvent, Event, PageView, Purchase, Refund, TrackedEvent
from alias_middleware.keying import keyed, seals_aliases
from alias_middleware.local_time import LocalDays
from alias_middleware.profile import Operation, ProfileChange
from alias_middleware.records import Identified, Tally
from alias_middleware.sealing import Sealing
from alias_middleware.settings import Settings
from alias_middleware.spool import Spool
from alias_middleware.storage.base import Origin, Storage
from alias_middleware.upkeep import Upkeep
from alias_middleware.writer import Writer

_HAND_ON_EVERY_US = 1_000_000
_HOPS_AT_ONCE = 4
_WAITS_AT_ONCE = 40  # hops that only wait for `budget`: queued there, their time is limited, and not before it
_MONEY: frozenset[type[Event]] = frozenset({Purchase, Refund})
_REST: frozenset[type[Event]] = frozenset({PageView, TrackedEvent})

logger = logging.getLogger("alias_middleware")


class Recorder(Asking):
    """One process's part of a tracker: what its visitors and exchanges ask for is done here."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        *,
        now: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        """Record for the service that `settings` name; no file is opened and no thread started yet.

        `now` gives microseconds since the epoch, `entropy(n)` n random bytes.

        Raises:
            SettingsError: the storage needs a spool's folder, or the service is attached on a day to come.
        """
        super().__init__(settings, storage, now=now, submit=lambda work: self.executor().submit(work))
        self.durable: frozenset[type[Event]] = _durable_types(settings)
        self.day = LocalDays(settings.tzinfo).day
        check_attached(settings.attachment, self.day(now()))
        self.category_of: Callable[[str], str | None] | None = None
        if settings.categories:
            self.category_of = Categories(settings.categories).of
        self.addresses = Addresses(settings, self.put) if seals_aliases(settings) else None
        self._handed_on_us = 0
        self._executor: ThreadPoolExecutor | None = None
        self._executor_lock = threading.Lock()
        self._scratch: Path | None = None
        self._spool_fails = False
        folder = self._spool_folder(entropy)
        origin = Origin(settings.service, self._namespace, settings.visit_gap_us, keyed(settings))
        self.spool = Spool(folder, origin, limit=settings.spool_limit, entropy=entropy)
        self.writer = Writer(
            folder,
            storage,
            interval=settings.writer_interval,
            tick=self.tick,
            quiet=Upkeep(storage, now=now).turn,
            replaced=self._replaced,
            outage=self.outage,
        )

    def _spool_folder(self, entropy: Callable[[int], bytes]) -> Path:
        folder = self._settings.spool or self.storage.spool_folder
        if folder is None and not self.storage.abilities.shared:
            folder = self._scratch = Path(tempfile.gettempdir()) / f"alias-spool-{entropy(16).hex()}"
        if folder is None:
            raise SettingsError("this storage needs a folder on a persistent volume", setting="spool")
        return folder

    def executor(self) -> ThreadPoolExecutor:
        """Give the few threads on which an event loop's blocking work is done."""
        with self._executor_lock:
            if self._executor is None:
                most = _WAITS_AT_ONCE if isinstance(self.requests, Budgeted) else _HOPS_AT_ONCE
                self._executor = ThreadPoolExecutor(most, thread_name_prefix="alias-middleware")
            return self._executor

    def record(self, event: AnyEvent) -> bool:
        """Put an event in the spool; False, counted, when the spool cannot take it."""
        try:
            self.spool.append(event)
        except SpoolError as error:
            self.counters.add_dropped(f"spool_{error.reason}")
            self._spool_failed(error)
            return False
        except Exception as error:
            self.counters.add_dropped("error")
            self.problem(error)
            return False
        if self._spool_fails or not 0 <= event.begun_us - self._handed_on_us < _HAND_ON_EVERY_US:
            self._appended()
        return True

    def keep(self, event: AnyEvent, identity: int) -> None:
        """Put an event that brings its id in the spool, durably: its sender may forget it then.

        Raises:
            SpoolError: it is not kept.
        """
        try:
            self.spool.append(Identified(identity, event))
            self.spool.sync()
        except SpoolError as error:
            self._spool_failed(error)
            raise
        self._appended()

    def set_aside(self, line: bytes) -> None:
        """Keep durably what can never be stored, for somebody to look at, and count it: its sender may forget it.

        Raises:
            SpoolError: it is not kept.
        """
        try:
            self.writer.set_aside(line)
        except SpoolError as error:
            self._spool_failed(error)
            raise
        self.counters.add_dropped("rejected")

    def put(self, sealing: Sealing) -> None:
        """Put in the spool that an alias is to be kept sealed, or no longer; counted where the spool fails."""
        try:
            self.spool.append(sealing)
        except SpoolError as error:
            self.counters.add("sealings_lost")
            self._spool_failed(error)
        else:
            self._appended()

    def _spool_failed(self, error: SpoolError) -> None:
        """Report that the spool took nothing; one line in the log for a whole outage."""
        if self._spool_fails and not self._settings.raise_errors:
            self.counters.add("errors")
            return
        self._spool_fails = error.reason != "too_large"
        self.problem(error)

    def _appended(self) -> None:
        """See to it that what is in the spool gets on: the writer runs, the counts are handed on."""
        if self._spool_fails:
            self._spool_fails = False
            logger.warning("the spool takes events again")
        self._start_writer()
        self._hand_on_if_due()

    def _hand_on_if_due(self) -> None:
        if not 0 <= self.now() - self._handed_on_us < _HAND_ON_EVERY_US:
            self.hand_on()

    def sync(self) -> None:
        """Make what was recorded survive the loss of power."""
        try:
            self.spool.sync()
        except SpoolError as error:
            self.counters.add("sync_failed")
            self.problem(error)

    def dropped(self, reason: str, event: str) -> None:
        """Count an event that is not recorded; a purchase also gets one line in the log."""
        self.counters.add_dropped(reason)
        if event == "purchase":
            logger.warning("a purchase was not recorded: %s", reason)

    def unidentified(self, time_us: int) -> None:
        """Count a page view without an alias, in a request begun at `time_us`."""
        self.counters.add_unidentified(self.day(time_us))
        if not 0 <= time_us - self._handed_on_us < _HAND_ON_EVERY_US:
            self._hand_on_if_due()

    def hand_on(self) -> None:
        """Put the counts so far in the spool, so that they survive this process."""
        self._handed_on_us = self.now()
        self.spool.look()
        counts, unidentified = self.counters.take()
        if not counts and not unidentified:
            return
        try:
            self.spool.append(Tally(counts, unidentified))
        except SpoolError:
            self.counters.give_back(counts, unidentified)
        else:
            self._start_writer()

    def _start_writer(self) -> None:
        """Have somebody drain the spool; where no thread is to be had, another process does, or a later call."""
        if self._settings.writer == "thread" and not self.writer.started:
            with suppress(RuntimeError):
                self.writer.start()

    def tick(self) -> None:
        """Do what is due now and then: hand counts on, let go of what has become durable."""
        self.hand_on()
        self.spool.settle()

    def _replaced(self) -> None:
        """Count that somebody deleted the storage, or put another in its place."""
        self.counters.add("storage_replaced")

    def change(self, key: str, begun_us: int, operations: list[Operation]) -> None:
        """Carry out field operations within the time budget, or by way of the spool."""
        change = ProfileChange(key, self.now(), begun_us, tuple(operations))
        if not self.carried_out(change):
            self._defer(change)

    def _defer(self, change: ProfileChange) -> None:
        """Send operations through the spool, one record each: together they might be too large for one."""
        for operation in change.operations:
            late = ProfileChange(change.key, change.time_us, change.begun_us, (operation,))
            try:
                self.spool.append(late)
            except SpoolError as error:
                self.counters.add("preferences_lost")
                self._spool_failed(error)
            else:
                self.counters.add("preferences_deferred")
                self._appended()

    def drain(self, timeout: float) -> bool:
        """Drain the spool now; False when another thread or process is at it, for `timeout` seconds.

        Raises:
            StorageError: the storage did not take it, or one that may block did not within `timeout`.
            OSError: the folder cannot be used.
        """
        if isinstance(self.requests, Budgeted):
            return self.requests.do(partial(self._drain, timeout), timeout)
        return self._drain(timeout)

    def _drain(self, timeout: float) -> bool:
        try:
            return self.writer.drain(timeout)
        finally:
            if self._settings.writer == "external":
                self.writer.stand_down()

    def leave(self) -> None:
        """In a forked child: let go of the parent's part, without a word to the parent's locks."""
        self.spool.close()
        self.writer.abandon()

    def close(self, timeout: float) -> None:
        """Hand everything on, drain what can be drained, and let go of threads and files."""
        deadline = time.monotonic() + timeout
        self.writer.stop(timeout)
        self.hand_on()
        self.spool.close()
        try:
            if self.spool.folder.exists():  # a tracker that was only made leaves no files
                self.drain(max(0.0, deadline - time.monotonic()))
        except OSError:
            pass  # the folder cannot be used: the writer has said so
        except Exception as error:
            self.outage.noticed(self, error)
        self.writer.stand_down()
        if self._executor is not None:
            self._executor.shutdown()
        if isinstance(self.requests, Budgeted):
            self.requests.close()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)


def _durable_types(settings: Settings) -> frozenset[type[Event]]:
    """Give the types of events that must survive the loss of power."""
    money = _MONEY if settings.purchase_durability == "power" else frozenset()
    return money | (_REST if settings.durability == "power" else frozenset())
