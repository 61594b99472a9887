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

_SHARE = 20
"""No more than this fraction of the time is spent on it."""

logger = logging.getLogger("alias_middleware.writer")


class Upkeep:
    """Has one stretch of days rolled up now and then."""

    def __init__(self, storage: Storage, *, now: Callable[[], int]) -> None:
        """Keep up the roll-ups of `storage`, for the first time in a minute; `now` gives microseconds."""
        self._storage = storage
        self._now = now
        self._since_us = now()
        self._rest_us = _REST_US
        self._latest: tuple[Scope, Days] | None = None
        self._failing = False

    def turn(self) -> None:
        """Have the oldest stretch that is stale rolled up, where it is time; a failure is logged once."""
        begun_us = self._now()
        if 0 <= begun_us - self._since_us < self._rest_us:
            return
        more = False
        try:
            more = self._roll_up_oldest()
            self._failing = False
        except Exception as error:
            if not self._failing:
                logger.warning("roll-ups are not kept up, so questions have more to do: %s", describe(error))
            self._failing = True
        self._since_us = self._now()
        took_us = max(0, self._since_us - begun_us)
        self._rest_us = max(took_us * _SHARE, 0 if more else _REST_US)

    def _roll_up_oldest(self) -> bool:
        """Tell whether others are stale as well, and this one was not the last time."""
        stale = self._storage.stale()
        if not stale:
            return False
        before, self._latest = self._latest, stale[0]
        scope, days = stale[0]
        self._storage.rollups([Question(scope, [days], ("presence",))])
        return len(stale) > 1 and self._latest != before
