"""PostgreSQL: the writer against a plain COPY of the same rows, a profile read against a bare SELECT."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg

from alias_middleware import Tracker
from benchmarks import people
from benchmarks.figures import Figure
from benchmarks.life import Size, alias
from benchmarks.postgresql_base import PostgreSQLBase, Tenth
from benchmarks.rounds import Contender, Spread, measure, ratio, spread
from benchmarks.site import SERVICE

_READS = 300
_READ = "SELECT preferences, personal, consents FROM profiles WHERE namespace = %s AND key = %s"
_EVERYBODYS = """
    INSERT INTO profiles
    SELECT v.namespace, v.key, p.not_before, p.refuses_measure_us, p.preferences, p.personal, p.consents, p.stamps,
        p.done
    FROM visitors v, (SELECT * FROM profiles LIMIT 1) p
    ON CONFLICT DO NOTHING
"""


def postgresql_figures(folder: Path, size: Size, *, rounds: int) -> Iterator[Figure]:
    """Measure on the base in `folder`, which is made where it is not there."""
    base = PostgreSQLBase(folder, size)
    base.build()
    yield from _writing(base.tenths())
    with (
        base.server() as server,
        closing(base.tracker(server)) as tracker,
        psycopg.connect(server.url(), autocommit=True) as plain,
    ):
        yield from _reading(tracker, plain, size, rounds)


def _writing(tenths: Sequence[Tenth]) -> Iterator[Figure]:
    """The writer's cost with what the first question about new days takes, against plain COPYs of the same."""
    costs = [(each.applied + each.rolled_up) / each.copied for each in tenths]
    later = costs[len(costs) // 2 :]
    yield Figure("writer and roll-ups, of a plain COPY of the same rows: the later half", "", spread(later), 12)
    keyed = [(each.applied + each.rolled_up) / each.copied_keyed for each in tenths]
    yield Figure("  of a COPY into a table that has a key, too", "", spread(keyed[len(keyed) // 2 :]))
    paid = [each.applied / each.copied for each in tenths]
    yield Figure("  the writer alone, of a plain COPY", "", spread(paid[len(paid) // 2 :]))
    grown = [cost / costs[0] for cost in costs]
    yield Figure(
        "  writer and roll-ups of the last tenth, of the first, each in plain COPYs of its time",
        "",
        Spread(grown[-1], min(grown), max(grown)),
    )
    last = tenths[len(tenths) // 2 :]
    yield Figure("  events a second, roll-ups aside", "", spread([each.events / each.applied for each in last]))
    yield Figure("  by the plain COPY", "", spread([each.events / each.copied for each in last]))


def _reading(tracker: Tracker, plain: psycopg.Connection, size: Size, rounds: int) -> Iterator[Figure]:
    """Read profiles, and the same rows by their primary key as psycopg's documentation has it, prepared."""
    everybody = [alias(visitor) for visitor in range(size.visitors)]
    with tracker.visitor(everybody[0]) as visitor:
        visitor.profile.update(font="large", size=4)
    plain.execute("SET search_path = alias_middleware")
    plain.execute(_EVERYBODYS)
    plain.execute("ANALYZE profiles")
    plain.prepare_threshold = 0
    kept = plain.cursor(binary=True)
    read = tracker.storage.read_profile
    contenders = {
        "bare": _each(everybody, lambda key: plain.execute(_READ, (SERVICE, key)).fetchone()),
        "kept": _each(everybody, lambda key: kept.execute(_READ, (SERVICE, key)).fetchone()),
        "profile": _each(everybody, lambda key: read(SERVICE, key)),
    }
    us = measure(contenders, rounds=rounds, requests=_READS)
    yield Figure(
        "profile read, of a bare SELECT by primary key", "", spread(ratio(us["profile"], us["bare"])), 1.6
    )
    yield Figure(
        "  of one by a cursor that is kept, with binary results", "", spread(ratio(us["profile"], us["kept"]))
    )
    yield Figure("  the profile read", "us", spread(us["profile"]))
    yield Figure("  the bare SELECT", "us", spread(us["bare"]))


def _each(everybody: Sequence[str], work: Callable[[str], object]) -> Contender:
    def serve(requests: int) -> list[float]:
        return [_seconds(partial(work, key)) for key in people.pick(everybody, requests)]

    return serve


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
