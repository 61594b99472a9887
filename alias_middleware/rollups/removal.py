"""Taking one visitor out of a roll-up whose raw events are gone: out of every set and list that he is in.

Sums that name nobody stay as they are: page views, messages, hours, quantities, what was sold of an article.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyroaring import BitMap

from alias_middleware.rollups.model import Arrivals, Categories, Money, Pages, Presence, Products, Section, Sets


def remove_visitor(section: Section, body: Any, visitor: int) -> bool:
    """Take a visitor out of one decoded section of a roll-up; False when he was not in it."""
    removal = _REMOVALS.get(section)
    return removal is not None and removal(body, visitor)


def _discard(sets: list[BitMap], visitor: int) -> bool:
    having = [one for one in sets if visitor in one]
    for one in having:
        one.discard(visitor)
    return bool(having)


def _discard_coded(sets: Sets, visitor: int) -> bool:
    found = False
    for place, coded in enumerate(sets):
        visitors = BitMap.deserialize(coded)
        if visitor in visitors:
            found = True
            visitors.discard(visitor)
            sets[place] = visitors.serialize()
    return found


def _from_presence(presence: Presence, visitor: int) -> bool:
    found = _discard([presence.visitors, *presence.begun], visitor)
    while presence.begun and not presence.begun[-1]:
        presence.begun.pop()
    return found


def _from_arrivals(arrivals: Arrivals, visitor: int) -> bool:
    return _discard([arrivals.arrived], visitor)


def _from_pages(pages: Pages, visitor: int) -> bool:
    return sum(_discard_coded(page.visitors, visitor) for page in pages.paths.values()) > 0


def _from_categories(categories: Categories, visitor: int) -> bool:
    named = categories.names.values()
    return _discard([*(one.visitors for one in named), *(one.buyers for one in named)], visitor)


def _from_products(products: Products, visitor: int) -> bool:
    return sum(_discard_coded(product.buyers, visitor) for product in products.skus.values()) > 0


def _from_money(money: Money, visitor: int) -> bool:
    found = False
    for currency, orders in list(money.orders.items()):
        if visitor in orders.visitors:
            found = True
            left = [pair for pair in zip(orders.visitors, orders.nets, strict=True) if pair[0] != visitor]
            orders.visitors, orders.nets = [one for one, _ in left], [net for _, net in left]
            if not left:
                del money.orders[currency]
    return found


_REMOVALS: dict[str, Callable[[Any, int], bool]] = {
    "presence": _from_presence,
    "arrivals": _from_arrivals,
    "pages": _from_pages,
    "categories": _from_categories,
    "products": _from_products,
    "money": _from_money,
}
