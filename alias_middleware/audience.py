"""Whom a campaign speaks to: conditions on what is known of a visitor. Pure; a domain rule like any other."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from alias_middleware.errors import ContactError
from alias_middleware.history import Knowledge

_DAY_US = 86_400_000_000

Favours = Callable[[str], bool]
"""Tells whether the visitor in question favours a category."""


class Audience(msgspec.Struct, frozen=True, kw_only=True):
    """The visitors who meet every condition that is set; everybody when none is.

    `client`: has, or has not, an order that was not cancelled. `min_orders`, `max_orders`: how many such orders.
    `interest`: favours this category. `idle_days`: nothing from him for at least so many times 24 hours.
    `seen_within_days`: something from him since. `last_offer`: wrote to this offer last.

    Raises:
        ContactError: a number below zero.
    """

    client: bool | None = None
    min_orders: int | None = None
    max_orders: int | None = None
    interest: str | None = None
    idle_days: int | None = None
    seen_within_days: int | None = None
    last_offer: str | None = None

    def __post_init__(self) -> None:
        for name in ("min_orders", "max_orders", "idle_days", "seen_within_days"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
                raise ContactError("a whole number from 0 up", field=f"audience.{name}")

    def includes(self, knowledge: Knowledge, now_us: int, favours: Favours) -> bool:
        """Tell whether a visitor belongs to it at a moment (microseconds)."""
        return (
            self._by_orders(knowledge.orders)
            and self._by_time(knowledge.last_seen, now_us)
            and (self.last_offer is None or _last_offer(knowledge) == self.last_offer)
            and (self.interest is None or favours(self.interest))
        )

    def _by_orders(self, orders: int) -> bool:
        return (
            (self.client is None or self.client == (orders > 0))
            and (self.min_orders is None or orders >= self.min_orders)
            and (self.max_orders is None or orders <= self.max_orders)
        )

    def _by_time(self, last_seen: int | None, now_us: int) -> bool:
        if self.idle_days is None and self.seen_within_days is None:
            return True
        if last_seen is None:
            return self.seen_within_days is None
        idle_us = now_us - last_seen
        return (self.idle_days is None or idle_us >= self.idle_days * _DAY_US) and (
            self.seen_within_days is None or idle_us < self.seen_within_days * _DAY_US
        )


def _last_offer(knowledge: Knowledge) -> str | None:
    offers = [note.offer for note in knowledge.contacts if note.offer and note.said in {"mo", "paid_mo", "start"}]
    return offers[-1] if offers else None
