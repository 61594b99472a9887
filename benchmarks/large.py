"""What is measured on the large base: figures against DuckDB, profiles, files and the writer."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from benchmarks import asgi_peers, people
from benchmarks.base import Base
from benchmarks.figures import Figure
from benchmarks.growth import growth_figures
from benchmarks.life import FIRST_DAY, Size, alias
from benchmarks.peer_queries import Question, questions
from benchmarks.rounds import Contender, Spread, measure, ratio, spread
from benchmarks.site import SERVICE, tracker_on

_UNHURRIED_MS = 100.0
"""No figure needs to come sooner than this, however fast its peer is."""

_PROFILES = 2_000


def large_figures(folder: Path, size: Size, *, rounds: int = 5) -> Iterator[Figure]:
    """Measure on the base in `folder`, which is made where it is not there."""
    base = Base(folder, size)
    base.build()
    yield from _against_duckdb(base, rounds)
    yield from _profiles(base, rounds)
    yield from _requests(base, rounds)
    yield from _files(base)
    yield from _writer(base)
    yield from growth_figures(base)


def _against_duckdb(base: Base, rounds: int) -> Iterator[Figure]:
    with closing(base.tracker()) as tracker, closing(base.duckdb()) as peer:
        statistics = tracker.statistics
        for question in questions(FIRST_DAY, base.life.until):
            check(question, statistics, peer)
            ours, theirs = [], []
            for _ in range(rounds):
                ours.append(_milliseconds(question.ours, statistics))
                theirs.append(_milliseconds(question.theirs, peer))
            allowed = [max(each, _UNHURRIED_MS) for each in theirs]
            name = f"{question.name}: of DuckDB's time or {_UNHURRIED_MS:.0f} ms"
            yield Figure(name, "", spread(ratio(ours, allowed)), 1.0)
            yield Figure("  from SQLite", "ms", spread(ours))
            yield Figure("  from DuckDB", "ms", spread(theirs))


def check(question: Question, statistics: Any, peer: Any) -> None:
    ours, theirs = question.ours(statistics), question.theirs(peer)
    if ours != theirs:
        raise RuntimeError(f"{question.name} differs: {ours[:3]} is not {theirs[:3]}")


def _milliseconds(work: Callable[[Any], object], argument: Any) -> float:
    begun = time.perf_counter()
    work(argument)
    return (time.perf_counter() - begun) * 1e3


def _profiles(base: Base, rounds: int) -> Iterator[Figure]:
    """A visitor's profile and interests, against one row by its primary key from the same file."""
    everybody = [alias(visitor) for visitor in range(base.size.visitors)]
    with closing(base.tracker()) as tracker, closing(_row_reader(base)) as sql:
        numbers = dict(sql.execute("SELECT key, id FROM visitors WHERE namespace = ?", (SERVICE,)))
        query = "SELECT knowledge FROM chronicles WHERE visitor = ?"
        contenders: dict[str, Callable[[str], object]] = {
            "row": lambda key: sql.execute(query, (numbers[key],)).fetchone(),
            "read": lambda key: (
                tracker.storage.read_profile(SERVICE, key),
                tracker.storage.read_knowledge(SERVICE, key),
            ),
            "interests": lambda key: tracker.visitor(key).profile.interests(top=5),
        }
        us: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(-1, 4 * rounds):
            for name, work in contenders.items():
                keys = people.pick(everybody, min(_PROFILES, len(everybody)))  # not those that were just read
                begun = time.perf_counter()
                for key in keys:
                    work(key)
                if turn >= 0:
                    us[name].append((time.perf_counter() - begun) / len(keys) * 1e6)
    name = "profile with what interests are made of, of a bare primary-key read"
    yield Figure(name, "", spread(ratio(us["read"], us["row"])), 3.0)
    yield Figure("  the bare read", "us", spread(us["row"]))
    yield Figure("  five interests worked out as well", "us", spread(us["interests"]))
    yield Figure("  that, of the bare read", "", spread(ratio(us["interests"], us["row"])))


def _row_reader(base: Base) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{base.folder / 'alias.db'}?mode=ro", uri=True, isolation_level=None)


def _requests(base: Base, rounds: int) -> Iterator[Figure]:
    """A request that reads a profile, on a copy of the base and on a database of its own."""
    everybody = [alias(visitor) for visitor in range(base.size.visitors)]
    pages = {"": asgi_peers.reading_a_profile, " knowing": asgi_peers.reading_everything}

    def who(number: int) -> list[str]:
        return people.pick(everybody, number)

    with (
        tempfile.TemporaryDirectory(prefix="alias-bench-") as folder,
        ExitStack() as started,
        asyncio.Runner() as runner,
    ):
        shutil.copyfile(base.folder / "alias.db", Path(folder) / "full.db")
        contenders: dict[str, Contender] = {}
        for name in ("full", "empty"):
            tracker = started.enter_context(closing(tracker_on(Path(folder) / f"{name}.db", raise_errors=True)))
            for what, page in pages.items():
                contenders[name + what] = asgi_peers.contender(runner, asgi_peers.behind_alias(page, tracker), who)
        us = measure(contenders, rounds=4 * rounds, requests=500)
    name = "request with all of it stored, of one on an empty database"
    yield Figure(name, "", spread(ratio(us["full"], us["empty"])), 1.15)
    yield Figure("  with all of it stored", "us", spread(us["full"]))
    knowing = spread(ratio(us["full knowing"], us["empty knowing"]))
    yield Figure("  where the page looks at knowledge as well, which strangers have none of", "", knowing)


def _files(base: Base) -> Iterator[Figure]:
    ours, plain = base.sizes()
    size = ours / plain
    yield Figure("size of the database, roll-ups included, of plain rows'", "", Spread(size, size, size), 1.6)
    events = (base.size.page_views + base.size.purchases) / 1e6
    each = ours / events / 1e6
    yield Figure("  for a million events", "MB", Spread(each, each, each))


def _writer(base: Base) -> Iterator[Figure]:
    """The writer's cost with what the first question about new days takes, against plain appends of the same."""
    tenths = base.tenths()
    costs = [(each.applied + each.rolled_up) / each.appended for each in tenths]
    last = costs[-1]
    yield Figure(
        "writer and roll-ups, of plain appends: the last tenth", "", Spread(last, min(costs), max(costs)), 10
    )
    rates = [each.events / (each.applied + each.rolled_up) for each in tenths]
    rate = Spread(rates[-1], min(rates), max(rates))
    yield Figure("events a second, roll-ups included", "", rate, 5_000, at_least=True)
    a_day = [1e3 * each.rolled_up * len(tenths) / base.size.days for each in tenths]
    yield Figure("  a day rolled up, by the first question about it", "ms", spread(a_day))
