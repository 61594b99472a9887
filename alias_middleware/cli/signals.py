"""Waiting until somebody wants the process to stop."""

from __future__ import annotations

import select
import signal
import socket
from typing import Self

_STOPPING = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """While entered, SIGINT and SIGTERM interrupt nothing: `wait` tells that one came.

    For the main thread only. A signal is noticed by what it writes to a socket, because a handler that took
    a lock could meet the very thread that holds it.
    """

    def __enter__(self) -> Self:
        self._noticing, notice = socket.socketpair()
        notice.setblocking(False)
        self._notice = notice
        self._wakeup = signal.set_wakeup_fd(notice.fileno())
        self._handlers = [signal.signal(number, lambda number, frame: None) for number in _STOPPING]
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in zip(_STOPPING, self._handlers, strict=True):
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._noticing.close()
        self._notice.close()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for a signal, at most so long; True once one has come."""
        return bool(select.select([self._noticing], [], [], seconds)[0])
