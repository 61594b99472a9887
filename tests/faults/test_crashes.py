"""What workers and a drainer that are killed leave behind; `python -m tests.faults` kills a hundred."""

from __future__ import annotations

from pathlib import Path

from tests.faults.crashes import crash
from tests.faults.load import CLIENTS


def test_kills_of_workers_and_drainer_lose_and_double_nothing(tmp_path: Path) -> None:
    """Whoever is killed whenever: stored set == acknowledged set, orders and preferences included."""
    kills = 6
    found = crash(tmp_path, kills=kills, seed=7)
    assert (found.lost, found.doubled, found.invented, found.dropped) == (0, 0, 0, 0)
    assert found.acknowledged > kills * 20
    assert found.unanswered <= kills * CLIENTS
