"""Keeping roll-ups up: days that have changed are rolled up in the writer's quiet moments, before anybody asks.

It asks the storage what anybody might ask, so nothing is made here that a question would not make; the writer
calls it, and nobody else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from alias_middleware.errors import describe
from alias_middleware.rollups.model import Days
from alias_middleware.storage.base import Question, Scope, Storage

_REST_US = 60 * 1_000_000
"""Between two looks for changed days, in microseconds: the day that goes on changes all the time."""

_LONGEST_REST_US = 60 * _REST_US
"""However long one took: the clock may have been set meanwhile."""

_SHARE = 20
"""No more than this fraction of the time is spent on it."""

Stretch = tuple[Scope, Days]
"""A service, and days of it that are rolled up as one."""

logger = logging.getLogger("alias_middleware.writer")


class Upkeep:
    """Has one stretch of days rolled up now and then, each once in a round.

    So none has the others wait: neither one that always changes, as the day that goes on, nor one that fails.
    """

    def __init__(self, storage: Storage, *, now: Callable[[], int]) -> None:
        """Keep up the roll-ups of `storage`, for the first time in a minute; `now` gives microseconds."""
        self._storage = storage
        self._now = now
        self._since_us = now()
        self._rest_us = _REST_US
        self._round: set[Stretch] = set()
        self._latest: Stretch | None = None
        self._failed = self._said = False

    def turn(self) -> None:
        """Have the next stretch that is stale rolled up, where it is time.

        A failure is logged, and the next one once a whole round was without.
        """
        begun_us = self._now()
        if 0 <= begun_us - self._since_us < self._rest_us:
            return
        more = False
        try:
            more = self._roll_up_next()
        except Exception as error:
            if not self._said:
                logger.warning("roll-ups are not kept up, so questions have more to do: %s", describe(error))
            self._failed = self._said = True
        self._since_us = self._now()
        took_us = max(0, self._since_us - begun_us)
        self._rest_us = min(max(took_us * _SHARE, 0 if more else _REST_US), _LONGEST_REST_US)

    def _roll_up_next(self) -> bool:
        """Roll up the oldest of the round; tell whether others are left, and the last one was not in vain."""
        stale = self._storage.stale()
        left = [stretch for stretch in stale if stretch not in self._round]
        if not left:
            self._round.clear()
            self._said, self._failed = self._failed, False
            left = list(stale)
        if not left:
            return False
        before, self._latest = self._latest, left[0]
        self._round.add(left[0])
        scope, days = left[0]
        self._storage.rollups([Question(scope, [days], ("presence",))])
        return len(left) > 1 and before not in stale
