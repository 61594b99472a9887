"""What is asked of a storage when visitors are listed: a page of them, in an order."""

from __future__ import annotations

from typing import NamedTuple

from alias_middleware.statistics.clients import Order, Place


class Clientele(NamedTuple):
    """A page of visitors: `limit` of a namespace, ordered by what they add up to, after a place in that order.

    The highest come first, equal ones by key. `currency` says whose revenue orders them.
    """

    namespace: str
    order_by: Order
    limit: int
    after: Place | None = None
    currency: str = "EUR"
