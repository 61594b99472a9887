"""What a visitor's raw events add up to, worked out anew: what checking a storage compares its rows with. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from alias_middleware.events import Event, PageView, Purchase, Refund, restore
from alias_middleware.habits import PAGES_KEPT, Habits, count, notes_of
from alias_middleware.history import Knowledge, Settlement, forms_visit, settle

_KNOWN = ("first_seen", "last_seen", "visits", "page_views", "orders", "revenue")


class Service(NamedTuple):
    """A service as events name it by number; visits end at gaps of more than `gap_us`."""

    name: str
    namespace: str
    gap_us: int


Place = tuple[int, str]
"""A service, and the order of a visitor at it."""


class Copy(NamedTuple):
    """The copy of an order that counts: its raw event, what is kept of it, and one of its refunds if there is any.

    `amount` is None where none is kept; a `refunded` of None is all of it.
    """

    order: Purchase
    service: int
    currency: str
    amount: int | None
    net: int
    cancelled: bool
    is_refund: bool
    refunded: int | None

    def tells(self, settlement: Settlement) -> bool:
        """Tell whether what is kept is what the order was, and what is left of it."""
        kept = self.currency, self.amount, self.net, self.cancelled
        amount = None if self.amount is None else self.order.amount
        return kept == (self.order.currency, amount, *settlement)


def copies_of(rows: Iterable[Sequence[Any]]) -> list[Copy]:
    """Give copies from rows: an order's moment, the body of its raw event, and the other fields of `Copy`."""
    copies = []
    for time_us, body, *kept in rows:
        order = restore("p", "", time_us=time_us, day=0, channel="web", body=body)
        if isinstance(order, Purchase):
            copies.append(Copy(order, *kept))
    return copies


class Life(msgspec.Struct):
    """What one visitor's raw events add up to."""

    namespace: str
    first_seen: int | None = None
    last_seen: int | None = None
    visits: int = 0
    page_views: int = 0
    orders: int = 0
    revenue: dict[str, int] = {}
    arrivals: dict[int, int] = {}
    """The first day by service."""
    last_us: dict[tuple[int, str], int] = {}
    """The last moment by service and channel."""
    habits: Habits = msgspec.field(default_factory=lambda: Habits({}, {}))
    """His sums in all categories; by path where he does not roam."""
    roams: bool = False
    """Whether he was on more paths than a row keeps: which of them it has is not to be known from his events."""
    refunds: dict[Place, list[int | None]] = {}
    """The refunds of each order; None stands for all of it."""
    unkept: set[Place] = set()
    """Orders of which nothing but the raw event was found yet."""
    orders_differ: bool = False
    """Whether more, or less, is kept of an order than is left of it."""

    def follow(self, event: Event, service: int, gap_us: int) -> None:
        """Follow the visitor to his next event at a service, in the order of days and times."""
        if forms_visit(event):
            self._see(event, service, gap_us)
        self.page_views += isinstance(event, PageView)
        if isinstance(event, Purchase):
            self.unkept.add((service, event.order_id))
        elif isinstance(event, Refund):
            self.refunds.setdefault((service, event.order_id), []).append(event.amount)
        else:
            count(self.habits, notes_of(event))
            self.roams = self.roams or len(self.habits.pages) > PAGES_KEPT
            if self.roams:
                self.habits.pages.clear()

    def _see(self, event: Event, service: int, gap_us: int) -> None:
        time_us = event.time_us
        self.first_seen = time_us if self.first_seen is None else min(self.first_seen, time_us)
        self.last_seen = time_us if self.last_seen is None else max(self.last_seen, time_us)
        self.arrivals.setdefault(service, event.day)
        before = self.last_us.get((service, event.channel))
        self.visits += before is None or time_us - before > gap_us
        self.last_us[service, event.channel] = time_us

    def settle(self, copies: Iterable[Copy]) -> None:
        """Add the visitor's orders, settled anew with their refunds, once all his events were followed."""
        refunds: dict[Place, list[int | None]] = defaultdict(list)
        orders: dict[Place, Copy] = {}
        for copy in copies:
            place = copy.service, copy.order.order_id
            orders[place] = copy
            if copy.is_refund:
                refunds[place].append(copy.refunded)
        for place, copy in orders.items():
            told = self.refunds.get(place, [])
            settlement = settle(copy.order.amount, told)
            same = copy.tells(settlement) and Counter(refunds[place]) == Counter(told)
            self.orders_differ = self.orders_differ or not same
            self._earn(copy.order, settlement)
        self.unkept -= orders.keys()

    def _earn(self, order: Purchase, settlement: Settlement) -> None:
        if settlement.net:
            self.revenue[order.currency] = self.revenue.get(order.currency, 0) + settlement.net
        if not settlement.cancelled:
            self.orders += 1
            count(self.habits, notes_of(order))

    def differing(self, known: Knowledge) -> Iterator[str]:
        """Name what is known, or kept of orders, otherwise."""
        for name in _KNOWN:
            if getattr(known, name) != getattr(self, name):
                yield f"knowledge.{name}"
        if self.orders_differ or self.unkept:
            yield "orders"
