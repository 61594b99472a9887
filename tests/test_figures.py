"""Questions to the statistics: what they refuse, where they begin, how they explain themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from alias_middleware.figures import Statistics
from alias_middleware.local_time import from_micros
from alias_middleware.settings import make_settings
from alias_middleware.storage.base import Batch
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.testing.histories import NEWS, SHOP, Teller, instant, local_day

MARCH = date(2026, 3, 1), date(2026, 4, 1)
NAMED = {"service": "news", "reference": "portal", "trusted_gateways": ["10.0.0.1"]}


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def statistics(storage: MemoryStorage) -> Statistics:
    return Statistics(storage, make_settings({**NAMED, "storage": storage}), waiting=lambda: 7)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        pytest.param(lambda s: s.series("erased", *MARCH), "a series follows one of", id="no figure to follow"),
        pytest.param(lambda s: s.series("visits", *MARCH, by="year"), "day, week, month", id="no division"),
        pytest.param(lambda s: s.series("visits", *MARCH, compare="next"), '"previous"', id="no comparison"),
        pytest.param(lambda s: s.pages(*MARCH, top=0), "from 1 up", id="none at all"),
        pytest.param(lambda s: s.summary(*MARCH, channel="mail"), '"web", "sms"', id="no channel"),
        pytest.param(lambda s: s.visitors(order_by="alias"), "order_by is one of", id="no order"),
        pytest.param(lambda s: s.visitors(limit=0), "from 1 up", id="no limit"),
        pytest.param(lambda s: s.visitors(after="!"), "earlier page", id="no cursor"),
        pytest.param(lambda s: s.visitors(after="été"), "earlier page", id="no ASCII"),
        pytest.param(lambda s: s.explain("love"), "no figure has that name", id="no figure"),
        pytest.param(lambda s: s.hours(*MARCH[::-1]), "must not be before", id="backwards"),
    ],
)
def test_questions_without_sense(
    statistics: Statistics, ask: Callable[[Statistics], object], message: str
) -> None:
    """Each error says what there is."""
    with pytest.raises(ValueError, match=message):
        ask(statistics)


def test_of_nothing_there_is_an_answer(statistics: Statistics) -> None:
    """A service never heard of, and intervals without days."""
    day = MARCH[0]
    assert statistics.summary(day, day).visitors == 0
    assert statistics.series("visitors", day, day).rows == []
    assert statistics.cohorts().rows == []
    assert statistics.visitors().rows == []
    assert statistics.explain("visits").newest_event is None


def test_a_figure_explains_itself(statistics: Statistics, storage: MemoryStorage) -> None:
    """What it means, and how fresh it is."""
    storage.apply(Batch(entries=[Teller().view("2026-03-02T12:00"), Teller().view("2026-03-01T23:00")]))
    explained = statistics.explain("average_basket")
    assert explained.definition == "revenue / orders, per currency"
    assert explained.newest_event == from_micros(instant("2026-03-02T12:00"))
    assert (explained.zone, explained.waiting, explained.exact) == ("Europe/Paris", 7, True)
    assert "half-open" in explained.interval


def test_a_namespace_counts_a_person_once(statistics: Statistics, storage: MemoryStorage) -> None:
    """New is who had never come to any of its services; page views without an alias are the services' sum."""
    tell = Teller()
    shop = tell.of(origin=SHOP)
    entries = [tell.view("2026-02-20T12:00"), shop.view("2026-03-02T12:00"), tell.view("2026-03-02T12:10")]
    unidentified = {(origin, local_day("2026-03-02")): 2 for origin in (NEWS, SHOP)}
    storage.apply(Batch(entries=entries, unidentified=unidentified))
    every, of_shop = (statistics.summary(*MARCH, service=name) for name in ("*", "shop"))
    assert (every.visitors, every.new_visitors, every.visits, every.unidentified_page_views) == (1, 0, 2, 4)
    assert (of_shop.visitors, of_shop.new_visitors) == (1, 1)
    series = statistics.series("new_visitors", date(2026, 2, 1), date(2026, 4, 1), by="month", service="*")
    assert [row.value for row in series.rows] == [1, 0]
    assert [row.retained for row in statistics.cohorts(service="*").rows] == [[1, 1], [0]]


