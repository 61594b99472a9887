"""The views for other tools show the very figures that the API gives, in SQLite and in PostgreSQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from alias_middleware import Tracker
from alias_middleware.events import Channel, Item
from alias_middleware.storage.base import Batch, Origin
from alias_middleware.storage.custody import Cut
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.testing.histories import GAP_US, NEWS, Teller, instant, local_day, random_history
from tests.support.citus import Cluster
from tests.support.pages import DOCS, blocks
from tests.support.postgresql import CITUS_IS_THERE, KEY, PostgreSQLServer, schema_of

CHANNELS: tuple[Channel, ...] = ("web", "sms")
ONCE = pytest.mark.once
CITUS = [pytest.param("citus", marks=ONCE)] if CITUS_IS_THERE else []
DATABASES = ["sqlite", pytest.param("debian_postgresql", marks=ONCE), *CITUS]
HISTORIES = [
    *[pytest.param(("sqlite", seed), id=f"sqlite-{seed}") for seed in (1, 2, 3)],
    *[pytest.param(("debian_postgresql", seed), marks=ONCE, id=f"debian_postgresql-{seed}") for seed in (1, 2)],
    pytest.param(("packaged_postgresql", 3), marks=ONCE, id="packaged_postgresql-3"),
    *[pytest.param(("citus", 1), marks=ONCE, id="citus-1") for _ in CITUS],
]


class Tool:
    """Another tool that reads the database of a tracker's, and may read nothing but the views."""

    def __init__(self, tracker: Tracker, server: PostgreSQLServer | Cluster | None, schema: str) -> None:
        self.tracker = tracker
        self.server = server
        self.schema = schema
        self._role = ""

    def granted(self, server: PostgreSQLServer | Cluster) -> str:
        """Make the role as docs/howto/sql.md says."""
        if not self._role:
            self._role = f"reader_{uuid4().hex}"
            (block,) = (block for block in blocks(DOCS / "howto" / "sql.md") if block.language == "sql")
            granting = block.text.replace("metabase", self._role)
            server.sql(granting.replace("alias_middleware", self.schema))
        return self._role

    def ask(self, query: str) -> list[Any]:
        """Ask, read-only; days and times come as texts."""
        if self.server is None:
            assert isinstance(self.tracker.storage, SQLiteStorage)
            path = f"file:{self.tracker.storage.path}?mode=ro"
            with closing(sqlite3.connect(path, uri=True)) as sql:
                return sql.execute(query).fetchall()
        with psycopg.connect(self._url(self.server)) as connection:
            rows = connection.execute(query.encode()).fetchall()
        return [tuple(str(value) if hasattr(value, "year") else value for value in row) for row in rows]

    def _url(self, server: PostgreSQLServer | Cluster) -> str:
        """Give the database as a reader opens it: on a cluster the owner, as docs/howto/sql.md says."""
        if isinstance(server, Cluster):
            return server.url(options=f"-csearch_path%3D{self.schema}")
        return server.url(user=self.granted(server))

    def interval(self) -> tuple[date, date]:
        """Give the days of the figures, half-open."""
        days = [date.fromisoformat(day) for (day,) in self.ask("SELECT DISTINCT day FROM daily_figures")]
        return min(days), max(days) + timedelta(days=1)


def make_tool(database: str, folder: Path, request: pytest.FixtureRequest) -> Tool:
    """Make the tool of a tracker of the service `news`."""
    server = None if database == "sqlite" else request.getfixturevalue(database)
    schema = schema_of(folder)
    if isinstance(server, Cluster):
        server.spread(schema)
        request.addfinalizer(lambda: server.drop(schema))
    tracker = Tracker(
        service="news",
        reference="portal",
        storage=server.url(schema=schema) if server else f"sqlite:///{folder}/alias.db",
        spool=str(folder / "spool"),
        secret_keys=[KEY.decode()],
        trusted_gateways=[],
        writer="external",
    )
    request.addfinalizer(tracker.close)
    return Tool(tracker, server, schema)


@pytest.fixture(params=DATABASES)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Tool:
    """The tool of a tracker where nothing has happened."""
    return make_tool(request.param, tmp_path, request)


@pytest.fixture(params=HISTORIES)
def tool(request: pytest.FixtureRequest, tmp_path: Path) -> Tool:
    """The tool of a tracker on a random history."""
    database, seed = request.param
    made = make_tool(database, tmp_path, request)
    for phase in random_history(seed).phases:
        made.tracker.storage.apply(Batch(entries=phase.entries))
    return made


