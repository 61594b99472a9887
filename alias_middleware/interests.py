"""What a visitor favours, from his habits and the population's: interests with evidence, rank, shortcuts.

Pure functions; `now_us` is microseconds since the epoch. The sums come from `habits`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Literal, NamedTuple

import msgspec

from alias_middleware.habits import Habits, as_of
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


class Shares:
    """What part of a population's weight is in each category, in one horizon."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        """Share out weights, in plain page views; what has none left is as if never seen."""
        total = sum(weight for weight in weights.values() if weight > 0)
        self._shares = {name: weight / total for name, weight in weights.items() if weight > 0}
        self._unseen = 1.0 / (total + 1)

    def __bool__(self) -> bool:
        return bool(self._shares)

    def of(self, category: str) -> float:
        """Give p, the share of a category; as if seen once where it was never seen."""
        return self._shares.get(category, self._unseen)

    def greatest(self) -> list[tuple[str, float]]:
        """Give the categories with their shares, everybody's favourite first; equal ones go by name."""
        return sorted(self._shares.items(), key=lambda each: (-each[1], each[0]))


class Population(msgspec.Struct, frozen=True, dict=True):
    """The sums of everybody in a namespace, and the moment they were read; empty before they first are.

    What follows from them is worked out once, for all the visitors that are held against it.
    """

    time_us: int | None = None
    sums: Mapping[str, Sums] = {}

    @cached_property
    def read_at(self) -> datetime | None:
        """The moment they were read; None when they never were."""
        return None if self.time_us is None else from_micros(self.time_us)

    @cached_property
    def recent(self) -> Shares:
        """Everybody's shares by habits with a half-life of 30 days, as of the moment they were read."""
        moment_us = self.time_us or 0
        return Shares({name: as_of(each.recent, moment_us) for name, each in self.sums.items()})

    @cached_property
    def whole(self) -> Shares:
        """Everybody's shares by the whole history."""
        return Shares({name: each.whole for name, each in self.sums.items()})


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
        self._read_at = population.read_at
        if horizon == "recent":
            self._theirs = population.recent
            fading = as_of(1.0, now_us)
            self._weights = {name: each.recent * fading for name, each in habits.categories.items()}
        else:
            self._theirs = population.whole
            self._weights = {name: float(each.whole) for name, each in habits.categories.items()}
        self._total = sum(self._weights.values())

    def mixed_share(self, category: str) -> float:
        """Give the visitor's share of a category, mixed with `PRIOR` page views of the population's taste."""
        own = self._weights.get(category, 0.0)
        if not self._theirs:
            return own / self._total if self._total else 0.0
        return (own + PRIOR * self._theirs.of(category)) / (self._total + PRIOR)

    def lift(self, category: str) -> float:
        """Give the shrunk lift ((S + m p) / (sum of S + m)) / p; 1 while nothing is known of the population."""
        return self.mixed_share(category) / self._theirs.of(category) if self._theirs else 1.0

    def weight(self, category: str) -> float:
        """Give the visitor's weight in a category."""
        return self._weights.get(category, 0.0)

    def interests(self, top: int) -> list[Interest]:
        """Give what he favours by share * ln(lift), or everybody's favourites where that is nothing."""
        found = []
        for category, strength in self._strengths.items():
            if strength.whole >= MINIMUM_SUPPORT:
                lift = self.lift(category)
                if lift > 1 or not self._theirs:
                    share = self._weights[category] / self._total if self._total else 0.0
                    found.append((-share * math.log(lift), -share, category, lift))
        found.sort()
        shown = [self._interest(category, lift, -share) for _, share, category, lift in found[:top]]
        return shown if found else self.favourites(top)

    def _interest(self, category: str, lift: float, share: float) -> Interest:
        strength = self._strengths[category]
        since = None if strength.since_s is None else from_micros(strength.since_s * 1_000_000)
        evidence = Evidence("visitor", strength.pages, strength.carts, strength.purchases, since, self._read_at)
        return Interest(category, lift, share, evidence)

    def favourites(self, top: int) -> list[Interest]:
        """Give what everybody goes to most."""
        evidence = Evidence("population", population_at=self._read_at)
        return [Interest(name, 1.0, share, evidence) for name, share in self._theirs.greatest()[:top]]

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
