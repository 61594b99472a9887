"""What a writer hands to a storage: a batch of events and changes, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from alias_middleware.events import Event, PageView
from alias_middleware.identity import stored_part
from alias_middleware.profile import ProfileChange
from alias_middleware.sealing import Sealing

_NEVER = 2**63
_SECOND_US = 1_000_000
_origin, _time_us = attrgetter("origin"), attrgetter("event.time_us")


class Origin(msgspec.Struct, frozen=True, cache_hash=True):
    """The service that events come from: its name, its namespace and the gap that ends its visits.

    `keyed` is the check value of its pseudonym keys, "" without any.
    """

    service: str
    namespace: str
    visit_gap_us: int
    keyed: str = ""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One event with where it comes from and the id that makes it count once."""

    origin: Origin
    event: Event
    id: int


class LateChange(NamedTuple):
    """A profile change that waited in the spool, with the id that makes it apply once.

    `keyed` is the check value of the pseudonym keys under which it was recorded, "" without any.
    """

    namespace: str
    change: ProfileChange
    id: int
    keyed: str = ""


class LateSealing(NamedTuple):
    """That a reason to keep a visitor's sealed alias began or ended; it takes effect any number of times."""

    namespace: str
    sealing: Sealing
    keyed: str = ""


class Span(NamedTuple):
    """The bytes of one spool segment that a batch covers."""

    start: int
    end: int


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What a writer hands over at once; all of it takes effect, or nothing.

    Entries and changes stand in the order they were read. `spans`: what of each segment the batch covers, from the
    position the storage has committed. `finished`: segments gone since, whose positions can be forgotten.
    `sealings`: whose aliases are to be kept sealed, as `sealing.fold` has it; none of requests begun at or before
    the visitor's erasure. `counts`: what to add to the counters. `unidentified`: page views without an alias by
    (origin, local day). `imported`: the entries were read from a log, not recorded live.
    """

    entries: list[Entry] = []
    changes: list[LateChange] = []
    sealings: list[LateSealing] = []
    spans: dict[str, Span] = {}
    finished: list[str] = []
    counts: dict[str, int] = {}
    unidentified: dict[tuple[Origin, int], int] = {}
    imported: bool = False

    def origins(self) -> list[Origin]:
        """Give the origins of entries and unidentified page views, each once, as they first came."""
        found = dict.fromkeys(map(_origin, self.entries))
        return list(found | dict.fromkeys(origin for origin, _ in self.unidentified))

    def earliest_us(self) -> int:
        """Give the moment of the earliest event."""
        return min(map(_time_us, self.entries), default=_NEVER)

    def keyings(self, origins: Iterable[Origin]) -> set[tuple[str, str]]:
        """Give the check values of the pseudonym keys that the batch was recorded under, with their namespaces.

        `origins`: the batch's.
        """
        keyings = {(origin.namespace, origin.keyed) for origin in origins}
        keyings.update((late.namespace, late.keyed) for late in self.changes)
        keyings.update((late.namespace, late.keyed) for late in self.sealings)
        return keyings

    def parted(self, origins: Iterable[Origin]) -> tuple[Batch, dict[tuple[str, str], str]]:
        """Give the batch with visitor keys as rows have them, and visitors by (namespace, key) as they are named.

        Only a site that has rotated its pseudonyms names anybody by more than his visitor key. `origins`: the
        batch's.
        """
        if not any(origin.keyed for origin in origins):
            return self, {}
        named: dict[tuple[str, str], str] = {}
        entries = []
        for entry in self.entries:
            key = entry.event.key
            stored = stored_part(key)
            if stored != key:
                named[entry.origin.namespace, stored] = key
                entry = replace(entry, event=replace(entry.event, key=stored))  # noqa: PLW2901
            entries.append(entry)
        return replace(self, entries=entries), named

    def first_views(self, not_before: Mapping[str, int] = MappingProxyType({})) -> dict[str, int]:
        """Give the second in which each service's earliest page view on the web lies: logs tell no more of it.

        Those before a service's moment in `not_before` are left out.
        """
        first: dict[str, int] = {}
        for entry in self.entries:
            if isinstance(entry.event, PageView) and entry.event.channel == "web":
                service, time_us = entry.origin.service, entry.event.time_us
                if time_us < first.get(service, _NEVER) and time_us >= not_before.get(service, 0):
                    first[service] = time_us
        return {service: time_us - time_us % _SECOND_US for service, time_us in first.items()}

    def changes_by_time(self) -> list[LateChange]:
        """Give the profile changes in the order in which they were made."""
        return sorted(self.changes, key=lambda late: late.change.time_us)


def by_person(entries: Iterable[Entry]) -> dict[str, dict[str, list[Entry]]]:
    """Group entries by namespace and visitor key."""
    people: dict[str, dict[str, list[Entry]]] = {}
    origin: Origin | None = None
    by_key: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.origin is not origin:  # most entries of a batch come from one
            origin = entry.origin
            by_key = people.setdefault(origin.namespace, {})
        key = entry.event.key
        if key in by_key:
            by_key[key].append(entry)
        else:
            by_key[key] = [entry]
    return people


class Outcome(msgspec.Struct):
    """What became of a batch's events. Together the numbers equal the batch's entries.

    `conflicts` counts, within `deduplicated`, copies of an order that disagreed on what was bought;
    `refused` counts late profile operations that no longer fitted their field; `taken_back` imported page views of
    earlier batches that are dropped now, because live recording turned out to have begun before them.
    """

    stored: int = 0
    deduplicated: int = 0
    dropped: Counter[str] = msgspec.field(default_factory=Counter)
    conflicts: int = 0
    refused: int = 0
    taken_back: int = 0

    def counts(self) -> dict[str, int]:
        """Give the outcome as counters to add."""
        dropped = self.dropped + Counter(live=self.taken_back)
        named = {
            "stored": self.stored - self.taken_back,
            "deduplicated": self.deduplicated,
            "order_conflicts": self.conflicts,
            "preferences_refused": self.refused,
            **{f"dropped.{reason}": number for reason, number in dropped.items()},
        }
        return {name: number for name, number in named.items() if number}
