"""What tests of the short way into a history compare: random batches, and two results."""

from __future__ import annotations

import pytest

from alias_middleware.storage.base import Batch
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
