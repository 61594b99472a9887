"""The figures as DuckDB gives them from its own file: one SQL question each, and the same from our statistics.

Both sides of a question give plain tuples, so that they can be compared before they are timed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, NamedTuple

import duckdb

from alias_middleware.figures import Statistics
from alias_middleware.statistics.frequency import DAYS, VISITS
from benchmarks.base import GAP_US

Rows = list[tuple[Any, ...]]


class Question(NamedTuple):
    """One question by both ways."""

    name: str
    ours: Callable[[Statistics], Rows]
    theirs: Callable[[duckdb.DuckDBPyConnection], Rows]


def questions(since: date, until: date) -> list[Question]:
    """Ask for the last 30 days and for all."""
    month = until - timedelta(days=30)
    both = [(month, until, "30 days"), (since, until, f"{(until - since).days} days")]
    return [
        *(_summary(*period) for period in both),
        *(_series(*period) for period in both),
        *(_frequency(*period) for period in both),
        *(_categories(*period) for period in both),
        *(_products(*period) for period in both),
        _cohorts(since, until),
    ]


_ACTS = "(SELECT day, time_us, visitor FROM views UNION ALL SELECT day, time_us, visitor FROM orders)"
_BEGUN = f"""
    (SELECT visitor, day, time_us FROM
        (SELECT visitor, day, time_us, lag(time_us) OVER (PARTITION BY visitor ORDER BY time_us) AS previous_us
        FROM {_ACTS} WHERE day >= $earlier AND day < $until)
    WHERE day >= $since AND (previous_us IS NULL OR time_us - previous_us > {GAP_US}))
"""
"""Visits that began in the period. What came the day before may be the beginning of one."""

_SUMMARY = f"""
    WITH viewers AS (SELECT DISTINCT visitor FROM views WHERE day >= $since AND day < $until),
        arrivals AS (SELECT visitor, min(day) AS day FROM {_ACTS} GROUP BY visitor),
        clients AS (SELECT visitor, count(*) AS orders, sum(price * quantity) AS revenue
            FROM orders WHERE day >= $since AND day < $until GROUP BY visitor)
    SELECT (SELECT count(*) FROM viewers),
        (SELECT count(*) FROM viewers JOIN arrivals USING (visitor) WHERE day >= $since AND day < $until),
        (SELECT count(*) FROM {_BEGUN}),
        (SELECT count(*) FROM views WHERE day >= $since AND day < $until),
        (SELECT count(*) FROM clients),
        (SELECT CAST(sum(orders) AS BIGINT) FROM clients),
        (SELECT CAST(sum(revenue) AS BIGINT) FROM clients),
        (SELECT round(avg(revenue / orders), 4) FROM clients)
"""
_SERIES = (
    "SELECT day, count(DISTINCT visitor) FROM views WHERE day >= $since AND day < $until GROUP BY day ORDER BY day"
)
_BY_VISITS = f"""
    SELECT coalesce(visits, 0), count(*) FROM
        (SELECT DISTINCT visitor FROM views WHERE day >= $since AND day < $until)
        LEFT JOIN (SELECT visitor, count(*) AS visits FROM {_BEGUN} GROUP BY visitor) USING (visitor)
    GROUP BY 1
"""
_BY_DAYS_SINCE = f"""
    SELECT apart, count(*) FROM
        (SELECT day, day - lag(day) OVER (PARTITION BY visitor ORDER BY time_us) AS apart
        FROM {_BEGUN.replace("$since", "DATE '1970-01-01'").replace("$earlier", "DATE '1970-01-01'")})
    WHERE day >= $since GROUP BY apart
"""
_CATEGORIES = """
    SELECT v.category, page_views, visitors, coalesce(buyers, 0), coalesce(revenue, 0) FROM
        (SELECT category, count(*) AS page_views, count(DISTINCT visitor) AS visitors
        FROM views WHERE day >= $since AND day < $until GROUP BY category) v
        LEFT JOIN (SELECT category, count(DISTINCT visitor) AS buyers,
            CAST(sum(price * quantity) AS BIGINT) AS revenue
        FROM orders WHERE day >= $since AND day < $until GROUP BY category) o USING (category)
    ORDER BY page_views DESC, v.category LIMIT 10
