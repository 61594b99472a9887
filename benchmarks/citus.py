"""Citus: the storage on a small cluster against the same PostgreSQL alone. `python -m benchmarks.citus`.

All servers are on this machine, from the PostgreSQL that ALIAS_TEST_CITUS_PG_CONFIG names, and share its
processors: what is measured is what the way by the coordinator costs, not what more machines bring.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import islice

from alias_middleware.profile import Operation, ProfileChange
from alias_middleware.storage.base import Batch, Entry, Origin
from alias_middleware.storage.postgresql import PostgreSQLStorage
from alias_middleware.testing._contract_case import counted
from benchmarks import people
from benchmarks.base import GAP_US, event_of
from benchmarks.life import FIRST_DAY, Life, Size, alias
from benchmarks.rounds import Contender, measure, ratio, spread
from benchmarks.site import SERVICE
from tests.support.citus import citus_cluster, citus_programs
from tests.support.postgresql import KEY, postgresql_server

_SIZE = Size(page_views=100_000, purchases=3_000, visitors=5_000, days=30)
_BATCHES = (10_000, 500)
_ROUNDS = 10
_READS = 100
_SAFE = {"fsync": "on", "max_wal_size": "4GB", "shared_buffers": "256MB"}
_ORIGIN = Origin(SERVICE, SERVICE, GAP_US)

Storages = Mapping[str, PostgreSQLStorage]


def main() -> None:
    """Measure, and print how often the time of one server the cluster takes: median, least and most."""
    with ExitStack() as stack:
        cluster = stack.enter_context(citus_cluster(**_SAFE))
        alone = stack.enter_context(postgresql_server(citus_programs(), **_SAFE))
        storages = {
            name: stack.enter_context(closing(PostgreSQLStorage(url, secret_keys=(KEY,))))
            for name, url in (("alone", alone.url()), ("cluster", cluster.url()))
        }
        storages["alone"].migrate()
        storages["cluster"].migrate(distributed=True)
        for what, seconds in _measured(storages):
            slower = spread(ratio(seconds["cluster"], seconds["alone"]))
            each = ", ".join(f"{name} {spread(of).median * 1e3:.2f} ms" for name, of in seconds.items())
            print(f"{what}: {slower.median:.2f} ({slower.least:.2f} - {slower.most:.2f}); {each}", flush=True)


def _measured(storages: Storages) -> Iterator[tuple[str, Mapping[str, Sequence[float]]]]:
    """Give what was measured, with the seconds of each round by storage."""
    life = Life(_SIZE)
    entries = _entries(life)
    for size in _BATCHES:
        yield f"a batch of {size} events", _applied(storages, entries, size)
    since, until = FIRST_DAY.toordinal(), life.until.toordinal()
    figures: dict[str, list[float]] = defaultdict(list)
    kept: dict[str, list[float]] = defaultdict(list)
    for batch in _some(entries, 500):
        for name, storage in _in_turn(storages, len(figures["alone"])):
            storage.apply(Batch(entries=batch))
            figures[name].append(_seconds(counted, storage, SERVICE, since, until))
            kept[name].append(_seconds(counted, storage, SERVICE, since, until))
    yield "figures of 30 days, some made anew", figures
    yield "figures of 30 days, all kept", kept
    everybody = [alias(visitor) for visitor in range(1_000)]
    for what, work in (("a profile changed", _change), ("a profile read", _read)):
        contenders = {name: _each(storage, everybody, work) for name, storage in storages.items()}
        measured = measure(contenders, rounds=_ROUNDS, requests=_READS)
        yield what, {name: [us / 1e6 for us in rounds] for name, rounds in measured.items()}


def _applied(storages: Storages, entries: Iterator[Entry], size: int) -> Mapping[str, Sequence[float]]:
    seconds: dict[str, list[float]] = defaultdict(list)
    for number, batch in enumerate(_some(entries, size)):
        for name, storage in _in_turn(storages, number):
            seconds[name].append(_seconds(storage.apply, Batch(entries=batch)))
    return seconds


def _some(entries: Iterator[Entry], size: int) -> Iterator[list[Entry]]:
    return (list(islice(entries, size)) for _ in range(min(_ROUNDS, 50_000 // size)))


def _in_turn(storages: Storages, number: int) -> list[tuple[str, PostgreSQLStorage]]:
    return list(storages.items())[:: 1 if number % 2 else -1]


def _entries(life: Life) -> Iterator[Entry]:
    ids = random.Random(1)
    for day, steps in life.days():
        for step in steps:
            yield Entry(_ORIGIN, event_of(step, day.toordinal()), ids.getrandbits(63))


def _read(storage: PostgreSQLStorage, key: str) -> None:
    storage.read_profile(SERVICE, key)


def _change(storage: PostgreSQLStorage, key: str) -> None:
    now = time.time_ns() // 1_000
    operations = (Operation("set", "preferences", "font", "large"),)
    storage.change_profile(SERVICE, ProfileChange(key, now, now, operations), timeout=10)


def _each(
    storage: PostgreSQLStorage, everybody: Sequence[str], work: Callable[[PostgreSQLStorage, str], None]
) -> Contender:
    def serve(requests: int) -> list[float]:
        return [_seconds(work, storage, key) for key in people.pick(everybody, requests)]

    return serve


def _seconds(work: Callable[..., object], *values: object) -> float:
    begun = time.perf_counter()
    work(*values)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
