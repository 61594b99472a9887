"""Measuring contenders in turn, so that whatever disturbs the machine disturbs them alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

Contender = Callable[[int], list[float]]
"""Serves so many requests and gives the seconds each took; making the requests is not in it."""


class Spread(NamedTuple):
    """What the rounds came to."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def measure(
    contenders: Mapping[str, Contender],
    *,
    rounds: int,
    requests: int,
    typical: Callable[[Sequence[float]], float] = statistics.median,
) -> dict[str, list[float]]:
    """Give each contender's microseconds for a typical request, by round.

    Every round begins with another contender. The median request of a round is one that neither another
    process nor the writer's thread interrupted; `statistics.fmean` has everything in it.
    """
    names = list(contenders)
    measured: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(-1, rounds):  # the first round only warms up
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            microseconds = typical(contenders[name](requests)) * 1e6
            if turn >= 0:
                measured[name].append(microseconds)
    return measured


def added(measured: Mapping[str, Sequence[float]], name: str, to: str) -> list[float]:
    """What one contender takes more than another, round by round."""
    return [more - less for more, less in zip(measured[name], measured[to], strict=True)]


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(numerators, denominators, strict=True)]
