"""`python -m tests.fuzz`: serve random requests on both edges and say what was amiss; 1 when anything was."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path

from tests.fuzz.engine import Engine

_SHOWN = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="serve the request of this number alone")
    given = parser.parse_args()
    warnings.simplefilter("error")
    numbers = range(given.requests) if given.only is None else range(given.only, given.only + 1)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Path(folder), given.seed)
        engine.run(numbers)
        engine.close()
    for failure in engine.failures[:_SHOWN]:
        sys.stdout.write(f"request {failure.number}: {failure.what}\n")
    for what, number in sorted(engine.outcomes.items()):
        sys.stdout.write(f"{number:8} {what}\n")
    seconds = time.monotonic() - begun
    sys.stdout.write(
        f"{len(numbers)} requests, seed {given.seed}: {len(engine.failures)} failures, {seconds:.0f} s\n"
    )
    return 1 if engine.failures else 0


if __name__ == "__main__":
    sys.exit(main())
