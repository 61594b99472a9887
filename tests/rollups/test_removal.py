"""Taking a visitor out of a roll-up whose raw events are gone."""

from __future__ import annotations

from pyroaring import BitMap

from alias_middleware.rollups.counts import counts_of
from alias_middleware.rollups.model import (
    SECTIONS,
    Arrivals,
    Categories,
    Category,
    Hours,
    Money,
    Orders,
    Page,
    Pages,
    Presence,
    Product,
    Products,
    Rollup,
)
from alias_middleware.rollups.removal import remove_visitor

EUR = {"EUR": 5}


def rollup(*visitors: int) -> Rollup:
    """A day on which each visitor did everything as often as his number says; sums are the same for any."""
    everybody, coded = BitMap(visitors), [BitMap(visitors).serialize()]
    products = {sku: Product((1, "A"), 9, 9, coded[:], EUR) for sku in "ab"}
    return Rollup(
        presence=Presence(9, 9, everybody.copy(), counts_of({visitor: visitor for visitor in visitors}), 9),
        arrivals=Arrivals(everybody.copy(), 9),
        hours=Hours({1: (9, 9)}),
        pages=Pages({"/": Page(9, coded[:], None), "/a": Page(9, coded[:], None)}),
        categories=Categories({"music": Category(9, everybody.copy(), everybody.copy(), EUR)}),
        products=Products(products),
        money=Money({"EUR": Orders([*visitors], [visitor * 10 for visitor in visitors])}, 9),
    )


def test_a_visitor_leaves_every_set_and_list() -> None:
    """What is left is what was there without him; sums that name nobody stay."""
    whole = rollup(1, 5, 2)
    found = {section for section in SECTIONS if remove_visitor(section, getattr(whole, section), 5)}
    assert whole == rollup(1, 2)
    assert found == set(SECTIONS) - {"hours"}


def test_of_a_stranger_nothing_changes() -> None:
    """And it is told, so that nothing need be written."""
    whole = rollup(1, 5, 2)
    assert not any(remove_visitor(section, getattr(whole, section), 7) for section in SECTIONS)
    assert whole == rollup(1, 5, 2)


def test_a_currency_nobody_paid_in_is_gone() -> None:
    """As if there had never been an order in it."""
    money = rollup(5).money
    assert remove_visitor("money", money, 5)
    assert money == Money({}, 9)
