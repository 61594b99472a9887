"""What visitors' raw events add up to, worked out anew: what checking a storage compares its rows with. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import msgspec

from alias_middleware.history import Knowledge, settle

Who = TypeVar("Who", bound=Hashable)
"""How a storage names a visitor."""

_KNOWN = ("first_seen", "last_seen", "visits", "page_views", "orders", "revenue")


class Life(msgspec.Struct):
    """What one visitor's raw events add up to."""

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

    def see(self, time_us: int, day: int, service: int, channel: str, gap_us: int) -> None:
        """Follow the visitor to his next event at a service, in the order of days and times."""
        self.first_seen = time_us if self.first_seen is None else min(self.first_seen, time_us)
        self.last_seen = time_us if self.last_seen is None else max(self.last_seen, time_us)
        self.arrivals.setdefault(service, day)
        before = self.last_us.get((service, channel))
        self.visits += before is None or time_us - before > gap_us
        self.last_us[service, channel] = time_us

    def differing(self, known: Knowledge) -> Iterator[str]:
        """Name what is known otherwise."""
        for name in _KNOWN:
            if getattr(known, name) != getattr(self, name):
                yield f"knowledge.{name}"


class Refunded(NamedTuple):
    """An order that counts, with one of its refunds, if there is any: an `amount` of None is all of it."""

    who: Hashable
    service: int
    order_id: str | bytes
    currency: str
    amount: int
    is_refund: bool
    refunded: int | None


def settle_orders(lives: Mapping[Who, Life], rows: Iterable[Refunded]) -> None:
    """Add every visitor's orders, settled anew with their refunds."""
    refunds: dict[tuple[object, ...], list[int | None]] = defaultdict(list)
    orders: dict[tuple[object, ...], Refunded] = {}
    for row in rows:
        orders[row[:3]] = row
        if row.is_refund:
            refunds[row[:3]].append(row.refunded)
    for place, order in orders.items():
        net, cancelled = settle(order.amount, refunds[place])
        life = lives[order.who]  # type: ignore[index]
        life.orders += not cancelled
        if net:
            life.revenue[order.currency] = life.revenue.get(order.currency, 0) + net
