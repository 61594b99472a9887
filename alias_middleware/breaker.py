"""A breaker: after failures in a row, stop asking the storage for a while, so that no request waits for it."""

from __future__ import annotations

_FAILURES = 3
_COOLDOWN_US = 1_000_000


class Breaker:
    """Closed while the storage answers. Opens after three failures in a row; then one trial a second."""

    __slots__ = ("_next_trial_us", "failures")

    def __init__(self) -> None:
        """Start closed."""
        self.failures = 0
        """How often the storage failed since it last answered; while it is 0 nothing need be asked or told."""
        self._next_trial_us = 0

    @property
    def is_open(self) -> bool:
        """Whether the storage is being left alone."""
        return self.failures >= _FAILURES

    def allows(self, now_us: int) -> bool:
        """Tell whether to try the storage at `now_us` (microseconds); while open, one caller a second may.

        A clock that was stepped back does not keep it open: a trial due in the far future is due now.
        """
        if self.failures < _FAILURES:
            return True
        if self._next_trial_us - _COOLDOWN_US <= now_us < self._next_trial_us:
            return False
        self._next_trial_us = now_us + _COOLDOWN_US
        return True

    def succeeded(self) -> bool:
        """Close; True when this ends an outage."""
        was_open = self.is_open
        self.failures = 0
        return was_open

    def failed(self, now_us: int) -> bool:
        """Note a failure; True when this is what opens it."""
        self.failures += 1
        if self.failures == _FAILURES:
            self._next_trial_us = now_us + _COOLDOWN_US
            return True
        return False
