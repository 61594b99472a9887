"""Which copy of an order counts, and what its refunds leave of it: pure, for every storage that keeps both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from alias_middleware.events import Purchase, Refund
from alias_middleware.history import Knowledge, Settlement, settle
from alias_middleware.storage.base import Entry, Outcome


class OrderPlace(NamedTuple):
    """What names an order: unique per service and visitor."""

    service: int
    key: str
    order_id: str


class Kept(NamedTuple):
    """The stored copy of an order, which counts so far."""

    entry: Entry
    settlement: Settlement


class Settled(NamedTuple):
    """The copy of an order that counts now, and what is left of it. `is_new`: it came with this batch."""

    entry: Entry
    settlement: Settlement
    is_new: bool


def settle_order(
    knowledge: Knowledge,
    kept: Kept | None,
    entries: Sequence[Entry],
    refunded: Sequence[int | None],
    outcome: Outcome,
) -> Settled | None:
    """Settle what a batch says of one order, move knowledge and count what became of its copies.

    `refunded`: the amounts refunded before. None when there is no order yet: its refunds wait for it.
    """
    winner = _winner(kept, entries, outcome)
    entry = winner or (kept.entry if kept else None)
    if entry is None or not isinstance(entry.event, Purchase):
        return None
    new = [each.event.amount for each in entries if isinstance(each.event, Refund)]
    order = entry.event
    settlement = settle(order.amount, [*refunded, *new])
    if kept is not None and isinstance(kept.entry.event, Purchase):
        knowledge.orders -= not kept.settlement.cancelled
        knowledge.earn(kept.entry.event.currency, -kept.settlement.net)
    knowledge.orders += not settlement.cancelled
    knowledge.earn(order.currency, settlement.net)
    return Settled(entry, settlement, winner is not None)


def _winner(kept: Kept | None, entries: Sequence[Entry], outcome: Outcome) -> Entry | None:
    """The new copy of an order that is to count, None when there is none or the stored one stays."""
    copies = [entry for entry in entries if isinstance(entry.event, Purchase)]
    if not copies:
        return None
    least = min(copies, key=_when)
    counted = kept.entry if kept is not None else least
    outcome.stored += kept is None
    outcome.deduplicated += len(copies) - (kept is None)
    outcome.conflicts += sum(_differ(copy, counted) for copy in copies)
    return least if kept is None or _when(least) < _when(kept.entry) else None


def _when(entry: Entry) -> tuple[int, int]:
    return entry.event.time_us, entry.id


def _differ(copy: Entry, counted: Entry) -> bool:
    one, other = copy.event, counted.event
    return isinstance(one, Purchase) and isinstance(other, Purchase) and not one.same_order(other)
