"""How late the machine itself is: what waits are judged by on one that does other work as well."""

from __future__ import annotations

import threading
import time


class Pulse:
    """Sleeps over and over in a thread of its own: how much longer than it asked for is the machine's doing."""

    BEAT = 0.005

    def __init__(self) -> None:
        self._latest = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat)

    def _beat(self) -> None:
        before = time.monotonic()
        while not self._over.wait(self.BEAT):
            now = time.monotonic()
            self._latest = max(self._latest, now - before - self.BEAT)
            before = now

    @property
    def late(self) -> float:
        """How much later an answer may be for the machine's sake: who asks, who serves, and a thread of each."""
        return 4 * self._latest

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._thread.join()


def percentile(values: list[float], part: float) -> float:
    """Give the value that so large a part of all does not exceed."""
    return sorted(values)[int(part * (len(values) - 1))]
