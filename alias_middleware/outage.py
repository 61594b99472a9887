"""What the log says of a storage that fails: a line when it begins and one when it is over, whoever notices it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from alias_middleware.errors import describe

logger = logging.getLogger("alias_middleware")


_SAME_US = 10 * 60 * 1_000_000
"""Who notices an outage so long after it was said may have met another: all parts ask every five minutes."""


class Outage:
    """An outage of the storage as one process finds it, while there is one.

    Several parts of a process notice the same outage: those that read for requests, those that change profiles,
    the writer. It is over when one of them is answered again; whoever still fails then begins another. Where one
    fails for good, as with a damaged table of its own, it does not hide what others meet later.
    """

    __slots__ = ("_lock", "_noticed_by", "_now", "_said_us")

    def __init__(self, *, now: Callable[[], int]) -> None:
        """Begin with a storage that nobody finds failing; `now` gives microseconds."""
        self._now = now
        self._said_us = 0
        self._noticed_by: set[object] = set()
        self._lock = threading.Lock()

    def noticed(self, part: object, error: BaseException) -> None:
        """Note that `part` finds the storage failing; the first to do so has it said, and who is much later."""
        now_us = self._now()
        with self._lock:
            is_late = part not in self._noticed_by and not 0 <= now_us - self._said_us < _SAME_US
            is_new = is_late or not self._noticed_by
            self._noticed_by.add(part)
            if is_new:
                self._said_us = now_us
        if is_new:
            failure = describe(error)
            logger.error("the storage fails; requests go on without it, events wait in the spool: %s", failure)

    def ended(self, part: object) -> None:
        """Note that the storage answers `part`; said if it had noticed that it failed."""
        if part not in self._noticed_by:
            return
        with self._lock:
            is_over = part in self._noticed_by
            self._noticed_by.clear()
        if is_over:
            logger.warning("the storage answers again")