"""
_PRODUCTS = """
    SELECT sku, CAST(sum(quantity) AS BIGINT) AS sold, count(*), count(DISTINCT visitor),
        CAST(sum(price * quantity) AS BIGINT)
    FROM orders WHERE day >= $since AND day < $until GROUP BY sku ORDER BY sold DESC, sku LIMIT 10
"""
_COHORTS = f"""
    WITH seen AS (SELECT DISTINCT visitor, date_trunc('month', day) AS month FROM views
            WHERE day >= $since AND day < $until),
        fresh AS (SELECT visitor, date_trunc('month', min(day)) AS month FROM {_ACTS} GROUP BY visitor),
        cohorts AS (SELECT visitor, month FROM fresh JOIN seen USING (visitor, month))
    SELECT CAST(c.month AS DATE), CAST(s.month AS DATE), count(*)
    FROM cohorts c JOIN seen s ON s.visitor = c.visitor AND s.month >= c.month GROUP BY 1, 2 ORDER BY 1, 2
"""


def _asked(sql: str, since: date, until: date) -> Callable[[duckdb.DuckDBPyConnection], Rows]:
    named = {"since": since, "until": until, "earlier": since - timedelta(days=1)}
    given = {name: value for name, value in named.items() if f"${name}" in sql}
    return lambda connection: connection.execute(sql, given).fetchall()


def _summary(since: date, until: date, what: str) -> Question:
    def ours(statistics: Statistics) -> Rows:
        told = statistics.summary(since, until)
        counted = (told.visitors, told.new_visitors, told.visits, told.page_views, told.clients, told.orders)
        money = told.revenue.get("EUR", 0), told.average_basket_per_client.get("EUR", 0)
        return [(*counted, int(money[0]), round(float(money[1]), 4))]

    return Question(f"summary, {what}", ours, _asked(_SUMMARY, since, until))


def _series(since: date, until: date, what: str) -> Question:
    def ours(statistics: Statistics) -> Rows:
        return [(point.since, point.value) for point in statistics.series("visitors", since, until).rows]

    return Question(f"visitors by day, {what}", ours, _asked(_SERIES, since, until))


def _frequency(since: date, until: date, what: str) -> Question:
    by_visits, by_days = _asked(_BY_VISITS, since, until), _asked(_BY_DAYS_SINCE, since, until)

    def ours(statistics: Statistics) -> Rows:
        told = statistics.frequency(since, until)
        return [(*(row.visitors for row in told.rows), *(row.visits for row in told.recency))]

    def theirs(connection: duckdb.DuckDBPyConnection) -> Rows:
        visitors = _grouped(by_visits(connection), VISITS)
        visits: dict[int | None, int] = dict(by_days(connection))
        first = visits.pop(None, 0)
        return [(*visitors, *_grouped(list(visits.items()), DAYS), first)]

    return Question(f"frequency, {what}", ours, theirs)


def _grouped(counted: Rows, limits: tuple[int, ...]) -> list[int]:
    groups: Counter[int] = Counter()
    for number, how_many in counted:
        groups[bisect_left(limits, number)] += how_many
    return [groups[place] for place in range(len(limits) + 1)]


def _categories(since: date, until: date, what: str) -> Question:
    def ours(statistics: Statistics) -> Rows:
        return [
            (row.category, row.page_views, row.visitors, row.buyers, int(row.revenue.get("EUR", 0)))
            for row in statistics.categories(since, until).rows
        ]

    return Question(f"categories, {what}", ours, _asked(_CATEGORIES, since, until))


def _products(since: date, until: date, what: str) -> Question:
    def ours(statistics: Statistics) -> Rows:
        return [
            (row.sku, row.quantity, row.orders, row.buyers, int(row.revenue.get("EUR", 0)))
            for row in statistics.products(since, until).rows
        ]

    return Question(f"products, {what}", ours, _asked(_PRODUCTS, since, until))


def _cohorts(since: date, until: date) -> Question:
    def ours(statistics: Statistics) -> Rows:
        rows = statistics.cohorts(since, until).rows
        return [
            (row.since, rows[place + later].since, number)
            for place, row in enumerate(rows)
            for later, number in enumerate(row.retained)
            if number
        ]

    return Question("cohorts by month", ours, _asked(_COHORTS, since, until))
