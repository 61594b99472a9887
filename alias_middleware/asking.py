"""What is asked of the storage for requests: in time where it may block, and not at all while it fails."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TypeVar

from alias_middleware.breaker import Breaker
from alias_middleware.budget import Budgeted
from alias_middleware.counters import Counters
from alias_middleware.errors import BlockingCallError, SettingsError, StorageError, StorageUnavailable, describe
from alias_middleware.events import Event
from alias_middleware.interests import Population, Sums
from alias_middleware.keying import keyed
from alias_middleware.outage import Outage
from alias_middleware.outlook import Outlook
from alias_middleware.profile import ProfileChange, StoredProfile
from alias_middleware.settings import Settings
from alias_middleware.storage.base import Storage

logger = logging.getLogger("alias_middleware")

_TOO_LONG = ("timeout", "locked")
"""Why a storage did not answer within `storage_timeout`: it is silent, or others hold its lock."""

Answer = TypeVar("Answer")


class Asking:
    """The part of a recorder that asks the storage, reports its failures and leaves it alone while it fails."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        *,
        now: Callable[[], int],
        submit: Callable[[Callable[[], None]], object],
    ) -> None:
        """Ask `storage` as `settings` say.

        `now` gives microseconds since the epoch, `submit` has work done in another thread.
        """
        self.now = now
        self.storage = storage
        self.requests: Storage | Budgeted = storage
        """The storage as requests ask it."""
        if storage.abilities.reads_block:
            self.requests = Budgeted(storage, seconds=settings.storage_timeout, now=now)
        self.counters = Counters()
        self.reads, self.changes = Breaker(), Breaker()
        self.outage = Outage(now=now)
        self._outlook = Outlook(self._category_sums, now=now, submit=submit, problem=self._sums_unread)
        self.statistics_only = settings.statistics_only
        self._settings = settings
        self._namespace = settings.namespace
        self._unmarked = bool(settings.pseudonym_keys)

    def load(self, key: str) -> StoredProfile:
        """Read a profile; an empty one, and counted, when the storage cannot answer."""
        if not self.reads.failures:  # as nearly always: one call less than by way of `_asked`
            try:
                return self.requests.read_profile(self._namespace, key)
            except Exception as error:
                self._unanswered(error)
                return StoredProfile()
        stored = self._asked(self.requests.read_profile, key)
        return StoredProfile() if stored is None else stored

    def read(self, namespace: str, key: str) -> StoredProfile | None:
        """Read a profile of any namespace; None, and counted, when the storage cannot answer."""
        return self._asked(lambda _, key: self.requests.read_profile(namespace, key), key)

    def know(self, key: str) -> bytes:
        """Read what is derived from a visitor's history; nothing, and counted, when the storage cannot answer."""
        knowledge = self._asked(self.requests.read_knowledge, key)
        return b"[]" if knowledge is None else knowledge

    def _asked(self, read: Callable[..., Answer], key: str, *limit: int) -> Answer | None:
        """Ask the storage unless it is being left alone; None, counted, when it does not answer."""
        reads = self.reads
        if not reads.failures or reads.allows(self.now()):
            try:
                answer = read(self._namespace, key, *limit)
            except Exception as error:
                self._unanswered(error)
                return None
            if reads.failures:
                self._answered(reads)
            return answer
        self.counters.add("profile_unavailable")
        return None

    def _unanswered(self, error: Exception) -> None:
        """Count a read that the storage could not answer, and report why."""
        self.counters.add("profile_unavailable")
        if isinstance(error, StorageError):
            self.failed(self.reads, error)
        else:
            self.problem(error)

    def was_erased(self, key: str, since_us: int, namespace: str | None = None) -> bool:
        """Tell whether a visitor was erased since; True as well when the storage cannot say.

        `namespace`: the site's own by default.
        """
        if not self.reads.allows(self.now()):
            return True
        try:
            erased_us = self.requests.erased_at(namespace or self._namespace, key)
        except StorageError as error:
            self.failed(self.reads, error)
            return True
        except Exception as error:
            self.problem(error)
            return True
        self._answered(self.reads)
        return erased_us is not None and erased_us >= since_us

    def history(self, key: str, limit: int, before_us: int | None) -> list[Event]:
        """Read a visitor's latest events; none, and counted, when the storage cannot answer."""
        self.waits("history()", long=True)
        return self._asked(partial(self.requests.history, before_us=before_us), key, limit) or []

    def population(self, *, wait: bool) -> Population:
        """Give everybody's tastes, at most five minutes old; read now only where nobody waits for an answer."""
        return self._outlook.population(wait=wait)

    def _category_sums(self) -> Mapping[str, Sums]:
        sums = self.storage.category_sums(self._namespace)
        self.outage.ended(self._outlook)
        return sums

    def _sums_unread(self, error: Exception) -> None:
        """Report that tastes were not read; what the storage is to blame for is said once for all parts."""
        if isinstance(error, StorageError) and not self._settings.raise_errors:
            self.counters.add("errors")
            self.outage.noticed(self._outlook, error)
        else:
            self.problem(error)

    def waits(self, call: str, *, long: bool) -> None:
        """Report a call that an event loop would wait for: one that takes `long`, or has to wait for a network."""
        if (long or self.storage.abilities.reads_block) and _on_event_loop():
            self.problem(BlockingCallError(call=call))

    def carried_out(self, change: ProfileChange) -> bool:
        """Carry out field operations within the time budget; False, counted, when the storage did not."""
        if not self.changes.allows(self.now()):
            return False
        try:
            if self._unmarked:
                self._mark()
            refused = self.requests.change_profile(self._namespace, change, timeout=self._settings.storage_timeout)
        except StorageError as error:
            self.failed(self.changes, error)
            return False
        except Exception as error:
            self.problem(error)
            return False
        self._answered(self.changes)
        if refused:
            self.counters.add("preferences_refused", refused)
        return True

    def _mark(self) -> None:
        """Let the storage know the pseudonym keys again, before the first profile under them is there."""
        with suppress(SettingsError):  # a storage that knows none again is never rotated
            begin = partial(self.storage.pseudonyms().begin, self._namespace, keyed(self._settings))
            if isinstance(self.requests, Budgeted):
                self.requests.do(begin, self._settings.storage_timeout)
            else:
                begin()
        self._unmarked = False

    def problem(self, error: Exception) -> None:
        """Report an error of ours: raised where the settings say so, else counted and logged, never a value."""
        if self._settings.raise_errors:
            raise error
        self.counters.add("errors")
        logger.error("%s", describe(error))

    def failed(self, breaker: Breaker, error: StorageError) -> None:
        """Note that the storage failed a request; said when it is given up for a while."""
        self.counters.add("storage_failures")
        if isinstance(error, StorageUnavailable) and error.reason in _TOO_LONG:
            self.counters.add("storage_timeouts")
        if breaker.failed(self.now()):
            self.counters.add("breaker_opened")
        if breaker.is_open:
            self.outage.noticed(breaker, error)

    def open_breakers(self) -> int:
        """Count the breakers that are open in this process: of reading profiles, and of changing them."""
        return self.reads.is_open + self.changes.is_open

    def _answered(self, breaker: Breaker) -> None:
        if breaker.succeeded():
            self.outage.ended(breaker)


def _on_event_loop() -> bool:
    """Tell whether an asyncio event loop runs in this thread, without importing asyncio for it."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
