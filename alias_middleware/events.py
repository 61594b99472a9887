"""What is recorded about a visitor: the events and their coding, money, and what counts as a page view.

An event carries its visitor key, its time and its local day; the service it belongs to stands once in the
header of the spool segment that holds it. What a history of events adds up to is `history`'s business.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

import msgspec

from alias_middleware.discreet import Discreet
from alias_middleware.errors import EventError
from alias_middleware.local_time import from_micros, to_micros
from alias_middleware.money import LARGEST_AMOUNT, from_millionths, to_millionths

Channel = Literal["web", "sms"]

PAGE_TYPES = frozenset({"text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml", "text/vnd.wap.wml"})
"""Media types that make an answer a page, unless the settings say otherwise."""

PATH_LIMIT = 512
TITLE_LIMIT = 256
NAME_LIMIT = 64
ORDER_ID_LIMIT = 128
MESSAGE_LIMIT = 2048
PROPERTIES_LIMIT = 32
ITEMS_LIMIT = 1000

_LARGEST_INTEGER = 2**63 - 1
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_EARLIEST_YEAR, _LATEST_YEAR = 1970, 9999


class Event(Discreet, msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """What every event has: whose it is, when it happened and when the request that caused it began.

    Times are microseconds since the epoch (UTC); `day` is the ordinal of the local day of `time_us`.
    """

    key: str
    time_us: int
    begun_us: int
    day: int
    channel: Channel

    def __repr__(self) -> str:  # reporters of errors show the locals of every frame, and `key` may be the alias
        return f"<{type(self).__name__} at {self.time_us}>"

    @property
    def time(self) -> datetime:
        """The moment of the event, as an aware UTC datetime."""
        return from_micros(self.time_us)


class PageView(Event, frozen=True, tag="v"):
    """One page shown to a visitor."""

    path: str
    title: str | None = None
    category: str | None = None


class TrackedEvent(Event, frozen=True, tag="t"):
    """Something the app found worth telling, under a name of its own."""

    name: str
    category: str | None = None
    properties: dict[str, Any] = {}


class Item(msgspec.Struct, frozen=True, array_like=True):
    """One line of an order.

    `price` is the price of one unit in the order's currency, an exact `Decimal` (or `int`) of at most six
    decimal places; a `float` is refused because it is not exact.

    Raises:
        EventError: a field can't be recorded; `.field` names it.
    """

    sku: str
    name: str
    category: str | None = None
    price: Decimal = Decimal(0)
    quantity: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.sku, str) or not self.sku:
            raise EventError("an item needs one: a non-empty str", field="sku")
        if not isinstance(self.name, str) or not isinstance(self.category, str | None):
            raise EventError("a str", field="category" if isinstance(self.name, str) else "name")
        for field, text in (("sku", self.sku), ("name", self.name), ("category", self.category)):
            if text is not None and not (type(text) is str and text.isascii()):
                msgspec.structs.force_setattr(self, field, clean_text(text, len(text)))
        if type(self.quantity) is not int or self.quantity < 1:
            raise EventError("a whole number from 1 up", field="quantity")
        to_millionths(self.price, field="price")
        if type(self.price) is not Decimal:  # a class of the app's own cannot be encoded
            msgspec.structs.force_setattr(self, "price", Decimal(self.price))

    @property
    def amount(self) -> int:
        """The line's value in millionths of the currency's unit."""
        return to_millionths(self.price, field="price") * self.quantity


class Purchase(Event, frozen=True, tag="p"):
    """An order, unique per (service, visitor) by its `order_id`."""

    order_id: str
    currency: str
    items: tuple[Item, ...]

    @property
    def amount(self) -> int:
        """The basket: the order's value in millionths of the currency's unit."""
        return sum(item.amount for item in self.items)

    @property
    def total(self) -> Decimal:
        """The basket as an exact Decimal of the currency's unit."""
        return from_millionths(self.amount)

    def same_order(self, other: Purchase) -> bool:
        """Tell whether two copies of one order agree on what was bought."""
        return self.currency == other.currency and self.items == other.items


class Refund(Event, frozen=True, tag="r"):
    """Money given back for an order: the whole of it, or `amount` millionths."""

    order_id: str
    amount: int | None = None


class Message(Event, frozen=True, tag="m"):
    """An SMS-MO: what the visitor wrote to a short code.

    `offer` is what the short code stood for when the message came, `command` what the text was understood as, as
    "stop"; None where it was nothing of the kind. `paid`: whether the visitor paid for more than the message.
    """

    short_code: str
    text: str
    offer: str | None = None
    command: str | None = None
    paid: bool = False


class Unsubscription(Event, frozen=True, tag="u"):
    """The end of the visitor's subscription to an offer."""

    offer: str


def check_order(order_id: str, items: Iterable[Item], currency: str) -> tuple[Item, ...]:
    """Check what the app says of an order and give its items.

    Raises:
        EventError: an argument can't be recorded; `.field` names it.
    """
    check_order_id(order_id)
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        raise EventError("a code of three capital letters (ISO 4217), as EUR", field="currency")
    lines = tuple(items)
    if not 1 <= len(lines) <= ITEMS_LIMIT or not all(isinstance(line, Item) for line in lines):
        raise EventError(f"an order has 1 to {ITEMS_LIMIT} lines, each an Item", field="items")
    total = sum(line.amount for line in lines)
    if not 0 <= total <= LARGEST_AMOUNT:
        raise EventError(
            "an order's total must not be negative nor exceed a thousand million units", field="items"
        )
    return lines


