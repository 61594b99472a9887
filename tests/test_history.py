"""Visits, orders and knowledge as definitions, against slow independent readings of them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware.events import Event, Purchase
from alias_middleware.history import (
    Knowledge,
    first_copies,
    forms_visit,
    knowledge_of,
    needs_consent,
    refunds_by_order,
    revenue_of,
    settle,
    visit_starts,
)
from alias_middleware.testing.histories import GAP_US, Teller, instant

times = st.lists(st.integers(0, 400), max_size=40).map(sorted)


@given(times, st.integers(0, 40))
def test_visits_are_maximal_runs(moments: list[int], gap_us: int) -> None:
    """Two events share a visit exactly when a chain of short enough steps joins them."""
    starts = visit_starts(moments, gap_us)
    for moment in moments:
        near = [other for other in moments if other < moment and moment - other <= gap_us]
        assert (moment in starts) == (not near)
    assert len(starts) == len(set(starts))
    assert set(starts) <= set(moments)


@pytest.mark.parametrize(
    ("moments", "starts"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([5], [5], id="one event"),
        pytest.param([0, GAP_US], [0], id="exactly the gap"),
        pytest.param([0, GAP_US + 1], [0, GAP_US + 1], id="a microsecond more"),
        pytest.param([0, 0, 0], [0], id="one moment"),
        pytest.param([0, GAP_US, 2 * GAP_US], [0], id="a chain longer than the gap"),
    ],
)
def test_the_gap_of_a_visit(moments: list[int], starts: list[int]) -> None:
    """At most the gap stays in the visit."""
    assert visit_starts(moments, GAP_US) == starts


@pytest.mark.parametrize(
    ("amount", "refunds", "net", "cancelled"),
    [
        pytest.param(300, [], 300, False, id="none"),
        pytest.param(300, [100], 200, False, id="a part"),
        pytest.param(300, [100, 200], 0, True, id="parts that make the whole"),
        pytest.param(300, [500], 0, True, id="more than was paid"),
        pytest.param(300, [None], 0, True, id="the whole"),
        pytest.param(300, [100, None], 0, True, id="a part and the whole"),
        pytest.param(0, [], 0, False, id="a free order"),
        pytest.param(0, [None], 0, True, id="a free order, cancelled"),
    ],
)
def test_settling_an_order(amount: int, refunds: list[int | None], net: int, cancelled: bool) -> None:
    """What is left is never negative; nothing left after a refund is a cancellation."""
    assert settle(amount, refunds) == (net, cancelled)


@given(st.integers(0, 100), st.lists(st.none() | st.integers(1, 60)))
def test_the_order_of_refunds_does_not_matter(amount: int, refunds: list[int | None]) -> None:
    """A sum has no order, and the whole is the whole whenever it comes."""
    settled = settle(amount, refunds)
    assert settled == settle(amount, refunds[::-1])
    assert 0 <= settled.net <= amount
    assert settled.cancelled == (bool(refunds) and settled.net == 0)


def test_who_was_there_and_who_agreed() -> None:
    """A refund is the publisher's doing; the books, and what opens a window of contact, need no consent."""
    tell = Teller()
    noon = "2026-03-02T12:00"
    events = [tell.view(noon), tell.track(noon), tell.purchase(noon, "A"), tell.refund(noon, "A")]
    events += [tell.message(noon, "ABO"), tell.unsubscribe(noon)]
    assert [forms_visit(entry.event) for entry in events] == [True, True, True, False, True, False]
    assert [needs_consent(entry.event) for entry in events] == [True, True, False, False, False, False]


def test_the_first_copy_of_an_order_counts() -> None:
    """The least by time, then by id."""
    tell = Teller()
    late, early, twin = (
        tell.purchase(f"2026-03-02T12:0{minute}", "A", price) for minute, price in ((1, "1"), (0, "2"), (0, "3"))
    )
    copies = [(entry.event, entry.id) for entry in (late, twin, early)]
    kept = first_copies([(event, id_) for event, id_ in copies if isinstance(event, Purchase)])
    assert kept == {"A": early.event}


def test_refunds_gather_by_order() -> None:
    """None stands for the whole."""
    tell = Teller()
    noon = "2026-03-02T12:00"
    entries = [tell.refund(noon, "A", 5), tell.view(noon), tell.refund(noon, "B"), tell.refund(noon, "A", 7)]
    assert refunds_by_order([entry.event for entry in entries]) == {"A": [5, 7], "B": [None]}


def test_knowledge_of_several_streams() -> None:
    """Visits by channel and service, orders by service, the time seen over all."""
    tell = Teller()
    streams: dict[tuple[str, str], list[Event]] = {
        ("news", "web"): [
            tell.view("2026-03-02T12:00").event,
            tell.view("2026-03-02T13:00").event,
            tell.purchase("2026-03-02T13:01", "A", "3.00").event,
            tell.refund("2026-03-09T12:00", "A", 500_000).event,
        ],
        ("news", "sms"): [tell.track("2026-03-02T12:00", channel="sms").event],
        ("shop", "web"): [tell.purchase("2026-03-03T12:00", "A", "1", currency="CHF").event],
    }
    knowledge = knowledge_of(streams, {"news": GAP_US, "shop": GAP_US})
    assert knowledge == Knowledge(
        first_seen=instant("2026-03-02T12:00"),
        last_seen=instant("2026-03-03T12:00"),
        last_page=instant("2026-03-02T13:00"),
        visits=4,
        page_views=2,
        orders=2,
        revenue={"EUR": 2_500_000, "CHF": 1_000_000},
    )
    assert revenue_of(knowledge) == {"CHF": Decimal("1.00"), "EUR": Decimal("2.50")}
    assert list(revenue_of(knowledge)) == ["CHF", "EUR"]


def test_a_currency_that_came_back_to_nothing_is_forgotten() -> None:
    """Revenue has no zeros; the shared default stays empty."""
    knowledge = Knowledge()
    knowledge.earn("EUR", 5)
    knowledge.earn("EUR", -5)
    assert knowledge.revenue == Knowledge().revenue == {}
