"""Whether a log's or the live page views of a time count, and what is left of a visitor when some go. Pure.

Before a service's first live page view a log's count, afterwards the live ones. So no page view stored from before
it is live: when an earlier live one arrives, those between the two can only be a log's, and are taken back. A live
one from more than a month before the one that came first has its time from a wrong clock: it counts, and takes
nothing back. Nor does any that comes later and is as early: what lies between may be live by then.

A replacement is a stretch of time of one service in which a log's count whatever else there is. Once it is swept,
every page view in it is a log's: so it is swept once, whatever other logs come for the same time, and live page
views that arrive later are dropped.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from functools import partial
from typing import Any, NamedTuple

from msgspec.structs import replace

from alias_middleware.events import Event, PageView
from alias_middleware.habits import bounded, decode_habits, encode_habits, habits_of, lessen
from alias_middleware.history import visit_starts, without_cancelled
from alias_middleware.local_time import from_micros
from alias_middleware.storage.base import Batch, Entry, Origin, Outcome
from alias_middleware.storage.chronicle import Chronicle, Presence

Stretch = tuple[int, int]
"""From one instant to before another, microseconds."""

_NO_VISIT = ("r", "u")
_LATEST_US = 31 * 86_400_000_000
"""So late a machine's spool may come. What says that it is later comes from a clock that was wrong."""


class Replacement(NamedTuple):
    """A stretch that a log stands for. `swept`: its live page views are gone."""

    since_us: int
    until_us: int
    swept: bool


class LiveTime(NamedTuple):
    """Since when a service records live, and the moment before which that is never found to be.

    Page views from between the two, if any are stored, come from a log; those from before may be live ones.
    """

    since_us: int
    earliest_us: int


class Precedence(NamedTuple):
    """Since when services record live, and the stretches that logs stand for; both by service."""

    live: Mapping[str, LiveTime]
    replaced: Mapping[str, Sequence[Stretch]]

    def admitted(self, batch: Batch, outcome: Outcome) -> Batch:
        """Leave out the page views that do not count: a log's of the live time, and live ones of a log's."""
        if not (self.live if batch.imported else self.replaced):
            return batch
        kept = [entry for entry in batch.entries if not is_replaceable(entry) or self._counts(entry, batch)]
        if dropped := len(batch.entries) - len(kept):
            outcome.dropped["live" if batch.imported else "replaced"] += dropped
        return replace(batch, entries=kept)

    def _counts(self, entry: Entry, batch: Batch) -> bool:
        service, time_us = entry.origin.service, entry.event.time_us
        replaced = within(time_us, self.replaced.get(service, ()))
        if not batch.imported:
            return not replaced
        live = self.live.get(service)
        return replaced or live is None or time_us < live.since_us

    def begun(self, batch: Batch) -> dict[str, LiveTime]:
        """Give since when services record live where an admitted batch shows that it is earlier than was known."""
        if batch.imported or all(map(partial(self._was_live, batch.earliest_us()), batch.origins())):
            return {}
        begun: dict[str, LiveTime] = {}
        first = batch.first_views({service: live.earliest_us for service, live in self.live.items()})
        for service, since_us in first.items():
            live = self.live.get(service)
            if live is None:
                begun[service] = LiveTime(since_us, since_us - _LATEST_US)
            elif since_us < live.since_us:
                begun[service] = live._replace(since_us=since_us)
        return begun

    def _was_live(self, time_us: int, origin: Origin) -> bool:
        live = self.live.get(origin.service)
        return live is not None and live.since_us <= time_us

    def to_take_back(self, begun: Mapping[str, LiveTime]) -> dict[str, list[Stretch]]:
        """Give the time by service in which all page views there are were imported and count no more.

        Never more than 31 days: a clock that was years behind must not cost what was imported of them.
        """
        return {
            service: list(_outside(self._only_imported(service, live.since_us), self.replaced.get(service, ())))
            for service, live in begun.items()
        }

    def _only_imported(self, service: str, since_us: int) -> Stretch:
        known = self.live.get(service)
        return since_us, since_us + _LATEST_US if known is None else known.since_us


class Trace(NamedTuple):
    """Where a raw event left its mark: the service's id, the channel, moment, local day and kind."""

    service: int
    channel: str
    time_us: int
    day: int
    kind: str


class Raw(NamedTuple):
    """A raw event as a storage keeps it; `body` is the storage's own."""

    day: int
    time_us: int
    id: int
    service: int
    channel: Any
    kind: str
    body: Any

    @property
    def trace(self) -> Trace:
        """Where it left its mark."""
        return Trace(self.service, self.channel, self.time_us, self.day, self.kind)


class Asked(NamedTuple):
    """What is to be swept: a service by its ids, and stretches; before `frozen_before`, by service, days stay."""

    services: frozenset[int]
    stretches: Sequence[Stretch]
    frozen_before: Mapping[int, int]

    def divide(self, rows: Iterable[Raw]) -> tuple[list[Raw], list[Raw]]:
        """Give the events that stay, and those that a log stands for; frozen days stay as they are."""
        left: list[Raw] = []
        gone: list[Raw] = []
        for row in rows:
            goes = (
                row.kind == "v"
                and row.channel == "web"
                and row.service in self.services
                and within(row.time_us, self.stretches)
                and row.day >= self.frozen_before[row.service]
            )
            (gone if goes else left).append(row)
        return left, gone


class Move(NamedTuple):
    """A visitor whose first day at a service is another one, or `to` no day any more."""

    service: int
    day: int
    to: int | None


def by_service(rows: Iterable[tuple[str, int, int]]) -> dict[str, list[Stretch]]:
    """Give the time by service that logs stand for, from rows of service and stretch."""
    found: dict[str, list[Stretch]] = {}
    for service, since_us, until_us in rows:
        found.setdefault(service, []).append((since_us, until_us))
    return found


