"""Which copy of an order counts, and what its refunds leave of it."""

from __future__ import annotations

from alias_middleware.events import Purchase
from alias_middleware.history import Knowledge, Settlement
from alias_middleware.storage.base import Outcome
from alias_middleware.storage.settling import Kept, settle_order
from alias_middleware.testing.histories import Teller

NOON = "2026-03-02T12:00"


def test_a_refund_waits_for_its_order() -> None:
    """Without an order nothing is settled; when it comes, what was refunded before counts."""
    tell, outcome, knowledge = Teller(), Outcome(), Knowledge()
    assert settle_order(knowledge, None, [tell.refund(NOON, "A", 1)], (), outcome) is None
    settled = settle_order(knowledge, None, [tell.purchase(NOON, "A")], (1,), outcome)
    assert settled is not None
    assert (settled.settlement, settled.is_new) == (Settlement(2_999_999, False), True)
    assert (knowledge.orders, knowledge.revenue, outcome.stored) == (1, {"EUR": 2_999_999}, 1)


def test_an_earlier_copy_takes_the_place_of_a_stored_one() -> None:
    """Knowledge moves from what the order was to what it is; the copies that differ are conflicts."""
    tell, outcome = Teller(), Outcome()
    stored = tell.purchase("2026-03-02T13:00", "A", "4.00")
    knowledge = Knowledge(orders=1, revenue={"EUR": 4_000_000})
    earlier = tell.purchase(NOON, "A", "3.00", currency="CHF")
    settled = settle_order(knowledge, Kept(stored, Settlement(4_000_000, False)), [earlier, stored], (), outcome)
    assert settled is not None
    assert isinstance(settled.entry.event, Purchase)
    assert settled.entry is earlier
    assert (knowledge.orders, knowledge.revenue) == (1, {"CHF": 3_000_000})
    assert (outcome.stored, outcome.deduplicated, outcome.conflicts) == (0, 2, 1)


def test_a_later_copy_changes_nothing() -> None:
    """The stored one stays."""
    tell, outcome = Teller(), Outcome()
    stored = tell.purchase(NOON, "A")
    knowledge = Knowledge(orders=1, revenue={"EUR": 3_000_000})
    kept = Kept(stored, Settlement(3_000_000, False))
    settled = settle_order(knowledge, kept, [tell.purchase("2026-03-02T13:00", "A")], (), outcome)
    assert settled is not None
    assert (settled.entry, settled.is_new) == (stored, False)
    assert (knowledge.orders, knowledge.revenue, outcome.conflicts) == (1, {"EUR": 3_000_000}, 0)
