"""How well `rank` foretells the next category on a simulated life, against everybody's favourites."""

from __future__ import annotations

from collections.abc import Iterator

from alias_middleware.testing.foretelling import foretell
from alias_middleware.testing.simulated_log import FIRST_DAY
from alias_middleware.testing.simulation import Life
from benchmarks.figures import Figure
from benchmarks.rounds import spread

_SEEDS = range(3)


def interest_figures(subscribers: int = 1000, days: int = 120) -> Iterator[Figure]:
    """Hit-rates at 3 over a few seeded lives; popularity's must be the lower."""
    told = [foretell(Life(subscribers=subscribers, days=days, seed=seed, first_day=FIRST_DAY)) for seed in _SEEDS]
    missed = spread([(1 - each.by_rank) / (1 - each.by_popularity) for each in told])
    yield Figure("next category not among the first 3 of rank(): of popularity's misses", "", missed, 1.0)
    yield Figure("  foretold by rank()", "", spread([each.by_rank for each in told]))
    yield Figure("  foretold by everybody's favourites", "", spread([each.by_popularity for each in told]))
    yield Figure("planted interests not found again", "", spread([1 - each.found for each in told]), 0.05)
