"""The visitors of the benchmark, and what their requests look like."""

from __future__ import annotations

import random
from collections.abc import Sequence

GATEWAY = "10.12.0.7"
"""The operator's gateway, where every request comes from."""

SEEDS = random.Random(314522927347)


def aliases(visitors: int) -> list[str]:
    """So many aliases, none twice, in no order."""
    return [f"{number:012}" for number in SEEDS.sample(range(10**12), visitors)]


def pick(everybody: Sequence[str], requests: int) -> list[str]:
    """Who sends the next requests."""
    return SEEDS.choices(everybody, k=requests)


def pick_each_once(everybody: Sequence[str]) -> list[str]:
    """Everybody once, in no order."""
    return SEEDS.sample(everybody, len(everybody))
