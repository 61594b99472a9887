"""`python -m benchmarks`: measure, and print the figures beside their targets."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import page
from benchmarks.figures import Figure, Scale
from benchmarks.parts import PARTS, Part

_PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
_ROW = "{:<76}{:>16}{:>24}{:>12}  {}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Give the exit code: 0, or 1 where `--check` is given and a target was missed."""
    options = _options(arguments)
    scale = Scale(
        visitors=options.visitors,
        rounds=options.rounds,
        drained_rounds=max(1, options.rounds // 4),
        base=options.scale,
    )
    parts = _chosen(options.parts, large=options.large)
    measured = {part.title: _measure(part, scale) for part in parts}
    if options.write:
        page.write(options.page, measured)
        for part in parts:
            if part.write is not None:
                part.write(measured[part.title])
    missed = any(not figure.met for figures in measured.values() for figure in figures)
    return 1 if missed and options.check else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--rounds", type=int, default=Scale().rounds, help="more rounds, steadier medians")
    parser.add_argument("--visitors", type=int, default=Scale().visitors, help="the visitors of the base")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), help="only these; all quick ones by default")
    parser.add_argument("--large", action="store_true", help="the parts on ten million page views instead")
    parser.add_argument("--scale", type=float, default=Scale().base, help="so much of the large base, as 0.1")
    parser.add_argument("--write", action="store_true", help="put the results into the page of results")
    parser.add_argument("--page", type=Path, default=_PAGE, help="the page of results")
    return parser.parse_args(arguments)


def _chosen(names: Sequence[str] | None, *, large: bool) -> list[Part]:
    if names:
        return [PARTS[name] for name in names]
    return [part for part in PARTS.values() if part.quick is not large]


def _measure(part: Part, scale: Scale) -> list[Figure]:
    print(_ROW.format(part.title, "median", "least - most", "target", "").rstrip())
    figures = []
    with tempfile.TemporaryDirectory(prefix="alias-bench-") as folder:
        for figure in part.measure(Path(folder), scale):
            print(_line(figure), flush=True)
            figures.append(figure)
    print()
    return figures


def _line(figure: Figure) -> str:
    measured, unit = figure.measured, figure.unit and f" {figure.unit}"
    median, extent = f"{measured.median:,.2f}{unit}", f"{measured.least:,.2f} - {measured.most:,.2f}"
    return _ROW.format(figure.name, median, extent, figure.aim, figure.verdict).rstrip()


if __name__ == "__main__":
    sys.exit(main())