def check_order_id(order_id: str) -> str:
    """Give a usable order id back.

    Raises:
        EventError: empty, not text, or longer than 128 characters. An order id is never cut: two orders
            could become one.
    """
    if not isinstance(order_id, str) or not order_id or len(order_id) > ORDER_ID_LIMIT:
        raise EventError(f"a str of 1 to {ORDER_ID_LIMIT} characters", field="order_id")
    if clean_text(order_id, ORDER_ID_LIMIT) != order_id:
        raise EventError("cannot be written as UTF-8", field="order_id")
    return order_id


def event_time(at: datetime) -> int:
    """Give the moment that the app says an event happened, in microseconds since the epoch.

    Raises:
        EventError: a datetime without a zone, or outside the years 1971 to 9998.
    """
    if not isinstance(at, datetime) or at.utcoffset() is None:
        raise EventError("an aware datetime is needed: one without a zone names no instant", field="at")
    if not in_recorded_years(at):
        raise EventError(f"a year between {_EARLIEST_YEAR} and {_LATEST_YEAR} is needed", field="at")
    return to_micros(at)


def in_recorded_years(at: datetime) -> bool:
    """Tell whether a moment is in the years of which events are kept, 1971 to 9998."""
    return _EARLIEST_YEAR < at.year < _LATEST_YEAR


def check_refund(amount: Decimal | int) -> int:
    """Give a partial refund in millionths.

    Raises:
        EventError: no exact amount above zero.
    """
    part = to_millionths(amount, field="amount")
    if part <= 0:
        raise EventError("must be above zero; leave it out to refund the whole order", field="amount")
    return part


def plain_text(value: object) -> str:
    """Make any value a text and nothing more: a subclass of str, as templates have, cannot be encoded."""
    if type(value) is str:
        return value
    return str.__str__(value if isinstance(value, str) else str(value))


def clean_text(value: object, limit: int) -> str:
    """Make any value a text of at most `limit` characters that can be written as UTF-8."""
    text = plain_text(value)[:limit]
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def clean_optional(value: object | None, limit: int) -> str | None:
    """Clean a text that may be missing."""
    return None if value is None else clean_text(value, limit)


def clean_properties(properties: dict[str, object]) -> dict[str, Any]:
    """Keep what an app says of a tracked event small and writable: at most 32 values, texts cut at 256."""
    kept = list(properties.items())[:PROPERTIES_LIMIT]
    return {clean_text(name, NAME_LIMIT): _clean_property(value) for name, value in kept}


def _clean_property(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, int) and abs(value) <= _LARGEST_INTEGER:
        return int(value)
    return clean_text(value, TITLE_LIMIT)


@lru_cache  # a site answers with few Content-Types, each many times
def media_type(value: str) -> str:
    """Give the media type of a Content-Type, in lower case and without its parameters."""
    return value.partition(";")[0].strip().lower()


@lru_cache  # a site gives few kinds of answers, each many times
def is_page_view(method: str, status: int, content_type: str, page_types: frozenset[str], named: bool) -> bool:
    """Tell whether an answer counts as a page view.

    A GET answered 2xx with a page type. A 304 names no type: it counts when something else did (`named`): the app
    annotated the page, or the request's Accept `names_page`.
    """
    if method != "GET":
        return False
    if status == 304:
        return named
    return 200 <= status < 300 and media_type(content_type) in page_types


def names_page(accept: str, page_types: frozenset[str]) -> bool:
    """Tell whether a request's Accept names a page type explicitly."""
    return any(media_type(choice) in page_types for choice in accept.split(","))


def is_prefetch(value: bytes) -> bool:
    """Tell whether a Purpose-like header says that nobody looks at the page yet."""
    return b"prefetch" in value.lower()


AnyEvent = PageView | TrackedEvent | Purchase | Refund | Message | Unsubscription
_KINDS: dict[type[Event], str] = {
    PageView: "v",
    TrackedEvent: "t",
    Purchase: "p",
    Refund: "r",
    Message: "m",
    Unsubscription: "u",
}


_encode_json = msgspec.json.Encoder().encode


def kind_of(event: Event) -> str:
    """Give the one-letter tag of an event's type."""
    return _KINDS[type(event)]


def restore(kind: str, key: str, *, time_us: int, day: int, channel: Channel, body: bytes) -> AnyEvent:
    """Rebuild an event from the columns of a storage and the body that `body_of` gave."""
    common = [kind, key, time_us, time_us, day, channel]
    event: AnyEvent = msgspec.convert(common + msgspec.json.decode(body), type=AnyEvent)
    return event


def body_of(event: Event) -> bytes:
    """Encode what is particular to an event's type, for a storage that keeps the rest in columns."""
    if type(event) is PageView:
        return _encode_json((event.path, event.title, event.category))
    values = msgspec.structs.astuple(event)
    return _encode_json(values[len(Event.__struct_fields__) :])
