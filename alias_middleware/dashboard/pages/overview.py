"""The overview: every figure against the period before, and the tables that pictures are drawn from."""

from __future__ import annotations

from typing import NamedTuple

from alias_middleware.dashboard.pages.figures import TABLES, Cell, compared
from alias_middleware.dashboard.period import Period
from alias_middleware.dashboard.tables import Table
from alias_middleware.tracker import Tracker

SHOWN = (
    "visitors",
    "visits",
    "revenue",
    "pages",
    "categories",
    "products",
    "frequency",
    "recency",
    "hours",
    "cohorts",
)
"""The tables of the overview, in their order."""


class Overview(NamedTuple):
    """What the overview shows of a period."""

    cells: list[Cell]
    tables: list[Table]


def gather(tracker: Tracker, period: Period) -> Overview:
    """Ask for everything.

    Raises:
        StorageError: the storage does not answer.
    """
    statistics = tracker.statistics
    return Overview(compared(statistics, period), [TABLES[name](statistics, period) for name in SHOWN])
