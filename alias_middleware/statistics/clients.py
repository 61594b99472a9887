"""A page of visitors with what their whole history adds up to."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from alias_middleware.history import Knowledge, revenue_of
from alias_middleware.local_time import from_micros

Order = Literal["first_seen", "last_seen", "visits", "page_views", "orders", "revenue"]
"""What clients can be ordered by: the highest, or latest, first; equal ones by key."""


class Place(NamedTuple):
    """The last row of a page: its value and its visitor's key. The next page follows it."""

    value: int
    key: str

    def __repr__(self) -> str:  # the key may be the alias
        return f"<Place at {self.value}>"


class Client(msgspec.Struct, frozen=True):
    """One visitor. Times are aware, in UTC; money is exact."""

    visitor: str
    first_seen: datetime | None
    last_seen: datetime | None
    visits: int
    page_views: int
    orders: int
    revenue: dict[str, Decimal]


class Clients(msgspec.Struct, frozen=True, kw_only=True):
    """A page of visitors. `after`: what to ask the next page with, None on the last."""

    namespace: str
    order_by: Order
    currency: str
    rows: list[Client]
    after: str | None


def check_order(order_by: str) -> None:
    """Check the name of an order.

    Raises:
        ValueError: it is none.
    """
    if order_by not in get_args(Order):
        raise ValueError(f"order_by is one of {', '.join(get_args(Order))}")


def client_of(key: str, knowledge: Knowledge) -> Client:
    """Lay out one visitor."""
    first, last = knowledge.first_seen, knowledge.last_seen
    return Client(
        visitor=key,
        first_seen=None if first is None else from_micros(first),
        last_seen=None if last is None else from_micros(last),
        visits=knowledge.visits,
        page_views=knowledge.page_views,
        orders=knowledge.orders,
        revenue=revenue_of(knowledge),
    )


def place_of(key: str, knowledge: Knowledge, order_by: Order, currency: str) -> Place:
    """Give a visitor's place in an order; what he has not counts as 0."""
    value: Any = getattr(knowledge, order_by)
    if order_by == "revenue":
        value = knowledge.revenue.get(currency)
    return Place(value or 0, key)


def cursor_of(place: Place) -> str:
    """Write a place as text that needs no quoting in a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def read_cursor(after: str) -> Place:
    """Read a place.

    Raises:
        ValueError: it was not written by `cursor_of`.
    """
    try:
        raw = base64.urlsafe_b64decode(after.encode() + b"=" * (-len(after) % 4))
        return msgspec.json.decode(raw, type=Place)
    except (msgspec.DecodeError, binascii.Error, UnicodeError) as error:
        raise ValueError("after is what an earlier page gave as its own") from error
