"""All the memory storage has of one visitor, and what is recounted from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from alias_middleware.events import Event, Purchase
from alias_middleware.habits import Habits, habits_of
from alias_middleware.history import first_copies, without_cancelled
from alias_middleware.interests import Sums
from alias_middleware.profile import ProfileDocument, StoredProfile, encode_json
from alias_middleware.sealing import Seal
from alias_middleware.storage.base import Batch, Entry, Outcome, Scope
from alias_middleware.storage.replacing import (
    LiveTime,
    Precedence,
    Replacement,
    Stretch,
    to_sweep,
    without_replaced,
)


@dataclass
class Record:
    """All there is of one visitor."""

    document: ProfileDocument = field(default_factory=ProfileDocument)
    entries: list[Entry] = field(default_factory=list)
    erased_us: int | None = None
    seals: dict[str, Seal] = field(default_factory=dict)

    def profile(self) -> StoredProfile:
        """The visitor's documents, as a storage gives them."""
        return StoredProfile(
            preferences=encode_json(self.document.preferences),
            personal=encode_json(self.document.personal),
            consents=encode_json(self.document.consents),
        )

    def history(self, limit: int, before_us: int | None) -> list[Event]:
        """The latest counted events, newest first; those of one moment are not parted."""
        events = [
            replace(entry.event, begun_us=entry.event.time_us)
            for entry in sorted(self.counted(), key=when, reverse=True)
            if before_us is None or entry.event.time_us < before_us
        ]
        while 0 < limit < len(events) and events[limit].time_us == events[limit - 1].time_us:
            limit += 1
        return events[:limit]

    def counted(self) -> list[Entry]:
        """The visitor's events, of an order's copies only the one that counts."""
        purchases: dict[str, list[tuple[Purchase, int]]] = {}
        for entry in self.entries:
            if isinstance(entry.event, Purchase):
                purchases.setdefault(entry.origin.service, []).append((entry.event, entry.id))
        kept = {service: first_copies(copies) for service, copies in purchases.items()}
        return [
            entry
            for entry in self.entries
            if not isinstance(entry.event, Purchase)
            or kept[entry.origin.service][entry.event.order_id] is entry.event
        ]

    def begun_before_erasure(self, begun_us: int) -> bool:
        """Tell whether a request began before the visitor was erased."""
        return self.erased_us is not None and begun_us <= self.erased_us

    def copy_of_order(self, entry: Entry) -> Purchase | None:
        """Give the copy of the same order that counts so far, if there is one."""
        event = entry.event
        if isinstance(event, Purchase):
            for kept in self.counted():
                if (
                    isinstance(kept.event, Purchase)
                    and kept.event.order_id == event.order_id
                    and kept.origin.service == entry.origin.service
                ):
                    return kept.event
        return None

    def streams(self) -> dict[tuple[str, str], list[Event]]:
        """The counted events of each (service, channel), in the order of their times."""
        streams: dict[tuple[str, str], list[Event]] = {}
        for entry in sorted(self.counted(), key=when):
            streams.setdefault((entry.origin.service, entry.event.channel), []).append(entry.event)
        return streams

    def habits(self) -> Habits:
        """The visitor's habits: his counted events at all services, without cancelled orders."""
        events: dict[str, list[Event]] = {}
        for entry in self.counted():
            events.setdefault(entry.origin.service, []).append(entry.event)
        return habits_of(event for theirs in events.values() for event in without_cancelled(theirs))


class Timeline:
    """Since when services record live, and the stretches that logs stand for."""

    def __init__(self) -> None:
        """Know of nothing yet."""
        self._live: dict[str, LiveTime] = {}
        self._replaced: dict[str, list[Stretch]] = {}

    def live_since(self, service: str) -> int | None:
        """Give since when a service records live, None before."""
        live = self._live.get(service)
        return None if live is None else live.since_us

    def replace(self, service: str, stretch: Stretch, records: Iterable[Record]) -> int:
        """Have a log stand for a stretch of a service, and give the number of live page views that go."""
        swept = self._replaced.setdefault(service, [])
        asked = [Replacement(*stretch, swept=False), *(Replacement(*each, swept=True) for each in swept)]
        swept.append(stretch)
        return _take_out({service: to_sweep(asked, self.live_since(service))}, records)

    def admitted(self, batch: Batch, outcome: Outcome, records: Iterable[Record]) -> Batch:
        """Leave out the page views of a batch that do not count, and take back what does no more."""
        precedence = Precedence(self._live, self._replaced)
        batch = precedence.admitted(batch, outcome)
        begun = precedence.begun(batch)
        outcome.taken_back = _take_out(precedence.to_take_back(begun), records)
        self._live = self._live | begun
        return batch


def _take_out(stretches: Mapping[str, Sequence[Stretch]], records: Iterable[Record]) -> int:
    gone = 0
    for record in records:
        left = list(without_replaced(record.entries, stretches))
        gone += len(record.entries) - len(left)
        record.entries = left
    return gone


def sums_of(records: Iterable[Record]) -> dict[str, Sums]:
    """Add up by category what some visitors did."""
    sums: dict[str, Sums] = {}
    for record in records:
        for category, strength in record.habits().categories.items():
            before = sums.get(category, Sums(0.0, 0.0))
            sums[category] = Sums(before.recent + strength.recent, before.whole + strength.whole)
    return sums


def when(entry: Entry) -> tuple[int, int]:
    """Give the place of an entry among others."""
    return entry.event.time_us, entry.id


def concerns(scope: Scope, namespace: str) -> bool:
    """Tell whether a scope has the events of a namespace: a service may have had another before."""
    return scope.service is not None or scope.namespace == namespace
