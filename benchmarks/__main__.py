"""`python -m benchmarks`: measure, and print the figures beside their targets."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Bench, Figure, Scale

_ROW = "{:<74}{:>9}{:>20}{:>10}  {}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Give the exit code: 0, or 1 where `--check` is given and a target was missed."""
    options = _options(arguments)
    scale = Scale(visitors=options.visitors, rounds=options.rounds, drained_rounds=max(1, options.rounds // 4))
    with tempfile.TemporaryDirectory(prefix="alias-bench-") as folder:
        bench = Bench(Path(folder), scale)
        bench.build()
        print(_ROW.format(f"on {scale.visitors:,} visitors, in {scale.rounds} rounds", "median", "least - most",
                          "at most", ""))  # fmt: skip
        missed = 0
        for figure in bench.figures():
            print(_line(figure), flush=True)
            missed += not figure.met
    return 1 if missed and options.check else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--rounds", type=int, default=Scale().rounds, help="more rounds, steadier medians")
    parser.add_argument("--visitors", type=int, default=Scale().visitors, help="the visitors of the base")
    return parser.parse_args(arguments)


def _line(figure: Figure) -> str:
    measured = figure.measured
    verdict = "" if figure.target is None else "ok" if figure.met else "missed"
    return _ROW.format(
        figure.name,
        f"{measured.median:.2f}{figure.unit and ' ' + figure.unit}",
        f"{measured.least:.2f} - {measured.most:.2f}",
        "" if figure.target is None else f"{figure.target:.2f}",
        verdict,
    ).rstrip()


if __name__ == "__main__":
    sys.exit(main())
