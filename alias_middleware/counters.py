"""Counters of one process, exact under threads, until they are handed on to the storage."""

from __future__ import annotations

import threading
from collections.abc import Mapping


class Counters:
    """Named counts that grow, and page views without an alias by local day."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._unidentified: dict[int, int] = {}

    def add(self, name: str, number: int = 1) -> None:
        """Count."""
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + number

    def add_unidentified(self, day: int) -> None:
        """Count a page view without an alias on a local day (ordinal)."""
        with self._lock:
            self._unidentified[day] = self._unidentified.get(day, 0) + 1

    def take(self) -> tuple[dict[str, int], dict[int, int]]:
        """Give all counts and begin again at nothing."""
        with self._lock:
            taken = self._counts, self._unidentified
            self._counts, self._unidentified = {}, {}
            return taken

    def give_back(self, counts: Mapping[str, int], unidentified: Mapping[int, int]) -> None:
        """Add again what was taken but could not be handed on."""
        for name, number in counts.items():
            self.add(name, number)
        with self._lock:
            for day, number in unidentified.items():
                self._unidentified[day] = self._unidentified.get(day, 0) + number

    def peek(self) -> dict[str, int]:
        """Give a copy of the counts."""
        with self._lock:
            return dict(self._counts)
