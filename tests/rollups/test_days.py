"""A day's events give its roll-up."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware.events import Item
from alias_middleware.history import Settlement
from alias_middleware.rollups.counts import total
from alias_middleware.rollups.days import Order, Shown, line_nets, roll_up
from alias_middleware.rollups.model import united

HOME = Shown("/", None, None)
SPORT = Shown("/tennis", "Tennis", "sport")
GAP = 30


@pytest.mark.parametrize(
    ("before", "begun"),
    [
        pytest.param({}, 1, id="nothing before"),
        pytest.param({1: 70}, 0, id="exactly the gap: the visit goes on"),
        pytest.param({1: 69}, 1, id="longer ago"),
        pytest.param({2: 99}, 1, id="somebody else"),
    ],
)
def test_a_visit_may_go_on_from_the_day_before(before: dict[int, int], begun: int) -> None:
    """It belongs to the day of its first event."""
    rolled = roll_up([(1, 100, HOME, False), (1, 130, HOME, False)], [], before, GAP)
    assert total(rolled.presence.begun) == begun
    assert rolled.presence.page_views == 2


def test_who_was_there() -> None:
    """A page or an SMS makes a visitor; anything else only a visit."""
    sightings = [(1, 5, HOME, False), (2, 6, None, True), (3, 7, None, False)]
    presence = roll_up(sightings, [], {}, GAP).presence
    assert set(presence.visitors) == {1, 2}
    assert (presence.page_views, presence.messages, total(presence.begun), presence.newest_us) == (1, 1, 3, 7)


def test_pages_and_categories() -> None:
    """By path, with the latest title whoever saw it; by category, where there is one."""
    older = Shown("/tennis", "Old", "sport")
    sightings = [(1, 5, SPORT, False), (1, 6, HOME, False), (2, 3, older, False), (2, 4, SPORT, False)]
    rolled = roll_up(sightings, [], {}, GAP)
    page = rolled.pages.paths["/tennis"]
    assert (page.page_views, set(united(page.visitors)), page.titled) == (3, {1, 2}, (5, "Tennis"))
    assert rolled.pages.paths["/"].titled is None
    assert list(rolled.categories.names) == ["sport"]
    assert set(rolled.categories.names["sport"].visitors) == {1, 2}


def test_a_cancelled_order_sells_nothing() -> None:
    """It is only counted as cancelled."""
    items = (Item("a", "A", "music", Decimal(1), 2),)
    kept = Order(1, 5, "EUR", Settlement(1_500_000, cancelled=False), items)
    cancelled = Order(2, 6, "EUR", Settlement(0, cancelled=True), items)
    rolled = roll_up([], [kept, cancelled], {}, GAP)
    assert (rolled.money.cancelled, rolled.money.orders["EUR"].nets) == (1, [1_500_000])
    product = rolled.products.skus["a"]
    assert (product.quantity, product.orders, set(united(product.buyers))) == (2, 1, {1})
    assert rolled.categories.names["music"].revenue == {"EUR": 1_500_000}


prices = st.lists(st.integers(0, 10**9), min_size=1, max_size=6)


@given(prices, st.fractions(0, 1))
def test_lines_share_what_is_left_to_the_last_millionth(amounts: list[int], part: object) -> None:
    """The shares add up to the net, none exceeds its line, and what was not refunded gives each its own."""
    items = [Item(str(place), "x", None, Decimal(amount) / 10**6) for place, amount in enumerate(amounts)]
    whole = sum(amounts)
    net = int(whole * part)  # type: ignore[operator]
    shares = line_nets(items, net)
    assert sum(shares) == net
    assert all(0 <= share <= amount for share, amount in zip(shares, amounts, strict=True))
    assert line_nets(items, whole) == amounts
