"""The population's tastes as one process last read them: refreshed now and then, never while a request waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from alias_middleware.interests import Population, Sums

REFRESH_US = 5 * 60 * 1_000_000
"""How old a snapshot may grow before whoever asks has it refreshed, in microseconds."""


class Outlook:
    """The latest snapshot, and when it is due."""

    def __init__(
        self,
        read: Callable[[], Mapping[str, Sums]],
        *,
        now: Callable[[], int],
        submit: Callable[[Callable[[], None]], object],
        problem: Callable[[Exception], None],
    ) -> None:
        """Read sums with `read`, in a thread that `submit` finds; `now` gives microseconds since the epoch."""
        self._read = read
        self._now = now
        self._submit = submit
        self._problem = problem
        self._lock = threading.Lock()
        self._latest = Population()
        self._tried_us: int | None = None

    def population(self, *, wait: bool) -> Population:
        """Give the latest snapshot; where it is due, refresh it first (`wait`) or in another thread.

        A refresh that fails is tried again when the next would be due.
        """
        now_us = self._now()
        if self._tried_us is None or not 0 <= now_us - self._tried_us < REFRESH_US:
            with self._lock:
                due = self._tried_us is None or not 0 <= now_us - self._tried_us < REFRESH_US
                self._tried_us = now_us
            if due and wait:
                self._refresh()
            elif due:
                self._submit(self._refresh)
        return self._latest

    def _refresh(self) -> None:
        try:
            self._latest = Population(self._now(), self._read())
        except Exception as error:
            self._problem(error)
