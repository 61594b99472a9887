"""How the writer's cost grows: a tenth more on the large base, in turns with the first tenth on an empty one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from alias_middleware import Tracker
from alias_middleware.storage.base import Batch, Entry
from benchmarks.base import TENTHS, Base, batches_of, seconds_of, tracker_of
from benchmarks.figures import Figure
from benchmarks.life import FIRST_DAY, Life
from benchmarks.rounds import Spread, ratio, spread

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
    """What a million events more cost, their figures included, where ten are stored and where none are.

    Neither a slow hour of the machine nor a slow second of it can pass for growth: both sides take turns.
    """
    with (
        tempfile.TemporaryDirectory(prefix="alias-bench-") as name,
        closing(tracker_of(base.copy(Path(name)))) as full,
        closing(tracker_of(Path(name) / "first.db")) as empty,
    ):
        late, first = Side(full, [], []), Side(empty, [], [])
        _take_turns(base, late, first)
    whole = sum(late.seconds + late.totals) / sum(first.seconds + first.totals)
    name = "writer and roll-ups of a tenth more, of the first tenth on an empty base, in turns"
    yield Figure(name, "", Spread(whole, whole, whole), 1.5)
    writer = sum(late.seconds) / sum(first.seconds)
    stretches = ratio(_by_stretch(late.seconds), _by_stretch(first.seconds))
    yield Figure("  the writer alone", "", Spread(writer, min(stretches), max(stretches)))
    yield Figure("  a batch of the tenth more", "ms", spread([1e3 * each for each in late.seconds]))
    yield Figure("  a batch of the first tenth", "ms", spread([1e3 * each for each in first.seconds]))


def _take_turns(base: Base, late: Side, first: Side) -> None:
    """Give each side its tenth, batch by batch, and have its figures asked for."""
    size = base.size
    longer = Life(size.prolonged(TENTHS))
    more = batches_of(islice(longer.days(), size.days, None), size)
    beginning = batches_of(islice(Life(size).days(), size.days // TENTHS), size)
    for number, (new, old) in enumerate(zip(more, beginning, strict=False)):
        turns = [(late, new), (first, old)]
        for side, batch in turns if number % 2 else reversed(turns):
            side.take(batch)
    late.roll_up(longer)
    first.roll_up(longer)


def _by_stretch(seconds: list[float]) -> list[float]:
    return [sum(seconds[start : start + _STRETCH]) for start in range(0, len(seconds), _STRETCH)]