def days_of(stretches: Iterable[Stretch]) -> tuple[int, int]:
    """Give the ordinals of the first and the last local day that stretches touch, in whatever zone."""
    moments = [moment for stretch in stretches for moment in stretch]
    if not moments:
        return 1, 0
    first, last = (from_micros(moment).astimezone(UTC).toordinal() for moment in (min(moments), max(moments)))
    return first - 1, last + 1


def arrivals_moved(before: Mapping[int, int], chronicle: Chronicle) -> Iterator[Move]:
    """Tell at which services a visitor's first day is another than `before`."""
    for service, day in before.items():
        presence = chronicle.presence.get(service)
        to = None if presence is None else presence.first_day
        if to != day:
            yield Move(service, day, to)


def to_sweep(replacements: Iterable[Replacement], live_us: int | None) -> list[Stretch]:
    """Give what has still to be swept, ascending and apart; before `live_us` nothing was recorded live."""
    if live_us is None:
        return []
    known = list(replacements)
    swept = [(each.since_us, each.until_us) for each in known if each.swept]
    asked = _united((each.since_us, each.until_us) for each in known if not each.swept)
    return [
        stretch for since_us, until_us in asked for stretch in _outside((max(since_us, live_us), until_us), swept)
    ]


def _outside(stretch: Stretch, others: Iterable[Stretch]) -> Iterator[Stretch]:
    """Give what of a stretch lies in none of the others, ascending."""
    since, until = stretch
    for other in _united(others):
        if since < other[0] < until:
            yield since, other[0]
        if other[0] < until:
            since = max(since, other[1])
    if since < until:
        yield since, until


def _united(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Join stretches that meet; ascending."""
    united: list[Stretch] = []
    for since, until in sorted(stretches):
        if united and since <= united[-1][1]:
            united[-1] = united[-1][0], max(until, united[-1][1])
        else:
            united.append((since, until))
    return united


def within(time_us: int, stretches: Iterable[Stretch]) -> bool:
    """Tell whether an instant lies in one of the stretches."""
    return any(since <= time_us < until for since, until in stretches)


def is_replaceable(entry: Entry) -> bool:
    """Tell whether a log could have an event, too: a page view on the web. Orders and messages are in no log."""
    return isinstance(entry.event, PageView) and entry.event.channel == "web"


def without_replaced(entries: Sequence[Entry], stretches: Mapping[str, Sequence[Stretch]]) -> Sequence[Entry]:
    """Leave out the live page views whose time, by service, a log stands for."""
    if not stretches:
        return entries
    return [
        entry
        for entry in entries
        if not (is_replaceable(entry) and within(entry.event.time_us, stretches.get(entry.origin.service, ())))
    ]


def habits_without(kept: bytes, left: Iterable[tuple[Hashable, Event]] | None, gone: Iterable[Event]) -> bytes:
    """Give a visitor's habits without page views that are `gone`, as his row keeps them.

    Worked out anew where all that is `left` is known, by service; else what is gone is taken out of them.
    """
    if left is None:
        habits = decode_habits(kept)
        lessen(habits, [event for event in gone if isinstance(event, PageView)])
    else:
        services: dict[Hashable, list[Event]] = {}
        for service, event in left:
            services.setdefault(service, []).append(event)
        habits = habits_of(event for theirs in services.values() for event in without_cancelled(theirs))
    return encode_habits(bounded(habits))


def withdraw(
    chronicle: Chronicle, left: Sequence[Trace], gone: Sequence[Trace], gaps_us: Mapping[int, int], *, whole: bool
) -> None:
    """Take page views out of what a visitor's row keeps; `gaps_us`: visit gaps by service id.

    `left` and `gone` are his raw events, all there ever were where `whole`: then what he began with is worked out
    anew. Else older ones were purged, what he began with stays, and no purged one is within a visit gap of `gone`.
    """
    chronicle.page_views -= len(gone)
    for service in sorted({trace.service for trace in gone}):
        before = [*left, *gone]
        chronicle.visits += _visits(left, service, gaps_us) - _visits(before, service, gaps_us)
        shown = [trace for trace in left if trace.service == service and trace.kind not in _NO_VISIT]
        if whole and not shown:
            del chronicle.presence[service]
        else:
            _withdraw_from(chronicle.presence[service], shown, whole=whole)
    present = chronicle.presence.values()
    chronicle.first_seen = min((one.first_us for one in present), default=None)
    chronicle.last_seen = max((moment for one in present for moment in one.last_us.values()), default=None)
    viewed = [trace.time_us for trace in left if trace.kind == "v"]
    if viewed or whole:
        chronicle.last_page = max(viewed, default=None)
    if whole:
        chronicle.days = Chronicle().days
        for trace in left:
            chronicle.span(trace.day, trace.day)


def _withdraw_from(presence: Presence, shown: Sequence[Trace], *, whole: bool) -> None:
    """Move where a visitor's events at one service begin, and where those on the web end."""
    last_us: dict[str, int] = {}
    for trace in shown:
        last_us[trace.channel] = max(trace.time_us, last_us.get(trace.channel, trace.time_us))
    if whole:
        first = min(shown, key=lambda trace: trace.time_us)
        presence.first_us, presence.first_day, presence.last_us = first.time_us, first.day, last_us
    else:
        presence.last_us |= last_us


def _visits(traces: Iterable[Trace], service: int, gaps_us: Mapping[int, int]) -> int:
    """Count the visits on the web that raw events make."""
    times = sorted(
        trace.time_us
        for trace in traces
        if trace.service == service and trace.channel == "web" and trace.kind not in _NO_VISIT
    )
    return len(visit_starts(times, gaps_us[service]))
