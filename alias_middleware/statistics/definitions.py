"""Each figure's one definition, printed beside it. A column of one table goes by `table.column`."""

from __future__ import annotations

from datetime import date, datetime

import msgspec

SUMMARY = {
    "visitors": "distinct aliases with at least one page view or SMS in the interval",
    "new_visitors": "visitors whose first visit ever began in the interval",
    "returning_visitors": "visitors whose first visit ever began before the interval",
    "visits": "runs of one visitor's events with gaps of at most the visit gap, by the local day of the first",
    "page_views": "pages shown to recognised visitors",
    "messages": "SMS that visitors wrote to a short code",
    "unidentified_page_views": "pages shown to requests without a trusted alias",
    "visits_per_visitor": "visits / visitors",
    "clients": "distinct aliases with at least one order in the interval that was not cancelled",
    "lifetime_clients": "distinct aliases with at least one order up to the interval's end that was not cancelled",
    "orders": "orders of the interval that were not cancelled",
    "cancelled_orders": "orders of the interval that were refunded whole",
    "revenue": "sum of the interval's orders less their refunds, per currency",
    "average_basket": "revenue / orders, per currency",
    "average_basket_per_client": "mean over clients of each client's own revenue / orders, per currency",
    "erased": "visitors erased since the interval began, whose figures are no longer counted",
}
"""What a summary has, and what a series can follow."""

_TABLES = {
    "since": "first local day",
    "until": "the local day after the last",
    "previous": "the same figure in the interval before, of the same length",
    "frequency.visits": "visits begun in the interval; 0 is a visit that began before it and continued",
    "frequency.visitors": "visitors with that many visits",
    "frequency.share": "those visitors / all visitors of the interval",
    "recency.days": "local days since the same visitor's previous visit; 'first' had none before",
    "recency.visits": "visits begun in the interval",
    "recency.share": "those visits / all visits begun in the interval",
    "pages.path": "the page's path",
    "pages.title": "the latest title given to it",
    "pages.page_views": "page views of the page",
    "pages.visitors": "distinct aliases that viewed the page",
    "pages.buyers": "those of its visitors who are clients of the interval, whatever they bought",
    "pages.share": "its page views / all page views",
    "categories.category": "the category of a page or an item",
    "categories.page_views": "page views in the category",
    "categories.visitors": "distinct aliases with a page view in the category",
    "categories.buyers": "clients with an item of the category in an order that was not cancelled",
    "categories.revenue": "what the orders' items of the category brought, refunds shared over an order's lines",
    "categories.share": "page views in it / all page views",
    "products.sku": "the product's own code",
    "products.name": "the latest name given to it",
    "products.quantity": "units in orders that were not cancelled",
    "products.orders": "orders with the product that were not cancelled",
    "products.buyers": "clients with the product in an order that was not cancelled",
    "products.revenue": "what its lines brought, refunds shared over an order's lines, per currency",
    "products.share": "its revenue / the revenue of all products, per currency",
    "cohorts.since": "the cohort: visitors new in the period that begins on this local day",
    "cohorts.visitors": "size of the cohort",
    "cohorts.retained": "of the cohort, the visitors of the first, second, ... period, its own the first",
    "cohorts.retention": "retained / visitors",
    "hours.weekday": "local day of the week, Monday is 1",
    "hours.hour": "local hour of the day, 0 to 23",
    "hours.page_views": "page views in that hour",
    "hours.visits": "visits that began in that hour",
    "hours.share": "its visits / all visits",
    "clients.visitor": "the visitor's key: the alias, or its pseudonym",
    "clients.first_seen": "the visitor's first event",
    "clients.last_seen": "the visitor's latest event",
    "clients.visits": "visits over the visitor's whole history, on all services of the namespace",
    "clients.page_views": "page views over the whole history",
    "clients.orders": "orders over the whole history that were not cancelled",
    "clients.revenue": "orders over the whole history less their refunds, per currency",
}

DEFINITIONS = SUMMARY | _TABLES
"""Every figure and column that is published."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a figure means and how fresh it is.

    `interval` and `zone`: what a question's dates mean. `newest_event`: the latest event counted, an aware UTC
    datetime. `waiting`: events in the spool that are not counted yet, None when that is not known.
    `attached_on`: the day on which the aliases became the reference's; visitors of before and after are not known
    to be the same.
    """

    name: str
    definition: str
    interval: str
    zone: str
    newest_event: datetime | None
    waiting: int | None
    attached_on: date | None = None
    exact: bool = True


INTERVAL = "local days from since to the one before until (half-open)"
"""What the dates of every question mean."""


def definition_of(name: str, table: str = "") -> str:
    """Give the definition of a figure, or of a column of a table.

    Raises:
        KeyError: there is no such figure.
    """
    return DEFINITIONS.get(f"{table}.{name}") or DEFINITIONS[name]
