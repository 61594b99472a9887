"""What the log says of a storage that fails: a line when it begins and one when it is over, whoever notices it."""

from __future__ import annotations

import logging
import threading

from alias_middleware.errors import describe

logger = logging.getLogger("alias_middleware")


class Outage:
    """An outage of the storage as one process finds it, while there is one.

    Several parts of a process notice the same outage: those that read for requests, those that change profiles,
    the writer. It is over when one of them is answered again; whoever still fails then begins another.
    """

    __slots__ = ("_lock", "_noticed_by")

    def __init__(self) -> None:
        """Begin with a storage that nobody finds failing."""
        self._noticed_by: set[object] = set()
        self._lock = threading.Lock()

    def noticed(self, part: object, error: BaseException) -> None:
        """Note that `part` finds the storage failing; the first to do so has it said."""
        with self._lock:
            is_new = not self._noticed_by
            self._noticed_by.add(part)
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
