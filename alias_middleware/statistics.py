"""From totals to figures: every ratio and every definition of a published figure lives here.

A storage counts (`Totals`); this module divides. Intervals are half-open local dates of the service's zone.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

import msgspec

from alias_middleware.money import from_millionths

DEFINITIONS = {
    "visitors": "distinct aliases with at least one page view in the interval",
    "new_visitors": "visitors whose first visit ever began in the interval",
    "returning_visitors": "visitors whose first visit ever began before the interval",
    "visits": "runs of one visitor's events with gaps of at most the visit gap, by the local day of the first",
    "page_views": "pages shown to recognised visitors",
    "unidentified_page_views": "pages shown to requests without a trusted alias",
    "visits_per_visitor": "visits / visitors",
    "clients": "distinct aliases with at least one order in the interval that was not cancelled",
    "orders": "orders of the interval that were not cancelled",
    "cancelled_orders": "orders of the interval that were refunded whole",
    "revenue": "sum of the interval's orders less their refunds, per currency",
    "average_basket": "revenue / orders, per currency",
    "average_basket_per_client": "mean over clients of each client's own revenue / orders, per currency",
    "erased": "visitors erased since the interval began, whose figures are no longer counted",
}
"""Each figure's one definition, printed beside it."""

_FOUR_PLACES = Decimal("0.0001")


class Baskets(msgspec.Struct, frozen=True):
    """The clients who made the same number of orders in one currency, and their revenue in millionths."""

    clients: int
    revenue: int


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What a storage counts over an interval. `baskets`: by currency, then by orders per client."""

    visitors: int = 0
    new_visitors: int = 0
    visits: int = 0
    page_views: int = 0
    unidentified_page_views: int = 0
    clients: int = 0
    cancelled_orders: int = 0
    baskets: dict[str, dict[int, Baskets]] = {}
    erased: int = 0


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one service over the local days from `since` to the one before `until`.

    Counts are integers; money is an exact Decimal per currency; averages are rounded half-even to four
    places, and None or absent where there is nothing to divide by.
    """

    service: str
    since: date
    until: date
    zone: str
    visitors: int
    new_visitors: int
    returning_visitors: int
    visits: int
    page_views: int
    unidentified_page_views: int
    visits_per_visitor: Decimal | None
    clients: int
    orders: int
    cancelled_orders: int
    revenue: dict[str, Decimal]
    average_basket: dict[str, Decimal]
    average_basket_per_client: dict[str, Decimal]
    erased: int


def check_interval(since: date, until: date) -> tuple[date, date]:
    """Check a half-open interval of local dates.

    Raises:
        TypeError: a datetime or anything else that is no plain date.
        ValueError: the interval ends before it begins.
    """
    for name, bound in (("since", since), ("until", until)):
        if not isinstance(bound, date) or isinstance(bound, datetime):
            raise TypeError(f"{name} is a local date (datetime.date), not {type(bound).__name__}")
    if until < since:
        raise ValueError("until must not be before since: the interval is half-open, [since, until)")
    return since, until


def summarise(totals: Totals, *, service: str, since: date, until: date, zone: str) -> Summary:
    """Turn totals into the figures of one service."""
    orders = {
        currency: sum(count * group.clients for count, group in groups.items())
        for currency, groups in totals.baskets.items()
    }
    revenue = {
        currency: sum(group.revenue for group in groups.values()) for currency, groups in totals.baskets.items()
    }
    return Summary(
        service=service,
        since=since,
        until=until,
        zone=zone,
        visitors=totals.visitors,
        new_visitors=totals.new_visitors,
        returning_visitors=totals.visitors - totals.new_visitors,
        visits=totals.visits,
        page_views=totals.page_views,
        unidentified_page_views=totals.unidentified_page_views,
        visits_per_visitor=_rounded(Fraction(totals.visits, totals.visitors)) if totals.visitors else None,
        clients=totals.clients,
        orders=sum(orders.values()),
        cancelled_orders=totals.cancelled_orders,
        revenue={currency: from_millionths(revenue[currency]) for currency in sorted(revenue)},
        average_basket={
            currency: _money_average(Fraction(revenue[currency], orders[currency])) for currency in sorted(orders)
        },
        average_basket_per_client={
            currency: _money_average(_mean_basket(groups)) for currency, groups in sorted(totals.baskets.items())
        },
        erased=totals.erased,
    )


def _mean_basket(groups: dict[int, Baskets]) -> Fraction:
    clients = sum(group.clients for group in groups.values())
    return sum((Fraction(group.revenue, count) for count, group in groups.items()), Fraction()) / clients


def _money_average(millionths: Fraction) -> Decimal:
    return _rounded(millionths / 1_000_000)


def _rounded(value: Fraction) -> Decimal:
    with localcontext(prec=60, rounding=ROUND_HALF_EVEN):
        scaled = round(value * 10_000)
        return (Decimal(scaled) * _FOUR_PLACES).quantize(_FOUR_PLACES)
