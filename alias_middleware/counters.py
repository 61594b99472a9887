"""Counters of one process, exact under threads, until they are handed on to the storage."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping

_MOST_MARKS = 10_000


class Counters:
    """Named counts that grow, and page views without an alias by local day."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._unidentified: Counter[int] = Counter()
        # What a request counts is only noted, and summed up later: appending is atomic without a lock, whose
        # cost would be a tenth of what an unrecognised request may cost, each time.
        self._marks: deque[str | int] = deque()

    def add(self, name: str, number: int = 1) -> None:
        """Count."""
        if number != 1:
            with self._lock:
                self._counts[name] += number
            return
        marks = self._marks
        marks.append(name)
        if len(marks) > _MOST_MARKS:
            self._sum_up_now()

    def add_dropped(self, reason: str) -> None:
        """Count an event seen and dropped, both at once: nobody takes the one without the other."""
        with self._lock:
            for name in ("seen", f"dropped.{reason}"):
                self._counts[name] = self._counts.get(name, 0) + 1

    def add_unidentified(self, day: int) -> None:
        """Count a page view without an alias on a local day (ordinal)."""
        marks = self._marks
        marks.append(day)
        if len(marks) > _MOST_MARKS:
            self._sum_up_now()

    def _sum_up_now(self) -> None:
        with self._lock:
            self._sum_up()

    def _sum_up(self) -> None:
        """Turn marks into counts; called under the lock, so nobody else takes marks away."""
        marks = self._marks
        for mark, number in Counter(marks.popleft() for _ in range(len(marks))).items():
            if isinstance(mark, str):
                self._counts[mark] += number
            else:
                self._unidentified[mark] += number

    def take(self) -> tuple[dict[str, int], dict[int, int]]:
        """Give all counts and begin again at nothing."""
        with self._lock:
            self._sum_up()
            taken = dict(self._counts), dict(self._unidentified)
            self._counts.clear()
            self._unidentified.clear()
            return taken

    def give_back(self, counts: Mapping[str, int], unidentified: Mapping[int, int]) -> None:
        """Add again what was taken but could not be handed on."""
        with self._lock:
            self._counts.update(counts)
            self._unidentified.update(unidentified)

    def peek(self) -> dict[str, int]:
        """Give a copy of the counts."""
        with self._lock:
            self._sum_up()
            return dict(self._counts)
