"""From roll-ups to figures: every ratio and every definition of a published figure lives here.

A storage gives roll-ups; this package counts, divides and ranks. It knows neither storages nor clocks.
"""

from alias_middleware.statistics.definitions import DEFINITIONS
from alias_middleware.statistics.intervals import check_interval
from alias_middleware.statistics.summary import Baskets, Summary, Totals, summarise

__all__ = ["DEFINITIONS", "Baskets", "Summary", "Totals", "check_interval", "summarise"]
