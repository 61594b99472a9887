"""The command `simulate`: a made-up service's life, into a log or a storage."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import click

from alias_middleware.cli.output import Sheet, csv_option, json_option, show, write_csv
from alias_middleware.cli.progress import progress, stepping
from alias_middleware.cli.source import Source
from alias_middleware.cli.tables import Table

if TYPE_CHECKING:
    from alias_middleware.testing.simulation import Life


class _Told(NamedTuple):
    """What was made up, how many of it, and where it is."""

    what: str
    number: int
    where: str


@click.command()
@click.option("--subscribers", type=click.IntRange(1, 10_000_000), default=1000, show_default=True)
@click.option("--days", type=click.IntRange(1, 3660), default=30, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same life.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), default="2026-01-01", show_default=True)
@click.option("--visits", type=click.FloatRange(0.001, 100), default=0.05, show_default=True,
              help="Visits a day of one subscriber; one has five pages on average.")  # fmt: skip
@click.option("--log", type=click.Path(path_type=Path), help="Write page views to this log; .gz packs it.")
@click.option("--purchases", type=click.Path(path_type=Path), help="Write orders to this CSV file.")
@click.option("--truth", type=click.Path(path_type=Path),
              help="Write what it was made of, as lines of JSON: interests, seasons, orders.")  # fmt: skip
@json_option
@csv_option
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
    truth: Path | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Make up a service's life: into a log, a table of orders, or the storage by spool and writer."""
    from alias_middleware.testing.simulated_log import log_lines, truth_lines
    from alias_middleware.testing.simulation import Life

    def life() -> Life:
        return Life(subscribers=subscribers, days=days, seed=seed, first_day=since.date(), visits_a_day=visits)

    in_files = log is not None or purchases is not None
    if not (in_files or truth is not None or "storage" in source.given):
        raise click.UsageError("say where to: --log FILE, --purchases FILE, --truth FILE or --storage URL")
    files = [each.absolute() for each in (log, purchases, truth) if each is not None]
    if len(set(files)) < len(files):
        raise click.UsageError("each of --log, --purchases and --truth needs a file of its own")
    told: list[_Told] = []
    if log is not None:
        told.append(_write_lines("page views", log_lines(life()), log))
    if purchases is not None:
        told.append(_write_orders(life(), purchases))
    if truth is not None:
        told.append(_write_lines("lines of truth", truth_lines(life()), truth))
    if not in_files and "storage" in source.given:
        told.append(_Told("events", _record(life, source), "the storage"))
    _show(told, as_json=as_json, as_csv=as_csv)


def _show(told: Sequence[_Told], *, as_json: bool, as_csv: bool) -> None:
    if as_csv:
        write_csv(Sheet(_Told._fields, told))
        return
    cells = [(each.what, str(each.number), each.where) for each in told]
    document = [each._asdict() for each in told]
    show(as_json, document, lambda: [Table("Simulated", _Told._fields, cells, numbers=frozenset({1}))])


def _record(life: Callable[[], Life], source: Source) -> int:
    """Let a life happen on the source's storage, through spool and writer; give the number of its events."""
    from alias_middleware.testing.simulated_log import PastClock, play, simulated_tracker

    clock = PastClock()
    tracker = simulated_tracker(clock, **{"service": "simulated", **source.given})
    try:
        with progress("events") as step:
            return play(life(), tracker, clock, stepping(life().steps(), step))
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


def _write_lines(what: str, lines: Iterator[str], path: Path) -> _Told:
    number = 0
    with _opened(path) as file, progress(what) as step:
        for number, line in enumerate(stepping(lines, step), 1):  # noqa: B007 -- the last number is the count
            file.write(line)
    return _Told(what, number, str(path))


def _write_orders(life: Life, path: Path) -> _Told:
    from alias_middleware.testing.simulated_log import order_rows

    number = 0
    with _opened(path) as file, progress("lines of orders") as step:
        write = csv.writer(file).writerow
        for number, row in enumerate(stepping(order_rows(life), step)):  # noqa: B007 -- the first names the columns
            write(row)
    return _Told("orders", number, str(path))
