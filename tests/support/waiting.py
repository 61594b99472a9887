"""Waiting for what other programs and threads do, without sleeping longer than it takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PATIENCE = 30.0
"""Seconds within which a program of the tests does what it is told, also on a machine that is busy otherwise."""


class WaitedInVainError(AssertionError):
    """What was waited for did not come about in time."""


def wait_until(condition: Callable[[], object], what: str, *, within: float = PATIENCE) -> None:
    """Wait until a condition holds; fail, saying what was waited for, when it does not."""
    end = time.monotonic() + within
    pause = threading.Event()
    while not condition():
        if time.monotonic() > end:
            raise WaitedInVainError(f"waited in vain until {what}")
        pause.wait(0.01)
