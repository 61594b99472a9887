"""A page of visitors, with what their whole history adds up to."""

from __future__ import annotations

from typing import NamedTuple, cast, get_args

from alias_middleware.dashboard.tables import Kind, Table, table_of
from alias_middleware.statistics.clients import Order
from alias_middleware.tracker import Tracker

ORDERS: tuple[Order, ...] = get_args(Order)
"""What visitors can be ordered by."""

_LIMIT = 50
_COLUMNS: dict[str, Kind] = {
    "visitor": "text",
    "first_seen": "moment",
    "last_seen": "moment",
    "visits": "count",
    "page_views": "count",
    "orders": "count",
    "revenue": "money",
}


class Visitors(NamedTuple):
    """A page of visitors; `after` is the cursor of the next one, and contains a visitor key."""

    table: Table
    order: Order
    after: str | None
    pseudonymous: bool


def gather(tracker: Tracker, order: str, after: str | None) -> Visitors:
    """Ask for a page.

    Raises:
        ValueError: no such order, or a cursor that was not given out.
        StorageError: the storage does not answer.
    """
    chosen = cast(Order, order or "last_seen")
    found = tracker.statistics.visitors(order_by=chosen, limit=_LIMIT, after=after)
    table = table_of("clients", found.rows, _COLUMNS)
    return Visitors(table, chosen, found.after, bool(tracker.settings.pseudonym_keys))
