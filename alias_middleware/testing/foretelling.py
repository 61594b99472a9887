"""How well interests, learnt from a simulated life as it goes by, tell what its subscribers favour and do next."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

from alias_middleware.habits import Habits, Note, count, decayed
from alias_middleware.interests import Population, Sums, Taste
from alias_middleware.testing.simulation import CATEGORIES, Life

_REFRESH_EVERY = 2000
_FORETOLD = 3
_ENOUGH_VIEWS = 20


class Foretold(NamedTuple):
    """Parts, 0 to 1.

    `by_rank`, `by_popularity`: next categories that were among the first three of the visitor's own menu, and of
    everybody's favourites. `found`: visitors with 20 or more views of whom every planted category is among the
    first three interests.
    """

    by_rank: float
    by_popularity: float
    found: float


def foretell(life: Life) -> Foretold:
    """Let a life go by and ask before each page view what comes next; and in the end, who favours what."""
    habits: defaultdict[int, Habits] = defaultdict(lambda: Habits({}, {}))
    sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    population, popular = Population(), list(CATEGORIES)
    views: Counter[int] = Counter()
    asked = ranked = guessed = now_us = 0
    for number, step in enumerate(step for step in life.steps() if step.path.count("/") > 1):
        category, now_us = step.path.split("/")[1], step.time_us
        if number % _REFRESH_EVERY == 0:
            population = Population(now_us, {name: Sums(*each) for name, each in sums.items()})
            popular.sort(key=lambda name: -sums[name][0])
        if population.sums:
            asked += 1
            guessed += category in popular[:_FORETOLD]
            ranked += category in Taste(habits[step.subscriber], population, now_us).rank(popular)[:_FORETOLD]
        count(habits[step.subscriber], [Note(now_us // 1_000_000, step.path, None, category)])
        sums[category][0] += decayed(1, now_us // 1_000_000)
        sums[category][1] += 1
        views[step.subscriber] += 1
    known = [subscriber for subscriber, number in views.items() if number >= _ENOUGH_VIEWS]
    found = sum(
        life.planted(subscriber)
        <= {each.category for each in Taste(habits[subscriber], population, now_us).interests(_FORETOLD)}
        for subscriber in known
    )
    return Foretold(ranked / max(asked, 1), guessed / max(asked, 1), found / max(len(known), 1))
