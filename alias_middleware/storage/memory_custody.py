"""The memory storage's custody: an audit that lives as long as its process. Nothing gets old enough to purge."""

from __future__ import annotations

import threading
from collections.abc import Callable

from alias_middleware.errors import SettingsError
from alias_middleware.identity import stored_part
from alias_middleware.storage.custody import Custody, Cut, Disclosure
from alias_middleware.storage.memory_contact import MemoryOutbox
from alias_middleware.storage.outbox import Dispatch
from alias_middleware.storage.pseudonyms import Pseudonyms, Rotation


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
            self._disclosures.setdefault((namespace, stored_part(key)), []).append(disclosure)

    def disclosures(self, namespace: str, key: str) -> list[Disclosure]:
        """Give the audit of one visitor."""
        with self._lock():
            rows = self._disclosures.get((namespace, stored_part(key)), [])
            return sorted(rows, key=lambda row: (row.time_us, row.id))

    def dispatches(self, namespace: str, key: str) -> list[tuple[str, Dispatch]]:
        """Give the campaign messages of one visitor."""
        return self._outbox.dispatches_of(namespace, stored_part(key))


class MemoryPseudonyms(Pseudonyms):
    """The check values in a dictionary."""

    def __init__(self, marks: dict[str, str]) -> None:
        """Use the storage's check values by namespace."""
        self._marks = marks

    def marks(self, namespace: str) -> list[str]:
        """Give the check value of a namespace."""
        return [self._marks[namespace]] if namespace in self._marks else []

    def begin(self, namespace: str, mark: str) -> None:
        """Keep the first check value."""
        self._marks.setdefault(namespace, mark)

    def rotate(self, rotation: Rotation) -> dict[str, int]:
        """Refuse: the next process starts with nothing, under whatever keys.

        Raises:
            SettingsError: always.
        """
        raise SettingsError("memory:// forgets with its process and rotates nothing", setting="storage")