def test_daily_figures_equal_the_series(tool: Tool) -> None:
    """Day by day and channel by channel."""
    since, until = tool.interval()
    figures = ("page_views", "visitors", "visits")
    rows = tool.ask(f"SELECT day, channel, {', '.join(figures)} FROM daily_figures WHERE service = 'news'")
    assert rows
    for number, figure in enumerate(figures, start=2):
        shown = {(day, channel): row[number] for row in rows for day, channel in [row[:2]] if row[number]}
        assert shown == {
            (str(point.since), channel): point.value
            for channel in CHANNELS
            for point in tool.tracker.statistics.series(figure, since, until, channel=channel).rows
            if point.value
        }


def test_daily_orders_equal_the_series(tool: Tool) -> None:
    """Of all currencies together."""
    since, until = tool.interval()
    query = "SELECT day, sum(orders) FROM daily_revenue WHERE service = 'news' GROUP BY day"
    shown = {day: orders for day, orders in tool.ask(query) if orders}
    series = tool.tracker.statistics.series("orders", since, until)
    assert shown == {str(point.since): point.value for point in series.rows if point.value}


def test_daily_revenue_is_exact(tool: Tool) -> None:
    """In millionths, by currency; beside it in units, as near as SQL's numbers come."""
    since, until = tool.interval()
    query = "SELECT day, currency, revenue_millionths, revenue FROM daily_revenue WHERE service = 'news'"
    rows = [row for row in tool.ask(query) if row[2]]
    assert all(abs(units * 1_000_000 - millionths) < 1 for _, _, millionths, units in rows)
    shown = {(day, currency): millionths for day, currency, millionths, _ in rows}
    series = tool.tracker.statistics.series("revenue", since, until)
    assert shown == {
        (str(point.since), currency): int(amount * 1_000_000)
        for point in series.rows
        if isinstance(point.value, dict)
        for currency, amount in point.value.items()
        if amount
    }


def test_interests_are_the_categories_of_pages(tool: Tool) -> None:
    """Every view of a page with a category, whoever else saw that page."""
    since, until = tool.interval()
    ranked = tool.tracker.statistics.categories(since, until, top=None).rows
    query = """
        SELECT category, sum(page_views), count(*) FROM visitor_interests
        WHERE service = 'news' AND page_views > 0 GROUP BY 1
    """
    shown = {category: (views, visitors) for category, views, visitors in tool.ask(query)}
    assert shown == {row.category: (row.page_views, row.visitors) for row in ranked if row.page_views}


def test_purchases_are_those_of_the_categories(tool: Tool) -> None:
    """Whoever has one in a category is one of its buyers."""
    since, until = tool.interval()
    ranked = tool.tracker.statistics.categories(since, until, top=None).rows
    query = """
        SELECT category, count(*) FROM visitor_interests WHERE service = 'news' AND purchases > 0 GROUP BY 1
    """
    assert dict(tool.ask(query)) == {row.category: row.buyers for row in ranked if row.buyers}


def test_clients_are_those_who_ordered(tool: Tool) -> None:
    """And nobody is named by his alias: the numbers are the same in each view, and a float holds them."""
    since, until = tool.interval()
    figures = tool.tracker.statistics.summary(since, until)
    query = "SELECT count(DISTINCT visitor) FROM clients WHERE service = 'news'"
    assert tool.ask(query) == [(figures.clients,)]
    clients = {visitor for (visitor,) in tool.ask("SELECT visitor FROM clients")}
    buyers = {visitor for (visitor,) in tool.ask("SELECT visitor FROM visitor_interests WHERE purchases > 0")}
    assert buyers
    assert buyers <= clients
    assert all(isinstance(visitor, int) and 0 <= visitor < 2**53 for visitor in clients)


def test_an_order_counts_once_in_each_category(empty: Tool) -> None:
    """As in what `visitor ALIAS` shows; a cancelled one does not."""
    tell = Teller()
    entries = [
        tell.view("2026-03-02T12:00", category="music"),
        tell.purchase("2026-03-03T12:00", "A", category="music", more=_twice("music", "games")),
        tell.purchase("2026-03-04T12:00", "B", category="music"),
        tell.purchase("2026-03-05T12:00", "C", category="games"),
        tell.refund("2026-03-06T12:00", "C"),
    ]
    empty.tracker.storage.apply(Batch(entries=entries))
    query = "SELECT category, page_views, purchases, first_day, last_day FROM visitor_interests ORDER BY 1"
    assert empty.ask(query) == [
        ("games", 0, 1, "2026-03-03", "2026-03-03"),
        ("music", 1, 2, "2026-03-02", "2026-03-04"),
    ]
    query = "SELECT orders, revenue_millionths, revenue, first_order_utc, last_order_utc FROM clients"
    assert empty.ask(query) == [(2, 8_000_000, 8.0, "2026-03-03 11:00:00", "2026-03-04 11:00:00")]


def _twice(*categories: str) -> list[Item]:
    return [Item(f"more-{name}", "More", name, Decimal(1), 1) for name in categories]


