"""Every ratio is exact and rounded half-even; every figure has a definition."""

from __future__ import annotations

import decimal
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware.statistics import DEFINITIONS, Baskets, Summary, Totals, check_interval, summarise
from alias_middleware.statistics.definitions import SUMMARY

SINCE, UNTIL = date(2026, 3, 1), date(2026, 4, 1)


def summary(totals: Totals) -> Summary:
    return summarise(totals, service="news", since=SINCE, until=UNTIL, zone="Europe/Paris")


def half_even(value: Fraction) -> Decimal:
    """Four places, the neighbour or, in the middle, the even one: written out from the definition."""
    whole, rest = divmod(value * 10_000, 1)
    up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1)
    return Decimal(int(whole) + up).scaleb(-4, decimal.Context(prec=80))


counts = st.integers(0, 10**6)
money = st.integers(0, 10**17)
baskets = st.dictionaries(
    st.sampled_from(["EUR", "CHF"]),
    st.dictionaries(st.integers(1, 50), st.builds(Baskets, st.integers(1, 1000), money), min_size=1),
)
totals = st.builds(
    Totals,
    visitors=counts,
    new_visitors=counts,
    visits=counts,
    page_views=counts,
    clients=counts,
    cancelled_orders=counts,
    baskets=baskets,
    erased=counts,
)


@given(totals)
def test_every_ratio_is_exact(total: Totals) -> None:
    """Averages equal exact fractions, rounded once; sums are exact."""
    found = summary(total)
    expected = half_even(Fraction(total.visits, total.visitors)) if total.visitors else None
    assert found.visits_per_visitor == expected
    assert found.returning_visitors == total.visitors - total.new_visitors
    assert found.average_basket.keys() == found.revenue.keys() == total.baskets.keys()
    orders = 0
    for currency, groups in total.baskets.items():
        made = sum(number * group.clients for number, group in groups.items())
        earned = Fraction(sum(group.revenue for group in groups.values()), 10**6)
        clients = sum(group.clients for group in groups.values())
        own = sum((Fraction(group.revenue, 10**6 * number) for number, group in groups.items()), Fraction())
        assert Fraction(found.revenue[currency]) == earned
        assert found.average_basket[currency] == half_even(earned / made)
        assert found.average_basket_per_client[currency] == half_even(own / clients)
        orders += made
    assert found.orders == orders


@pytest.mark.parametrize(
    ("visits", "visitors", "average"),
    [
        pytest.param(1, 3, "0.3333", id="down"),
        pytest.param(2, 3, "0.6667", id="up"),
        pytest.param(1, 20_000, "0.0000", id="the middle, to the even below"),
        pytest.param(3, 20_000, "0.0002", id="the middle, to the even above"),
        pytest.param(4, 2, "2.0000", id="four places always"),
    ],
)
def test_averages_round_half_even(visits: int, visitors: int, average: str) -> None:
    """As accountants round."""
    assert str(summary(Totals(visits=visits, visitors=visitors)).visits_per_visitor) == average


def test_the_apps_decimal_context_changes_nothing() -> None:
    """Figures do not depend on who asks."""
    total = Totals(visits=22, visitors=7, baskets={"EUR": {3: Baskets(7, 123_456_789_012)}})
    usual = summary(total)
    with decimal.localcontext(prec=3, rounding=decimal.ROUND_UP):
        assert summary(total) == usual


def test_both_average_baskets() -> None:
    """One client with one order of 10 and one with three of 2 each: 4 an order, 6 a client."""
    found = summary(Totals(clients=2, baskets={"EUR": {1: Baskets(1, 10_000_000), 3: Baskets(1, 6_000_000)}}))
    assert (found.orders, found.revenue) == (4, {"EUR": Decimal("16.00")})
    assert found.average_basket == {"EUR": Decimal(4)}
    assert found.average_basket_per_client == {"EUR": Decimal(6)}


def test_where_nothing_is_to_divide_by() -> None:
    """No visitors, no average; no orders, no currency."""
    found = summary(Totals())
    assert found.visits_per_visitor is None
    assert found.revenue == found.average_basket == found.average_basket_per_client == {}


def test_every_figure_has_one_definition() -> None:
    """What is published is defined, and nothing else is."""
    asked = {"service", "channel", "since", "until", "zone", "attached_on"}
    assert set(Summary.__struct_fields__) - asked == set(SUMMARY)
    assert len(set(DEFINITIONS.values())) == len(DEFINITIONS)


def test_a_summary_says_what_was_asked() -> None:
    """The figures carry their service, interval and zone."""
    found = summary(Totals(page_views=4, unidentified_page_views=3, clients=2, cancelled_orders=1, erased=5))
    assert (found.service, found.since, found.until, found.zone) == ("news", SINCE, UNTIL, "Europe/Paris")
    counted = found.page_views, found.unidentified_page_views, found.clients, found.cancelled_orders, found.erased
    assert counted == (4, 3, 2, 1, 5)


@pytest.mark.parametrize(
    ("since", "until", "error", "message"),
    [
        pytest.param(UNTIL, SINCE, ValueError, "until must not be before since", id="reversed"),
        pytest.param(datetime(2026, 3, 1, tzinfo=UTC), UNTIL, TypeError, "since is a local date", id="datetime"),
        pytest.param(SINCE, "2026-04-01", TypeError, "until is a local date", id="text"),
    ],
)
def test_unusable_intervals(since: Any, until: Any, error: type[Exception], message: str) -> None:
    """An interval is two local dates, in order."""
    with pytest.raises(error, match=message):
        check_interval(since, until)


@pytest.mark.parametrize("until", [SINCE, UNTIL])
def test_usable_intervals(until: date) -> None:
    """It may be empty."""
    assert check_interval(SINCE, until) == (SINCE, until)
