"""The figures of the comparison: added time in interleaved rounds, and what is kept of answered pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import people
from benchmarks.compare.killed import kept
from benchmarks.compare.servers import event_counter, has_redis, redis_server
from benchmarks.compare.site import VISITORS, Site, Surroundings
from benchmarks.compare.table import APPENDED, KEPT, SNAPSHOTS
from benchmarks.compare.ways import BARE, WAYS, Way
from benchmarks.figures import Figure
from benchmarks.rounds import Contender, Spread, added, measure, spread


def compare_figures(
    folder: Path,
    *,
    ways: Sequence[Way] = WAYS,
    rounds: int = 21,
    requests: int = 300,
    kills: int = 3,
    answers: int = 3_000,
) -> Iterator[Figure]:
    """Lines for each library: the added time; kept of what was answered; and with Redis killed as well.

    What needs Redis is left out where there is none.
    """
    ways = [way for way in ways if has_redis() or not way.redis]
    times = _added(folder / "times", ways, rounds=rounds, requests=requests)
    for number, way in enumerate(ways):
        yield Figure(f"{way.framework}: {way.name}", "us", times[number])
        yield from _kept(folder / f"kept{number}", way, kills=kills, answers=answers)


def _added(folder: Path, ways: Sequence[Way], *, rounds: int, requests: int) -> list[Spread]:
    """Give what each way adds to the bare app of its framework; all of them take turns."""
    folder.mkdir()
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server(folder / "redis", appended=True))
        events = stack.enter_context(event_counter())
        sites = {}
        for name, build in [*BARE.items(), *((str(number), way.build) for number, way in enumerate(ways))]:
            place = folder / name
            place.mkdir()
            site = build(Surroundings(place, redis.port if redis else None, events))
            stack.callback(site.close)
            site.pages(range(VISITORS))
            sites[name] = _contender(site)
        us = measure(sites, rounds=rounds, requests=requests)
    return [spread(added(us, str(number), to=way.framework)) for number, way in enumerate(ways)]


def _contender(site: Site) -> Contender:
    def serve(requests: int) -> list[float]:
        spent = site.pages(people.SEEDS.choices(range(VISITORS), k=requests))
        site.settle()  # what goes on behind an answer does not disturb another's turn
        return spent

    return serve


def _kept(folder: Path, way: Way, *, kills: int, answers: int) -> Iterator[Figure]:
    shares: dict[str, list[float]] = {KEPT: []}
    with event_counter() as events:
        for turn in range(kills):
            for name, appended in (APPENDED, True), (SNAPSHOTS, False):
                place = folder / f"{turn}{appended}"
                place.mkdir(parents=True)
                with redis_server(place / "redis", appended=appended) as redis:
                    around = Surroundings(place, redis.port if redis else None, events)
                    if appended:
                        shares[KEPT].append(kept(way, around, answers))
                    if way.redis:
                        shares.setdefault(name, []).append(kept(way, around, answers, redis=redis))
    for name, per_cent in shares.items():
        yield Figure(f"  {name}", "%", spread(per_cent))
