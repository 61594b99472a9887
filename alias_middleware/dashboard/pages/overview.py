"""The overview: every figure against the period before, and the tables that pictures are drawn from."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from alias_middleware.dashboard.pages.figures import Cell, compared, overview_tables
from alias_middleware.dashboard.period import Period
from alias_middleware.dashboard.tables import Table
from alias_middleware.figures import EVERY_SERVICE
from alias_middleware.storage.base import Scope
from alias_middleware.tracker import Tracker

_KEPT = 32


OnTable = Callable[[Table], object]
"""Is called with each table as soon as it is there."""


def _nothing(table: Table) -> None:
    """Nobody waits for the table."""


class Overview(NamedTuple):
    """What the overview shows of a period."""

    cells: list[Cell]
    tables: list[Table]


def gather(tracker: Tracker, period: Period, on_table: OnTable = _nothing) -> Overview:
    """Ask for everything; `on_table` is told of each table as soon as it is there.

    Raises:
        StorageError: the storage does not answer.
    """
    statistics = tracker.statistics
    tables = []
    for table in overview_tables(statistics, period):
        tables.append(table)
        on_table(table)
    return Overview(compared(statistics, period), tables)


class Latest:
    """The overviews last asked for, each for as long as the storage says that none of its figures has changed."""

    def __init__(self, tracker: Tracker, *, kept: int = _KEPT) -> None:
        """Remember the last `kept` ones."""
        self._tracker = tracker
        self._most = kept
        self._lock = threading.Lock()
        self._held: OrderedDict[Period, tuple[bytes, Overview]] = OrderedDict()

    def overview(self, period: Period, on_table: OnTable = _nothing) -> Overview:
        """Give the overview of a period as `gather` does.

        Raises:
            StorageError: the storage does not answer.
        """
        mark = self._mark(period)
        with self._lock:
            held = self._held.get(period)
            if held is not None and held[0] == mark:
                self._held.move_to_end(period)
                return held[1]
        found = gather(self._tracker, period, on_table)
        if mark is not None:
            self._keep(period, mark, found)
        return found

    def _mark(self, period: Period) -> bytes | None:
        """Read the mark before anything is asked: what is written meanwhile makes it another."""
        service = None if period.service == EVERY_SERVICE else period.service
        return self._tracker.storage.mark(Scope(self._tracker.settings.namespace, service))

    def _keep(self, period: Period, mark: bytes, found: Overview) -> None:
        with self._lock:
            self._held[period] = mark, found
            self._held.move_to_end(period)
            while len(self._held) > self._most:
                self._held.popitem(last=False)