def test_lifetime_clients_are_those_until_the_end(statistics: Statistics, storage: MemoryStorage) -> None:
    """Who bought before the interval is one, whether he comes in it or not; who bought later is none yet."""
    tell, shop = Teller(), Teller(key="b", origin=SHOP)
    cancelled = tell.of(key="c")
    storage.apply(
        Batch(
            entries=[
                tell.purchase("2026-02-20T12:00", "A"),
                tell.purchase("2026-03-20T12:00", "B"),
                shop.purchase("2026-02-10T12:00", "A"),
                shop.of(key="d").purchase("2026-04-01T00:00", "A"),
                cancelled.purchase("2026-02-10T12:00", "A"),
                cancelled.refund("2026-03-10T12:00", "A"),
            ]
        )
    )
    found = [statistics.summary(*MARCH, service=name) for name in ("news", "shop", "*")]
    assert [(each.clients, each.lifetime_clients) for each in found] == [(1, 1), (0, 1), (1, 2)]
    assert statistics.summary(*MARCH, service="*", channel="sms").lifetime_clients == 0
    until = date(2026, 5, 1)
    rows = statistics.series("lifetime_clients", date(2026, 2, 1), until, by="month", service="*").rows
    assert [row.value for row in rows] == [2, 2, 3]
    rows = statistics.series("lifetime_clients", *MARCH, by="month", compare="previous", service="*").rows
    assert [(row.value, row.previous) for row in rows] == [(2, 2)]


def test_several_summaries_are_those_asked_for_one_by_one(statistics: Statistics, storage: MemoryStorage) -> None:
    """In any order, overlapping or not; each counts the erasures since its own beginning."""
    tell = Teller()
    other, third = tell.of(key="b"), tell.of(key="c", origin=SHOP)
    entries = [tell.view("2026-02-20T12:00"), tell.purchase("2026-03-02T12:00", "A")]
    entries += [other.purchase("2026-01-05T12:00", "A"), third.view("2026-03-05T12:00")]
    storage.apply(Batch(entries=entries))
    storage.erase("portal", "d", instant("2026-02-15T12:00"))
    february = date(2026, 2, 1), MARCH[0]
    intervals = [MARCH, february, (date(2026, 1, 1), MARCH[1]), (MARCH[0], MARCH[0])]
    for service in ("news", "*"):
        alone = [statistics.summary(*each, service=service) for each in intervals]
        assert statistics.summaries(intervals, service=service) == alone
        assert [each.erased for each in alone] == [0, 1, 1, 0]
    assert statistics.summaries([]) == []
    with pytest.raises(ValueError, match="half-open"):
        statistics.summaries([february, MARCH[::-1]])


def test_an_sms_makes_a_visitor_of_its_channel(statistics: Statistics, storage: MemoryStorage) -> None:
    """Page views without an alias are the web's."""
    day = local_day("2026-03-02")
    storage.apply(Batch(entries=[Teller().message("2026-03-02T12:00")], unidentified={(NEWS, day): 3}))
    found = [statistics.summary(*MARCH, channel=channel) for channel in ("sms", "web")]
    counted = [(each.visitors, each.messages, each.unidentified_page_views) for each in found]
    assert counted == [(1, 1, 0), (0, 0, 3)]


def test_a_day_is_compared_with_the_one_before(statistics: Statistics, storage: MemoryStorage) -> None:
    """As many days before."""
    storage.apply(Batch(entries=[Teller().view("2026-03-01T12:00")]))
    rows = statistics.series("visits", MARCH[0], MARCH[0] + timedelta(days=2), compare="previous").rows
    assert [(row.value, row.previous) for row in rows] == [(1, 0), (0, 0)]
    rows = statistics.series(
        "visits", MARCH[0] + timedelta(days=1), MARCH[0] + timedelta(days=2), compare="previous"
    ).rows
    assert [(row.value, row.previous) for row in rows] == [(0, 1)]
