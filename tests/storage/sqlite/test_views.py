"""The views for other tools show the very figures that the API gives."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from alias_middleware import Tracker
from alias_middleware.storage.base import Batch
from alias_middleware.testing.histories import History, random_history

FIRST = date(2020, 1, 1)


@pytest.fixture(params=[1, 2, 3])
def tracker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tracker]:
    """A tracker of the service `news` on a random history."""
    made = Tracker(
        service="news",
        reference="portal",
        storage=f"sqlite:///{tmp_path}/alias.db",
        trusted_gateways=[],
        writer="external",
    )
    history: History = random_history(request.param)
    for phase in history.phases:
        made.storage.apply(Batch(entries=phase.entries))
    yield made
    made.close()


def ask(tracker: Tracker, query: str) -> list[Any]:
    """Ask as another tool does: read-only."""
    path: Any = tracker.storage
    with closing(sqlite3.connect(f"file:{path.path}?mode=ro", uri=True)) as sql:
        return sql.execute(query).fetchall()


def interval(tracker: Tracker) -> tuple[date, date]:
    days = [date.fromisoformat(day) for (day,) in ask(tracker, "SELECT DISTINCT day FROM daily_figures")]
    return min(days), max(days) + timedelta(days=1)


@pytest.mark.parametrize("channel", ["web", "sms"])
@pytest.mark.parametrize("figure", ["page_views", "visitors"])
def test_daily_figures_equal_the_series(tracker: Tracker, channel: Any, figure: str) -> None:
    """Day by day and channel by channel."""
    since, until = interval(tracker)
    series = tracker.statistics.series(figure, since, until, channel=channel)
    query = f"SELECT day, {figure} FROM daily_figures WHERE service = 'news' AND channel = '{channel}'"
    shown = {day: number for day, number in ask(tracker, query) if number}
    assert shown == {str(point.since): point.value for point in series.rows if point.value}


def test_daily_orders_equal_the_series(tracker: Tracker) -> None:
    """Of all currencies together."""
    since, until = interval(tracker)
    query = "SELECT day, sum(orders) FROM daily_revenue WHERE service = 'news' GROUP BY day"
    shown = {day: orders for day, orders in ask(tracker, query) if orders}
    series = tracker.statistics.series("orders", since, until)
    assert shown == {str(point.since): point.value for point in series.rows if point.value}


def test_daily_revenue_is_exact(tracker: Tracker) -> None:
    """In millionths, by currency; beside it in units, as near as SQL's numbers come."""
    since, until = interval(tracker)
    query = "SELECT day, currency, revenue_millionths, revenue FROM daily_revenue WHERE service = 'news'"
    rows = [row for row in ask(tracker, query) if row[2]]
    assert all(abs(units * 1_000_000 - millionths) < 1 for _, _, millionths, units in rows)
    shown = {(day, currency): millionths for day, currency, millionths, _ in rows}
    series = tracker.statistics.series("revenue", since, until)
    assert shown == {
        (str(point.since), currency): int(amount * 1_000_000)
        for point in series.rows
        if isinstance(point.value, dict)
        for currency, amount in point.value.items()
        if amount
    }


def test_interests_are_the_categories_of_pages(tracker: Tracker) -> None:
    """Every view of a page with a category, whoever else saw that page."""
    since, until = interval(tracker)
    ranked = tracker.statistics.categories(since, until, top=None).rows
    query = "SELECT category, sum(page_views), count(*) FROM visitor_interests WHERE service = 'news' GROUP BY 1"
    shown = {category: (views, visitors) for category, views, visitors in ask(tracker, query)}
    assert shown == {row.category: (row.page_views, row.visitors) for row in ranked if row.page_views}


def test_clients_are_those_who_ordered(tracker: Tracker) -> None:
    """And nobody is named by his alias."""
    since, until = interval(tracker)
    figures = tracker.statistics.summary(since, until)
    assert ask(tracker, "SELECT count(DISTINCT visitor) FROM clients WHERE service = 'news'") == [
        (figures.clients,)
    ]
    assert all(isinstance(visitor, int) for (visitor,) in ask(tracker, "SELECT visitor FROM clients"))
