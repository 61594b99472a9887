"""From the events of one service's local day to its roll-up: the one definition that every storage uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pyroaring import BitMap

from alias_middleware.events import Channel, Event, Item, Message, PageView
from alias_middleware.history import Settlement
from alias_middleware.rollups.counts import counts_of
from alias_middleware.rollups.model import QUARTER_US, Category, Orders, Page, Product, Rollup, add_money


class Shown(NamedTuple):
    """What a page view showed."""

    path: str
    title: str | None
    category: str | None


class Sighting(NamedTuple):
    """An event that shows a visitor at work: a page view with what it `shown`, a message, or anything else."""

    visitor: int
    time_us: int
    channel: Channel
    shown: Shown | None = None
    message: bool = False


class Order(NamedTuple):
    """An order of the day, settled with its refunds whenever they came."""

    visitor: int
    time_us: int
    channel: Channel
    currency: str
    settled: Settlement
    items: tuple[Item, ...]


Before = Mapping[tuple[int, Channel], int]
"""The last moment before the day of (visitor, channel), where it may lie within the visit gap."""


def roll_up(
    sightings: Iterable[Sighting], orders: Iterable[Order], before: Before, gap_us: int
) -> dict[Channel, Rollup]:
    """Roll up one service's day by channel; its arrivals, which no channel has, are not in it.

    `sightings` come sorted by (visitor, time); `gap_us` ends a visit.
    """
    channels: dict[Channel, _Day] = {}
    for sighting in sightings:
        channel = sighting.channel
        day = channels.get(channel)
        if day is None:
            day = channels[channel] = _Day(channel, before, gap_us)
        day.see(sighting)
    rolled = {channel: day.rollup() for channel, day in channels.items()}
    for order in orders:
        _sell(rolled.setdefault(order.channel, Rollup()), order)
    return rolled


class _Viewing:
    """The views of one page under one title and category. Visitors come in ascending order."""

    __slots__ = ("latest_us", "page_views", "visitors")

    def __init__(self) -> None:
        self.page_views = 0
        self.latest_us = 0
        self.visitors: list[int] = [-1]

    def add(self, visitor: int, time_us: int) -> None:
        self.page_views += 1
        self.latest_us = max(self.latest_us, time_us)
        if self.visitors[-1] != visitor:
            self.visitors.append(visitor)


class _Day:
    """One channel's day while its events go by."""

    def __init__(self, channel: Channel, before: Before, gap_us: int) -> None:
        self._channel = channel
        self._before = before
        self._gap_us = gap_us
        self._visitor = -1
        self._last_us = 0
        self._page_views = 0
        self._messages = 0
        self._newest_us = 0
        self._visitors: list[int] = []
        self._begun: dict[int, int] = {}
        self._quarters: dict[int, list[int]] = {}
        self._shown: dict[Shown, _Viewing] = {}

    def see(self, sighting: Sighting) -> None:
        visitor, time_us, channel, shown, message = sighting
        if visitor != self._visitor:
            self._visitor = visitor
            self._last_us = self._before.get((visitor, channel), time_us - self._gap_us - 1)
        quarter = self._quarters.setdefault(time_us // QUARTER_US, [0, 0])
        if time_us - self._last_us > self._gap_us:
            self._begun[visitor] = self._begun.get(visitor, 0) + 1
            quarter[1] += 1
        self._last_us = time_us
        self._newest_us = max(self._newest_us, time_us)
        if shown is not None:
            self._page_views += 1
            quarter[0] += 1
            viewing = self._shown.get(shown)
            if viewing is None:
                viewing = self._shown[shown] = _Viewing()
            viewing.add(visitor, time_us)
        if message:
            self._messages += 1
        if (shown is not None or message) and (not self._visitors or self._visitors[-1] != visitor):
            self._visitors.append(visitor)

    def rollup(self) -> Rollup:
        rollup = Rollup()
        presence = rollup.presence
        presence.page_views, presence.messages = self._page_views, self._messages
        presence.visitors = BitMap(self._visitors)
        presence.begun = counts_of(self._begun)
        presence.newest_us = self._newest_us
        rollup.hours.quarters = {
            quarter: (page_views, visits)
            for quarter, (page_views, visits) in sorted(self._quarters.items())
            if page_views or visits
        }
        for shown, viewing in self._shown.items():
            _show(rollup, shown, viewing)
        return rollup


def _show(rollup: Rollup, shown: Shown, viewing: _Viewing) -> None:
    visitors = BitMap(viewing.visitors[1:])
    titled = None if shown.title is None else (viewing.latest_us, shown.title)
    page = rollup.pages.paths.setdefault(shown.path, Page(0, BitMap(), None))
    page.add(Page(viewing.page_views, visitors, titled))
    if shown.category is not None:
        category = rollup.categories.names.setdefault(shown.category, Category())
        category.page_views += viewing.page_views
        category.visitors |= visitors


def _sell(rollup: Rollup, order: Order) -> None:
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
        product.add(
            Product(naming, item.quantity, item.sku not in skus, BitMap([order.visitor]), {order.currency: net})
        )
        skus.add(item.sku)
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
    return Sighting(visitor, event.time_us, event.channel, shown, isinstance(event, Message))
