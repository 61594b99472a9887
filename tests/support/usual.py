"""What tests of the short way into a history compare: random batches, and two results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from alias_middleware.storage.base import Batch
from alias_middleware.storage.usual import UsualFold
from alias_middleware.testing.histories import random_history


def batches(seed: int) -> list[Batch]:
    """A random history mostly in the order of time, as a spool has it: some of it comes late, some twice."""
    entries = [entry for phase in random_history(seed, walks=40).phases for entry in phase.entries]
    entries.sort(key=lambda entry: entry.event.time_us)
    entries = entries[::2] + entries[1::2]
    return [Batch(entries=entries[place : place + 9]) for place in range(0, len(entries), 9)]


def nearly(one: object, other: object) -> bool:
    """Whether two results are equal but for the rounding of sums that were added up in another order."""
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, rel=1e-9)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(nearly(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(nearly, one, other))
    return one == other


def differing(monkeypatch: pytest.MonkeyPatch, applied: Callable[[str], dict[str, Any]]) -> list[str]:
    """Give what a history comes to by one way and not by the other; `applied` has it go the way it is told.

    The short way must be gone, and must refuse as well.
    """
    taken: list[bool] = []
    take = UsualFold.take

    def noting(self: UsualFold[Any], *arguments: Any) -> bool:
        taken.append(take(self, *arguments))
        return taken[-1]

    monkeypatch.setattr(UsualFold, "take", noting)
    short = applied("short")
    assert sum(taken) > 15
    assert taken.count(False) > 5
    monkeypatch.setattr(UsualFold, "take", lambda *arguments: False)
    general = applied("general")
    return [what for what in short if not nearly(short[what], general[what])]
