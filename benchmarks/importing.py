"""What importing access logs costs, against parsing them and inserting the plain rows; and its memory."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from alias_middleware import Tracker
from alias_middleware.events import body_of
from alias_middleware.imports import logs
from alias_middleware.imports.lines import opened
from alias_middleware.imports.run import Import
from alias_middleware.imports.views import ViewReader
from alias_middleware.storage.base import Entry
from alias_middleware.storage.sqlite.rows import insert_rows
from alias_middleware.testing.simulated_log import FIRST_DAY, GATEWAY, log_lines
from alias_middleware.testing.simulation import PATTERNS, Life
from benchmarks.figures import Figure
from benchmarks.rounds import ratio, spread
from benchmarks.site import tracker_on

_ROOT = Path(__file__).parents[1]
_AT_ONCE = 10_000
_DAYS = 1_000


def import_figures(folder: Path, *, lines: int = 200_000, rounds: int = 3) -> Iterator[Figure]:
    """Processes of their own import one log of so many lines, and parse and insert it, in turn."""
    log = folder / "access.log"
    _write(log, lines)
    taken: dict[str, list[float]] = {"whole": [], "plain": []}
    memory = 0.0
    for turn in range(rounds):
        for way, seconds in taken.items():
            command = [
                sys.executable,
                "-m",
                "benchmarks.importing",
                way,
                str(log),
                str(folder / f"{way}{turn}.db"),
            ]
            ran = subprocess.run(command, cwd=_ROOT, capture_output=True, check=True).stdout.split()
            seconds.append(float(ran[0]))
            memory = max(memory, float(ran[1])) if way == "whole" else memory
    yield Figure(
        "import of a log, of parsing and plain insertion", "", spread(ratio(taken["whole"], taken["plain"])), 4
    )
    yield Figure("  lines", "a second", spread([lines / each for each in taken["whole"]]))
    yield Figure("memory of an import at its most", "MB", spread([memory]), 300)


def _write(log: Path, lines: int) -> None:
    """Write the log of a service that lives until there are enough lines."""
    life = Life(subscribers=max(20, lines // 40), days=_DAYS, seed=7, first_day=FIRST_DAY)
    written = 0
    with log.open("w") as file:
        for line in islice(log_lines(life), lines):
            written += file.write(line) > 0
    if written < lines:
        raise RuntimeError(f"the life was over after {written} lines")


def _whole(log: Path, database: Path) -> None:
    with closing(_tracker(database)) as tracker, opened(log) as lines:
        Import(tracker.storage, name="log", rejected=database.with_suffix(".rejected")).take(
            lines, _reader(tracker)
        )


def _plain(log: Path, database: Path) -> None:
    """Read the same entries, and insert each as one row of a table without an index."""
    with (
        closing(_tracker(database)) as tracker,
        opened(log) as lines,
        closing(sqlite3.connect(database.with_suffix(".raw"), isolation_level=None)) as sql,
    ):
        sql.execute("PRAGMA journal_mode = WAL")
        sql.execute("PRAGMA synchronous = NORMAL")
        sql.execute("CREATE TABLE raw (key TEXT, time_us INTEGER, id INTEGER, day INTEGER, body BLOB)")
        reader = _reader(tracker)
        read = (reader.read(number, line) for number, line in enumerate(lines))
        rows = (
            (each.event.key, each.event.time_us, each.id, each.event.day, body_of(each.event))
            for each in read
            if isinstance(each, Entry)
        )
        while batch := list(islice(rows, _AT_ONCE)):
            sql.execute("BEGIN")
            insert_rows(sql, "raw", batch)
            sql.execute("COMMIT")


def _tracker(database: Path) -> Tracker:
    return tracker_on(database, trusted_gateways=[GATEWAY], categories=PATTERNS, writer="external")


def _reader(tracker: Tracker) -> ViewReader:
    parse = logs.combined(alias_field="%{wap-network-info}i")
    return ViewReader(parse, tracker.settings, key_of=tracker.key_of, until_us=None)


if __name__ == "__main__":
    begun = time.perf_counter()
    {"whole": _whole, "plain": _plain}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
    print(time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
