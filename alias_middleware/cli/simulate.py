"""The command `simulate`: a made-up service's life, into a log or a storage."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

import click

from alias_middleware.cli.progress import progress, stepping
from alias_middleware.cli.source import Source


@click.command()
@click.option("--subscribers", type=click.IntRange(1, 10_000_000), default=1000, show_default=True)
@click.option("--days", type=click.IntRange(1, 3660), default=30, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same life.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), default="2026-01-01", show_default=True)
@click.option("--visits", type=click.FloatRange(0.001, 100), default=0.05, show_default=True,
              help="Visits a day of one subscriber; one has five pages on average.")  # fmt: skip
@click.option("--log", type=click.Path(path_type=Path), help="Write page views to this log; .gz packs it.")
@click.option("--purchases", type=click.Path(path_type=Path), help="Write orders to this CSV file.")
@click.pass_obj
def simulate(  # noqa: PLR0917 -- click hands them over by name
    source: Source,
    subscribers: int,
    days: int,
    seed: int,
    since: datetime,
    visits: float,
    log: Path | None,
    purchases: Path | None,
) -> None:
    """Make up a service's life: into a log, a table of orders, or the storage by spool and writer."""
    from alias_middleware.testing.simulated_log import (
        PastClock,
        log_lines,
        order_rows,
        play,
        simulated_tracker,
    )
    from alias_middleware.testing.simulation import Life

    def life() -> Life:
        return Life(subscribers=subscribers, days=days, seed=seed, first_day=since.date(), visits_a_day=visits)

    if log is not None:
        with _opened(log) as file, progress("page views") as step:
            written = _write_lines(file, stepping(log_lines(life()), step))
        click.echo(f"{written:,} page views in {log}")
    if purchases is not None:
        with _opened(purchases) as file, progress("lines of orders") as step:
            csv.writer(file).writerows(stepping(order_rows(life()), step))
        click.echo(f"orders in {purchases}")
    if log is None and purchases is None:
        if "storage" not in source.given:
            raise click.UsageError("say where to: --log FILE, --purchases FILE or --storage URL")
        clock = PastClock()
        tracker = simulated_tracker(clock, **{"service": "simulated", **source.given})
        try:
            with progress("events") as step:
                recorded = play(life(), tracker, clock, stepping(life().steps(), step))
            click.echo(f"{recorded:,} events recorded")
        finally:
            tracker.close()


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    if path.suffix == ".gz":
        with gzip.open(path, "wt", encoding="utf-8", newline="", compresslevel=1) as file:
            yield file
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file


def _write_lines(file: IO[str], lines: Iterator[str]) -> int:
    number = 0
    for number, line in enumerate(lines, 1):  # noqa: B007 -- the last number is the count
        file.write(line)
    return number
