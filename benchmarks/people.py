"""The visitors of the benchmark, and what their requests look like."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

GATEWAY = "10.12.0.7"
"""The operator's gateway, where every request comes from."""

SEEDS = random.Random(314522927347)


class Passer(NamedTuple):
    """Who sends a request: an alias, or None where the gateway names nobody, and a session's cookie."""

    alias: str | None
    cookie: str


def aliases(visitors: int) -> list[str]:
    """So many aliases, none twice, in no order."""
    return [f"{number:012}" for number in SEEDS.sample(range(10**12), visitors)]


def pick(everybody: Sequence[str], requests: int) -> list[str]:
    """Who sends the next requests."""
    return SEEDS.choices(everybody, k=requests)
