"""What events add to habits and to everybody's sums, and what is taken back."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from alias_middleware.events import Purchase
from alias_middleware.habits import decode_habits
from alias_middleware.storage.tastes import Tastes
from alias_middleware.testing.histories import Teller

NOON = "2026-03-02T12:00"


@dataclass
class Somebody:
    """A visitor's row."""

    namespace: str = "portal"
    habits: bytes = b""


def order() -> Purchase:
    """Tell of an order of music."""
    event = Teller().purchase(NOON, "A", category="music").event
    assert isinstance(event, Purchase)
    return event


def test_views_and_carts_count_and_orders_wait() -> None:
    """An order counts when it is settled, not when it arrives."""
    tell, visitor, tastes = Teller(), Somebody(), Tastes()
    entries = [
        tell.view(NOON, category="news"),
        tell.track(NOON, "cart", category="music"),
        tell.track(NOON, "download", category="music"),
        tell.purchase(NOON, "A", category="sport"),
    ]
    tastes.note(visitor, entries)
    assert {place: whole for place, (_, whole) in tastes.sums.items()} == {
        ("portal", "news"): 1,
        ("portal", "music"): 3,
    }
    assert {name: each.whole for name, each in decode_habits(visitor.habits).categories.items()} == {
        "news": 1,
        "music": 3,
    }
    assert not tastes.lessens


def test_an_order_is_taken_back() -> None:
    """Nothing of it stays with the visitor, and the sums stand where they stood."""
    visitor, tastes = Somebody(), Tastes()
    tastes.order(visitor, order(), 1)
    tastes.order(visitor, order(), -1)
    assert decode_habits(visitor.habits).categories == {}
    assert tastes.sums == {("portal", "music"): [0.0, 0]}


def test_a_forgotten_visitor_takes_his_part_along() -> None:
    """What his row keeps is what the sums lose."""
    visitor, before, after = Somebody(), Tastes(), Tastes()
    before.order(visitor, order(), 1)
    after.forget("portal", visitor.habits)
    assert after.lessens
    kept = dict(zip(("recent", "whole"), before.sums["portal", "music"], strict=True))
    lost = dict(zip(("recent", "whole"), after.sums["portal", "music"], strict=True))
    assert lost == pytest.approx({name: -each for name, each in kept.items()})


def test_a_damaged_row_keeps_nobody_from_being_forgotten() -> None:
    """The sums then keep what he added to them."""
    tastes = Tastes()
    tastes.forget("portal", b"{no habits")
    assert tastes.sums == {}
