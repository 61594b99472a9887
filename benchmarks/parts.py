"""The parts of the benchmark, by the name that `--parts` calls them: what each measures and in which folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.codec import codec_figures
from benchmarks.compare import table
from benchmarks.contact import contact_figures
from benchmarks.figures import Bench, Figure, Scale
from benchmarks.importing import import_figures
from benchmarks.interests import interest_figures
from benchmarks.planning import planning_figures
from benchmarks.startup import processes_figures, startup_figures

_KEPT = Path(__file__).parents[1] / "build" / "bench-base"
"""Where the large base is kept for the next run."""
_SMALL = 0.02
"""What is measured of the large base in a quick part."""


class Part(NamedTuple):
    """What stands under one heading. `measure(folder, scale)` may leave in the folder what it likes.

    `write`: puts the results into a page of their own as well.
    """

    title: str
    measure: Callable[[Path, Scale], Iterator[Figure]]
    quick: bool = True
    write: Callable[[Sequence[Figure]], None] | None = None


def _requests(folder: Path, scale: Scale) -> Iterator[Figure]:
    bench = Bench(folder, scale)
    bench.build()
    yield from bench.figures()


def _servers(folder: Path, scale: Scale) -> Iterator[Figure]:
    from benchmarks.servers import backlog_figures, server_figures

    rounds = max(1, scale.rounds // 6)
    yield from server_figures(folder, rounds=rounds)
    yield from backlog_figures(folder, rounds=max(1, rounds // 2))


def _startup(folder: Path, scale: Scale) -> Iterator[Figure]:
    rounds = max(1, scale.rounds // 6)
    yield from startup_figures(folder, rounds=rounds)
    yield from processes_figures(folder, rounds=rounds)


def _rules(folder: Path, scale: Scale) -> Iterator[Figure]:
    return contact_figures(rounds=scale.rounds)


def _planning(folder: Path, scale: Scale) -> Iterator[Figure]:
    return planning_figures(folder, visitors=10 * scale.visitors)


def _interests(folder: Path, scale: Scale) -> Iterator[Figure]:
    return interest_figures()


def _importing(folder: Path, scale: Scale) -> Iterator[Figure]:
    return import_figures(folder)


def _importing_much(folder: Path, scale: Scale) -> Iterator[Figure]:
    return import_figures(folder, lines=round(scale.base * 10_000_000), rounds=1)


def _large(folder: Path, scale: Scale) -> Iterator[Figure]:
    from benchmarks.large import large_figures  # here, as the others need no DuckDB
    from benchmarks.life import Size

    return large_figures(_KEPT, Size().scaled(scale.base))


def _dashboard(folder: Path, scale: Scale) -> Iterator[Figure]:
    from benchmarks.dashboard import dashboard_figures
    from benchmarks.life import Size

    return dashboard_figures(folder, Size().scaled(_SMALL), rounds=max(1, scale.rounds // 8))


def _large_dashboard(folder: Path, scale: Scale) -> Iterator[Figure]:
    from benchmarks.dashboard import dashboard_figures
    from benchmarks.life import Size

    return dashboard_figures(_KEPT, Size().scaled(scale.base), rounds=max(1, scale.rounds // 8))


def _compare(folder: Path, scale: Scale) -> Iterator[Figure]:
    from benchmarks.compare.measuring import compare_figures  # here, as the others need none of the libraries

    return compare_figures(folder, rounds=max(1, scale.rounds // 2))


def _postgresql(folder: Path, scale: Scale) -> Iterator[Figure]:
    from benchmarks.life import Size
    from benchmarks.postgresql import postgresql_figures  # here, as the others need no server

    return postgresql_figures(folder, Size(days=40).scaled(_SMALL), rounds=scale.rounds)


def _large_postgresql(folder: Path, scale: Scale) -> Iterator[Figure]:
    from benchmarks.life import Size
    from benchmarks.postgresql import postgresql_figures

    return postgresql_figures(_KEPT, Size().scaled(scale.base), rounds=scale.rounds)


def _codec(folder: Path, scale: Scale) -> Iterator[Figure]:
    return codec_figures(rounds=scale.rounds)


PARTS: dict[str, Part] = {
    "requests": Part("What a request takes", _requests),
    "servers": Part("Real servers", _servers),
    "startup": Part("Starting, and several processes", _startup),
    "rules": Part("Rules of re-contact", _rules),
    "planning": Part("Planning a campaign", _planning),
    "codec": Part("UCP frames", _codec),
    "interests": Part("Interests", _interests),
    "import": Part("Importing logs", _importing),
    "dashboard": Part("The dashboard, on 200,000 page views", _dashboard),
    "compare": Part("Beside other libraries", _compare, write=table.write),
    "import-large": Part("Importing ten million lines", _importing_much, quick=False),
    "postgresql": Part("PostgreSQL", _postgresql),
    "large-postgresql": Part("Ten million page views in PostgreSQL", _large_postgresql, quick=False),
    "large": Part("Ten million page views", _large, quick=False),
    "large-dashboard": Part("The dashboard, on ten million page views", _large_dashboard, quick=False),
}
"""In the order in which they are measured."""
