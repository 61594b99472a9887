"""What a visitor favours, from his habits and the population's: interests with evidence, rank, shortcuts.

Pure functions; `now_us` is microseconds since the epoch. The sums come from `habits`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from alias_middleware.habits import Habits, Strength, as_of
from alias_middleware.local_time import from_micros

PRIOR = 5.0
"""How many page views of the population's taste a visitor's own habits are mixed with."""

MINIMUM_SUPPORT = 3
"""The weight that makes an interest: three pages, a cart or an order in the category."""

RANK_SUPPORT = 0.5
"""The weight, as of now, from which on a category moves forward in a menu: a page view of the last 30 days."""

Horizon = Literal["recent", "whole"]
"""Habits with a half-life of 30 days, or the whole history without decay."""


class Sums(NamedTuple):
    """What a population did in one category: decayed under the epoch of `habits`, and without decay."""

    recent: float
    whole: float


class Population(msgspec.Struct, frozen=True):
    """The sums of everybody in a namespace, and the moment they were read; empty before they first are."""

    time_us: int | None = None
    sums: Mapping[str, Sums] = {}

    def weights(self, horizon: Horizon) -> dict[str, float]:
        """Give everybody's sum per category in plain weights of the moment they were read."""
        if horizon == "whole":
            return {name: each.whole for name, each in self.sums.items() if each.whole > 0}
        moment_us = self.time_us or 0
        weights = {name: as_of(each.recent, moment_us) for name, each in self.sums.items()}
        return {name: weight for name, weight in weights.items() if weight > 0}


class Evidence(msgspec.Struct, frozen=True):
    """Why a category is called an interest.

    `basis` is "visitor", or "population" for a favourite of everybody's that stands in where the visitor's own
    habits say nothing. `purchases`: orders not cancelled. `since`: the first page or cart; `population_at`: when
    the population's shares were read, None when they never were.
    """

    basis: Literal["visitor", "population"]
    pages: int = 0
    carts: int = 0
    purchases: int = 0
    since: datetime | None = None
    population_at: datetime | None = None

    def __str__(self) -> str:
        if self.basis == "population":
            return "a favourite of everybody's"
        said = [f"{self.pages} page{'s' * (self.pages != 1)}"]
        if self.since is not None:
            said[0] += f" since {self.since:%Y-%m-%d}"
        if self.carts:
            said.append(f"{self.carts} cart{'s' * (self.carts != 1)}")
        if self.purchases:
            said.append(f"{self.purchases} purchase{'s' * (self.purchases != 1)}")
        return ", ".join(said)


class Interest(msgspec.Struct, frozen=True):
    """A category the visitor favours.

    `score`: how many times more than everybody he goes there, shrunk towards 1 where little is known of him.
    `share`: the part of his own weight that is in the category, 0 to 1; of everybody's where the evidence is.
    """

    category: str
    score: float
    share: float
    evidence: Evidence


class Shortcut(msgspec.Struct, frozen=True):
    """A page the visitor goes to: `weight` in page views of today."""

    path: str
    title: str | None
    weight: float


class Taste:
    """One visitor's habits against the population's, in one horizon, as of one moment."""

    def __init__(self, habits: Habits, population: Population, now_us: int, horizon: Horizon = "recent") -> None:
        """Weigh the habits."""
        self._strengths = habits.categories
        self._population = population
        self._weights = {
            name: as_of(each.recent, now_us) if horizon == "recent" else float(each.whole)
            for name, each in habits.categories.items()
        }
        self._total = sum(self._weights.values())
        self._theirs = population.weights(horizon)
        self._their_total = sum(self._theirs.values())

    def population_share(self, category: str) -> float:
        """Give p, the population's share of a category; as if seen once where it was never seen."""
        return (self._theirs.get(category) or 1.0) / (self._their_total + (category not in self._theirs))

    def mixed_share(self, category: str) -> float:
        """Give the visitor's share of a category, mixed with `PRIOR` page views of the population's taste."""
        own = self._weights.get(category, 0.0)
        if not self._theirs:
            return own / self._total if self._total else 0.0
        return (own + PRIOR * self.population_share(category)) / (self._total + PRIOR)

    def lift(self, category: str) -> float:
        """Give the shrunk lift ((S + m p) / (sum of S + m)) / p; 1 while nothing is known of the population."""
        return self.mixed_share(category) / self.population_share(category) if self._theirs else 1.0

    def weight(self, category: str) -> float:
        """Give the visitor's weight in a category."""
        return self._weights.get(category, 0.0)

    def interests(self, top: int) -> list[Interest]:
        """Give what he favours by share * ln(lift), or everybody's favourites where that is nothing."""
        found = [self._interest(name) for name, each in self._strengths.items() if each.whole >= MINIMUM_SUPPORT]
        if self._theirs:
            found = [interest for interest in found if interest.score > 1]
        found.sort(key=lambda interest: (-self._merit(interest), -interest.share, interest.category))
        return found[:top] if found else self.favourites(top)

    def _merit(self, interest: Interest) -> float:
        return interest.share * math.log(interest.score)

    def _interest(self, category: str) -> Interest:
        share = self._weights[category] / self._total if self._total else 0.0
        return Interest(category, self.lift(category), share, self._evidence(self._strengths[category]))

    def _evidence(self, strength: Strength) -> Evidence:
        since_s = strength.since_s
        return Evidence(
            basis="visitor",
            pages=strength.pages,
            carts=strength.carts,
            purchases=strength.purchases,
            since=None if since_s is None else from_micros(since_s * 1_000_000),
            population_at=self._read_at(),
        )

    def favourites(self, top: int) -> list[Interest]:
        """Give what everybody goes to most."""
        names = sorted(self._theirs, key=lambda name: (-self._theirs[name], name))[:top]
        evidence = Evidence(basis="population", population_at=self._read_at())
        return [Interest(name, 1.0, self.population_share(name), evidence) for name in names]

    def _read_at(self) -> datetime | None:
        moment_us = self._population.time_us
        return None if moment_us is None else from_micros(moment_us)

    def rank(self, candidates: Iterable[str]) -> list[str]:
        """Put what he goes to first, by mixed share; the rest keeps the order it came in."""
        ranked = list(candidates)
        ranked.sort(key=lambda name: -self.mixed_share(name) if self.weight(name) >= RANK_SUPPORT else 0.0)
        return ranked


def shortcuts_of(habits: Habits, now_us: int, n: int) -> list[Shortcut]:
    """Give the pages gone to most, frequency and recency in one sum of decayed page views."""
    paths = sorted(habits.pages, key=lambda path: (-habits.pages[path].recent, path))
    kept = paths[:n]
    return [Shortcut(path, habits.pages[path].title, as_of(habits.pages[path].recent, now_us)) for path in kept]
