"""What a visitor does, as the app and the edges tell it: page views, events of the app's own, orders."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from alias_middleware.events import (
    NAME_LIMIT,
    PATH_LIMIT,
    AnyEvent,
    Item,
    PageView,
    Purchase,
    Refund,
    TrackedEvent,
    check_order,
    check_order_id,
    check_refund,
    clean_optional,
    clean_properties,
    clean_text,
    event_time,
    plain_text,
)
from alias_middleware.identity import Recognition
from alias_middleware.keeper import Keeper

_UNSAID = (None, None)


class Person(Protocol):
    """What `Trackable` asks of the visitor that it is a part of."""

    _keeper: Keeper
    recognition: Recognition
    _key: str | None
    begun_us: int
    at_once: bool
    live: bool
    annotation: tuple[str | None, str | None] | None
    unsynced: bool

    def commit(self) -> None:
        """Make recorded events durable."""

    def _begun(self) -> int:
        """Give the time when what happens now began."""


class Trackable:
    """What a visitor offers to be recorded. A mixin, for `Visitor` alone."""

    __slots__ = ()

    def track(
        self: Person, name: str, *, category: str | None = None, at: datetime | None = None, **properties: object
    ) -> bool:
        """Record an event under a name of the app's own; long or odd values are cut.

        An event named "cart" with a category counts as an interest in it. `at`: an aware datetime, now by
        default. Gives False when the event was dropped (and counted).
        """
        if self._key is None:
            self._keeper.dropped("no_alias", "event")
            return False
        time_us, begun_us, day = _when(self, at)
        kept = clean_properties(properties)
        return _record(
            self,
            TrackedEvent(
                self._key,
                time_us,
                begun_us,
                day,
                "web",
                clean_text(name, NAME_LIMIT),
                clean_optional(category, NAME_LIMIT),
                kept,
            ),
        )

    def purchase(
        self: Person, order_id: str, items: Iterable[Item], *, currency: str, at: datetime | None = None
    ) -> bool:
        """Record an order, once: its id is unique per service and visitor. Call it after your own commit.

        Gives False when it was dropped (and counted): an unrecognised visitor, a full disk.

        Raises:
            EventError: an argument cannot be recorded; `.field` names it.
        """
        if self._key is None:
            self._keeper.dropped("no_alias", "purchase")
            return False
        lines = check_order(order_id, items, currency)
        order_id, currency = plain_text(order_id), plain_text(currency)
        event = Purchase(self._key, *_when(self, at), "web", order_id, currency, lines)
        if (addresses := self._keeper.addresses) is not None and self.recognition.alias is not None:
            addresses.bought(self._key, self.recognition.alias, event.time_us, event.begun_us)
        return _record(self, event)

    def refund(
        self: Person, order_id: str, *, amount: Decimal | int | None = None, at: datetime | None = None
    ) -> bool:
        """Record that an order was refunded, whole or by `amount` of its currency's unit.

        It counts on the order's day, waits for an order not yet arrived, and never exceeds it.

        Raises:
            EventError: an argument cannot be recorded; `.field` names it.
        """
        if self._key is None:
            self._keeper.dropped("no_alias", "refund")
            return False
        part = None if amount is None else check_refund(amount)
        order_id = plain_text(check_order_id(order_id))
        return _record(self, Refund(self._key, *_when(self, at), "web", order_id, part))

    def show(self: Person, path: str) -> bool:
        """Record the page view of this request."""
        if not path.isascii() or len(path) > PATH_LIMIT:
            path = clean_text(path, PATH_LIMIT)
        key, begun_us = self._key, self.begun_us
        if key is None:
            return False
        title, category = self.annotation or _UNSAID
        if category is None and (category_of := self._keeper.category_of) is not None:
            category = category_of(path)
        day_of = self._keeper.day
        event = PageView(key, begun_us, begun_us, day_of(begun_us), "web", path, title, category)
        recorded = self._keeper.record(event)
        if recorded and PageView in self._keeper.durable:
            self.unsynced = True
        return recorded


def _when(visitor: Person, at: datetime | None) -> tuple[int, int, int]:
    """The time of an event, the time its request began, and its local day."""
    begun_us = visitor._begun()
    if at is None:
        time_us = visitor._keeper.now() if visitor.live else begun_us
    else:
        time_us = event_time(at)
        begun_us = min(begun_us, time_us)  # what happened before an erasure began before it
    return time_us, begun_us, visitor._keeper.day(time_us)


def _record(visitor: Person, event: AnyEvent) -> bool:
    recorded = visitor._keeper.record(event)
    if recorded and type(event) in visitor._keeper.durable:
        visitor.unsynced = True
        if visitor.at_once:
            visitor.commit()
    return recorded