def test_days_without_their_raw_events_are_not_shown(empty: Tool) -> None:
    """Nor the day after them, whose first visits may have begun before it: every day shown is right."""
    tell = Teller()
    moments = [f"2026-03-{day:02}T{time}" for day in range(2, 6) for time in ("00:05", "12:00", "23:50")]
    entries = [tell.view(moment) for moment in moments]
    empty.tracker.storage.apply(Batch(entries=[*entries, tell.purchase("2026-03-02T12:01", "A")]))
    query = "SELECT day, page_views, visitors, visits FROM daily_figures ORDER BY day"
    whole = [(f"2026-03-{day:02}", 3, 1, 3 if day == 2 else 2) for day in range(2, 6)]
    assert empty.ask(query) == whole
    cut = Cut(
        raw_before=local_day("2026-03-03"),
        idle_since_day=local_day("2020-01-01"),
        idle_since_us=instant("2020-01-01"),
    )
    empty.tracker.storage.custody().purge(NEWS.namespace, cut, dry_run=False)
    assert empty.ask(query) == whole[2:]
    assert empty.ask("SELECT day, orders FROM daily_revenue") == [("2026-03-02", 1)]


def test_texts_that_a_column_cannot_hold(empty: Tool) -> None:
    """A path or a category with a zero character keeps nobody from reading the view."""
    tell = Teller()
    views = [tell.view("2026-03-02T12:00", path="/\0", category=name) for name in ("a\0b", 'q"\\u0000', "é")]
    empty.tracker.storage.apply(Batch(entries=views))
    shown = {category for (category,) in empty.ask("SELECT category FROM visitor_interests")}
    assert len(shown) == 3
    assert 'q"\\u0000' in shown
    assert empty.ask("SELECT page_views FROM visitor_interests WHERE category = 'é'") == [(1,)]


def test_a_namespace_has_visitors_of_its_own(empty: Tool) -> None:
    """One alias before and after the service was attached to another is two people, on the same day, too."""
    before = Teller()
    after = before.of(origin=Origin(NEWS.service, "before", GAP_US))
    empty.tracker.storage.apply(Batch(entries=[t.view("2026-03-02T12:00", category="a") for t in (before, after)]))
    assert empty.ask("SELECT page_views, visitors, visits FROM daily_figures") == [(2, 2, 2)]
    assert empty.ask("SELECT count(DISTINCT visitor) FROM visitor_interests") == [(2,)]


def test_whoever_comes_back_after_his_erasure_is_new(empty: Tool) -> None:
    """No number of before leads to him."""
    tell, query = Teller(), "SELECT visitor FROM visitor_interests WHERE category = 'a'"
    other = tell.of(key="400000000002").view("2026-03-03T12:00")
    numbers = []
    for day in (2, 4):
        entries = [tell.view(f"2026-03-{day:02}T12:00", category="a"), other]
        empty.tracker.storage.apply(Batch(entries=entries))
        numbers += empty.ask(query)
        empty.tracker.storage.erase(NEWS.namespace, tell.key, instant(f"2026-03-{day + 1:02}T12:00"))
        assert empty.ask(query) == []
    assert len(numbers) == len(set(numbers)) == 2


def test_a_reader_of_the_views_reads_nothing_else(empty: Tool) -> None:
    """Neither the keys nor the salt that numbers are made with; and he changes nothing."""
    empty.tracker.storage.ledger()
    if empty.server is None:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            empty.ask("DELETE FROM visitors")
        return
    if isinstance(empty.server, Cluster):
        url = empty.server.url(user=empty.granted(empty.server))
        with psycopg.connect(url) as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("SELECT * FROM daily_figures")
        return
    assert empty.ask("SELECT * FROM daily_figures") == []
    for table in ("visitors", "events", "orders", "view_salts"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            empty.ask(f"SELECT * FROM {table}")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        empty.ask("CREATE TEMPORARY TABLE mine (id integer)")


@pytest.mark.parametrize("gap_hours", [22, 50])
def test_visits_with_a_long_gap(empty: Tool, gap_hours: int) -> None:
    """They go on over midnight, and over days without anything."""
    origin = Origin(NEWS.service, NEWS.namespace, GAP_US * 2 * gap_hours)
    tell = Teller(origin=origin)
    moments = ("2026-03-02T12:00", "2026-03-03T09:00", "2026-03-05T09:00", "2026-03-05T09:00", "2026-03-09T09:00")
    empty.tracker.storage.apply(Batch(entries=[tell.view(moment) for moment in moments]))
    begun = ["2026-03-02", *(["2026-03-05"] if gap_hours == 22 else []), "2026-03-09"]
    query = "SELECT day, visits FROM daily_figures WHERE visits > 0 ORDER BY day"
    assert empty.ask(query) == [(day, 1) for day in begun]
