"""The memory storage's custody: an audit that lives as long as its process. Nothing gets old enough to purge."""

from __future__ import annotations

import threading
from collections.abc import Callable

from alias_middleware.errors import SettingsError
from alias_middleware.storage.custody import Custody, Cut, Disclosure
from alias_middleware.storage.memory_contact import MemoryOutbox
from alias_middleware.storage.outbox import Dispatch


class MemoryCustody(Custody):
    """The audit in a dictionary, under the storage's one lock."""

    def __init__(self, lock: Callable[[], threading.RLock], outbox: MemoryOutbox) -> None:
        """Start empty."""
        self._lock = lock
        self._outbox = outbox
        self._disclosures: dict[tuple[str, str], list[Disclosure]] = {}

    def purge(self, namespace: str, cut: Cut, *, dry_run: bool) -> dict[str, int]:
        """Refuse: memory recounts everything from raw events.

        Raises:
            SettingsError: always.
        """
        raise SettingsError("memory:// forgets with its process and purges nothing", setting="storage")

    def replay_erasures(self, *, dry_run: bool) -> dict[str, int]:
        """Refuse: there are no backups of memory.

        Raises:
            SettingsError: always.
        """
        raise SettingsError("memory:// is never restored from a backup", setting="storage")

    def note(self, namespace: str, key: str, disclosure: Disclosure) -> None:
        """Keep a row of the audit apart from the visitor's record, so that it survives erasure."""
        with self._lock():
            self._disclosures.setdefault((namespace, key), []).append(disclosure)

    def disclosures(self, namespace: str, key: str) -> list[Disclosure]:
        """Give the audit of one visitor."""
        with self._lock():
            return sorted(self._disclosures.get((namespace, key), []), key=lambda row: (row.time_us, row.id))

    def dispatches(self, namespace: str, key: str) -> list[tuple[str, Dispatch]]:
        """Give the campaign messages of one visitor."""
        return self._outbox.dispatches_of(namespace, key)
