"""How the writer's cost grows: the last tenth of the large base, in turns with the first on an empty database."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from alias_middleware import Tracker
from alias_middleware.storage.base import Batch, Entry
from benchmarks.base import Base, batches_of, seconds_of
from benchmarks.figures import Figure
from benchmarks.life import FIRST_DAY, Day, Life
from benchmarks.rounds import Spread, ratio, spread
from benchmarks.site import job_on

_STRETCH = 10
"""Batches that are compared as one: every few batches one is dearer, which moves the log into the file."""


class Side(NamedTuple):
    """A database that a tenth goes into. `seconds`: what each batch took; `totals`: the first figures of it."""

    tracker: Tracker
    seconds: list[float]
    totals: list[float]

    def take(self, batch: list[Entry]) -> None:
        self.seconds.append(seconds_of(lambda: self.tracker.storage.apply(Batch(entries=batch))))

    def roll_up(self, life: Life) -> None:
        self.totals.append(seconds_of(lambda: self.tracker.statistics.summary(FIRST_DAY, life.until)))


def growth_figures(base: Base) -> Iterator[Figure]:
    """What the tenth million events cost, their figures included, and what the first.

    Neither a slow hour of the machine nor a slow second of it can pass for growth: both sides take turns.
    """
    with (
        tempfile.TemporaryDirectory(prefix="alias-bench-") as name,
        closing(job_on(base.copy_before_last_tenth(Path(name)))) as full,
        closing(job_on(Path(name) / "first.db")) as empty,
    ):
        late, first = Side(full, [], []), Side(empty, [], [])
        _take_turns(base, late, first)
        _check(base, full)
    whole = sum(late.seconds + late.totals) / sum(first.seconds + first.totals)
    name = "writer and roll-ups of the last tenth, of the first's, in turns"
    yield Figure(name, "", Spread(whole, whole, whole), 1.5)
    writer = sum(late.seconds) / sum(first.seconds)
    stretches = ratio(_by_stretch(late.seconds), _by_stretch(first.seconds))
    yield Figure("  the writer alone", "", Spread(writer, min(stretches), max(stretches)))
    yield Figure("  a batch of the last tenth", "ms", spread([1e3 * each for each in late.seconds]))
    yield Figure("  a batch of the first tenth", "ms", spread([1e3 * each for each in first.seconds]))


def _take_turns(base: Base, late: Side, first: Side) -> None:
    """Give each side its tenth, batch by batch, and have its figures asked for."""
    size, tenths = base.size, base.tenths()
    before = sum(tenth.events for tenth in tenths[:-1])
    last = batches_of(_after(before, Life(size).days()), size)
    beginning = batches_of(Life(size).days(), size)
    for number, (new, old) in enumerate(zip(last, beginning, strict=False)):
        turns = [(late, new), (first, old)]
        for side, batch in turns if number % 2 else reversed(turns):
            side.take(batch)
    late.roll_up(base.life)
    first.roll_up(base.life)


def _check(base: Base, full: Tracker) -> None:
    """Check that what was taken last is the base's own last tenth: its cost is that of nothing else."""
    with closing(base.tracker()) as tracker:
        ours, bases = (one.statistics.summary(FIRST_DAY, base.life.until) for one in (full, tracker))
    if (ours.page_views, ours.visits, ours.orders) != (bases.page_views, bases.visits, bases.orders):
        raise RuntimeError("the last tenth is not the base's")


def _after(events: int, days: Iterable[Day]) -> Iterator[Day]:
    """Leave the first events out."""
    for day, steps in days:
        if events < len(steps):
            yield day, steps[events:]
        events = max(0, events - len(steps))


def _by_stretch(seconds: list[float]) -> list[float]:
    return [sum(seconds[start : start + _STRETCH]) for start in range(0, len(seconds), _STRETCH)]
