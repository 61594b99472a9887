"""`python -m tests.faults`: many kills, long disasters on both edges, and what is left; 1 if anything is amiss."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.faults.crashes import crash
from tests.faults.disasters import DISASTERS, suffer
from tests.faults.load import CLIENTS, Reckoning


def drills(kills: int, seed: int, lasts: float) -> Iterator[tuple[str, Reckoning, bool]]:
    """Go through everything; give what it was, what came of it, and whether that is as it must be."""
    with tempfile.TemporaryDirectory() as folder:
        found = crash(Path(folder), kills=kills, seed=seed)
        yield f"{kills} kills", found, _is_sound(found, unanswered=kills * CLIENTS)
    for disaster in DISASTERS:
        for server in ("serve_asgi", "serve_wsgi"):
            with tempfile.TemporaryDirectory() as folder:
                found = suffer(disaster, Path(folder), server, lasts=lasts)
            sound = _is_sound(found) and (disaster.drops or not found.dropped)
            yield f"{disaster.name}, {server}", found, sound


def _is_sound(found: Reckoning, unanswered: int = 0) -> bool:
    return not (found.lost or found.doubled or found.invented) and found.unanswered <= unanswered


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lasts", type=float, default=10.0, help="seconds that each disaster lasts")
    given = parser.parse_args()
    amiss = 0
    for name, found, sound in drills(given.kills, given.seed, given.lasts):
        sys.stdout.write(f"{'ok ' if sound else 'BAD'} {name}: {found}\n")
        sys.stdout.flush()
        amiss += not sound
    return min(amiss, 1)


if __name__ == "__main__":
    sys.exit(main())
