"""Storages that each break one promise of the contract, as somebody's own might, and the check that finds it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from itertools import count

from msgspec.structs import replace

from alias_middleware.events import Event, Purchase
from alias_middleware.interests import Sums
from alias_middleware.profile import Operation, ProfileChange, StoredProfile
from alias_middleware.storage.base import Batch, Entry, Outcome
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.storage.outbox import Suppression


class LosesUpdates(MemoryStorage):
    """Reads the document, changes it and writes it back whole."""

    def change_profile(self, namespace: str, change: ProfileChange, *, timeout: float) -> int:
        scratch = MemoryStorage()
        before = json.loads(self.read_profile(namespace, change.key).preferences)
        threading.Event().wait(0.001)  # while others do the same
        old = tuple(Operation("set", "preferences", name, value) for name, value in before.items())
        refused = scratch.change_profile("", replace(change, operations=old + change.operations), timeout=timeout)
        after = json.loads(scratch.read_profile("", change.key).preferences)
        new = tuple(Operation("set", "preferences", name, value) for name, value in after.items())
        super().change_profile(namespace, replace(change, operations=new), timeout=timeout)
        return refused


class CountsTwice(MemoryStorage):
    """Gives every event an id of its own."""

    _ids = count(1)

    def apply(self, batch: Batch) -> Outcome:
        return super().apply(
            replace(batch, entries=[replace(entry, id=next(self._ids)) for entry in batch.entries])
        )


class AppliesHalf(MemoryStorage):
    """Counts in a transaction of its own, before it looks at the positions."""

    def apply(self, batch: Batch) -> Outcome:
        super().apply(Batch(counts=batch.counts))
        return super().apply(replace(batch, counts={}))


class ShortensVisits(MemoryStorage):
    """Takes the gap that ends a visit for the longest that does not."""

    def apply(self, batch: Batch) -> Outcome:
        return super().apply(replace(batch, entries=[self._shortened(entry) for entry in batch.entries]))

    def _shortened(self, entry: Entry) -> Entry:
        gap_us = entry.origin.visit_gap_us - 1
        return replace(entry, origin=replace(entry.origin, visit_gap_us=gap_us))


class Resurrects(MemoryStorage):
    """Looks at when an event happened, not at when its request began."""

    def apply(self, batch: Batch) -> Outcome:
        entries = [
            replace(entry, event=replace(entry.event, begun_us=entry.event.time_us)) for entry in batch.entries
        ]
        return super().apply(replace(batch, entries=entries))


class ForgetsSuppressions(MemoryStorage):
    """Deletes suppressions with all the rest of an erased visitor."""

    def suppressions(self, namespace: str, key: str) -> list[Suppression]:
        return [] if self.erased_at(namespace, key) else super().suppressions(namespace, key)


class OverwritesTheNewer(MemoryStorage):
    """Applies what comes late as if it were made now."""

    def apply(self, batch: Batch) -> Outcome:
        for late in batch.changes_by_time():
            self.change_profile(late.namespace, late.change, timeout=5)
        return super().apply(replace(batch, changes=[]))


class TellsBackwards(MemoryStorage):
    """Gives a history from its beginning."""

    def history(self, *arguments: object, **named: object) -> list[Event]:
        return super().history(*arguments, **named)[::-1]  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Order:
    namespace: str
    service: str
    key: str
    order_id: str


class KeepsTheFirstToArrive(MemoryStorage):
    """Ignores copies of an order that come later, also those that are older."""

    def __init__(self) -> None:
        super().__init__()
        self._known: set[_Order] = set()

    def apply(self, batch: Batch) -> Outcome:
        return super().apply(replace(batch, entries=[entry for entry in batch.entries if self._is_first(entry)]))

    def _is_first(self, entry: Entry) -> bool:
        if not isinstance(entry.event, Purchase):
            return True
        order = _Order(entry.origin.namespace, entry.origin.service, entry.event.key, entry.event.order_id)
        first = order not in self._known
        self._known.add(order)
        return first


class MeasuresWhoRefused(MemoryStorage):
    """Keeps the answer of a visitor and does not heed it."""

    def apply(self, batch: Batch) -> Outcome:
        entries = [replace(entry, event=self._before_any_refusal(entry.event)) for entry in batch.entries]
        return super().apply(replace(batch, entries=entries))

    def _before_any_refusal(self, event: Event) -> Event:
        return replace(event, time_us=event.time_us - 24 * 3600 * 1_000_000)


class MixesNamespaces(MemoryStorage):
    """Knows a visitor by his key alone."""

    def read_profile(self, namespace: str, key: str) -> StoredProfile:
        return super().read_profile("everybody", key)

    def change_profile(self, namespace: str, change: ProfileChange, *, timeout: float) -> int:
        return super().change_profile("everybody", change, timeout=timeout)


class NeverForgetsPositions(MemoryStorage):
    """Keeps the positions of segments that are gone."""

    def apply(self, batch: Batch) -> Outcome:
        return super().apply(replace(batch, finished=[]))


class TakesImportsForLive(MemoryStorage):
    """Does not look at where a batch comes from."""

    def apply(self, batch: Batch) -> Outcome:
        return super().apply(replace(batch, imported=False))


class LeavesTheErasedInTheSums(MemoryStorage):
    """Deletes a visitor's rows and not what he is counted in."""

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[str, dict[str, Sums]] = {}

    def erase(self, namespace: str, key: str, time_us: int) -> dict[str, int]:
        self._before[namespace] = self.category_sums(namespace)
        return super().erase(namespace, key, time_us)

    def category_sums(self, namespace: str) -> dict[str, Sums]:
        return self._before.get(namespace, {}) | super().category_sums(namespace)


BROKEN: dict[type[MemoryStorage], str] = {
    LosesUpdates: "increments_from_many_threads_all_count",
    CountsTwice: "an_event_counts_once",
    AppliesHalf: "a_stale_position_has_no_effect",
    ShortensVisits: "a_gap_ends_a_visit",
    Resurrects: "a_request_under_way_while_the_visitor_came_back",
    ForgetsSuppressions: "suppressions_survive_erasure",
    OverwritesTheNewer: "a_late_change_never_overwrites_a_newer_one",
    TellsBackwards: "history_is_newest_first",
    KeepsTheFirstToArrive: "of_an_orders_copies_the_least_counts",
    MeasuresWhoRefused: "a_regular_visitor_may_refuse_too",
    MixesNamespaces: "profiles_belong_to_a_namespace",
    NeverForgetsPositions: "positions_follow_the_spans",
    TakesImportsForLive: "a_service_is_live_from_its_first_page_view",
    LeavesTheErasedInTheSums: "the_erased_are_taken_out_of_everybodys_sums",
}
"""Each broken storage with the check of the contract that names what is wrong."""
