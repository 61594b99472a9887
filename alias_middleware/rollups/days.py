"""From the events of one service's local day to its roll-up: the one definition that every storage uses."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pyroaring import BitMap

from alias_middleware.events import Event, Item, Message, PageView
from alias_middleware.history import Settlement
from alias_middleware.rollups.counts import counts_of
from alias_middleware.rollups.model import QUARTER_US, Category, Orders, Page, Product, Rollup, add_money


class Shown(NamedTuple):
    """What a page view showed."""

    path: str
    title: str | None
    category: str | None


Sighting = tuple[int, int, Shown | None, bool]
"""An event that shows a visitor at work: visitor, time, what a page view showed, whether it is a message.

A plain tuple: there is one for every event.
"""


class Order(NamedTuple):
    """An order of the day, settled with its refunds whenever they came."""

    visitor: int
    time_us: int
    currency: str
    settled: Settlement
    items: tuple[Item, ...]


Before = Mapping[int, int]
"""The last moment before the day of visitors, where it may lie within the visit gap."""


def roll_up(sightings: Iterable[Sighting], orders: Iterable[Order], before: Before, gap_us: int) -> Rollup:
    """Roll up one channel of a service's day; its arrivals, which no channel has, are not in it.

    `sightings` come sorted by (visitor, time); `gap_us` ends a visit.
    """
    rollup = Rollup()
    _watch(rollup, sightings, before, gap_us)
    sold: dict[str, set[int]] = {}
    for order in orders:
        _sell(rollup, order, sold)
    for sku, buyers in sold.items():
        rollup.products.skus[sku].buyers = [BitMap(buyers).serialize()]
    return rollup


def _watch(rollup: Rollup, sightings: Iterable[Sighting], before: Before, gap_us: int) -> None:
    """Count views, messages and visits. Written for speed: a busy day has a million events."""
    shown_to: defaultdict[Shown, list[int]] = defaultdict(list)
    latest: dict[Shown, int] = {}
    views: list[int] = []
    begun: list[int] = []
    starts: list[int] = []
    writers: list[int] = []
    current, last_us, newest_us = -1, 0, 0
    for visitor, time_us, shown, message in sightings:
        if visitor != current:
            newest_us = max(newest_us, last_us)
            current = visitor
            last_us = before.get(visitor, time_us - gap_us - 1)
        if time_us - last_us > gap_us:
            begun.append(visitor)
            starts.append(time_us // QUARTER_US)
        last_us = time_us
        if shown is not None:
            shown_to[shown].append(visitor)
            views.append(time_us // QUARTER_US)
            if latest.get(shown, 0) < time_us:
                latest[shown] = time_us
        elif message:
            writers.append(visitor)
    presence = rollup.presence
    presence.page_views, presence.messages = len(views), len(writers)
    presence.begun = counts_of(Counter(begun))
    presence.newest_us = max(newest_us, last_us)
    presence.visitors = BitMap(writers)
    for shown, viewers in shown_to.items():
        presence.visitors |= _show(rollup, shown, viewers, latest.get(shown, 0))
    of_views, of_visits = Counter(views), Counter(starts)
    quarters = sorted(of_views.keys() | of_visits.keys())
    rollup.hours.quarters = {quarter: (of_views[quarter], of_visits[quarter]) for quarter in quarters}


def _show(rollup: Rollup, shown: Shown, viewers: list[int], latest_us: int) -> BitMap:
    """Count the views of a page under one title and category, and give who they were."""
    visitors = BitMap(viewers)
    titled = None if shown.title is None else (latest_us, shown.title)
    page = rollup.pages.paths.setdefault(shown.path, Page(0, [], None))
    page.add(Page(len(viewers), [visitors.serialize()], titled))
    if shown.category is not None:
        category = rollup.categories.names.setdefault(shown.category, Category())
        category.page_views += len(viewers)
        category.visitors |= visitors
    return visitors


def _sell(rollup: Rollup, order: Order, sold: dict[str, set[int]]) -> None:
    """Count an order. Its refunds are shared over its lines, so that lines add up to what is left of the order."""
    money = rollup.money
    if order.settled.cancelled:
        money.cancelled += 1
        return
    orders = money.orders.setdefault(order.currency, Orders())
    orders.visitors.append(order.visitor)
    orders.nets.append(order.settled.net)
    skus = set()
    for item, net in zip(order.items, line_nets(order.items, order.settled.net), strict=True):
        naming = order.time_us, item.name
        product = rollup.products.skus.setdefault(item.sku, Product(naming))
        product.add(Product(naming, item.quantity, item.sku not in skus, [], {order.currency: net}))
        skus.add(item.sku)
        sold.setdefault(item.sku, set()).add(order.visitor)
        if item.category is not None:
            category = rollup.categories.names.setdefault(item.category, Category())
            category.buyers.add(order.visitor)
            add_money(category.revenue, {order.currency: net})


def line_nets(items: Iterable[Item], net: int) -> list[int]:
    """Share what is left of an order over its lines, in proportion to their amounts, to the last millionth."""
    amounts = [item.amount for item in items]
    whole = sum(amounts)
    shares, reached, given = [], 0, 0
    for amount in amounts:
        reached += amount
        upto = net * reached // whole if whole else 0
        shares.append(upto - given)
        given = upto
    return shares


def sighting_of(event: Event, visitor: int) -> Sighting:
    """Make a sighting of an event that shows the visitor at work."""
    shown = Shown(event.path, event.title, event.category) if isinstance(event, PageView) else None
    return visitor, event.time_us, shown, isinstance(event, Message)
