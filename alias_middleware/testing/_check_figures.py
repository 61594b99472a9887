"""Comparing every figure that a storage's roll-ups give with the slow reading of the raw events.

Each service and the whole namespace are compared, over both channels and each, on the whole of a history or on a
part of it: the summary, how often visitors come, pages, categories, products, cohorts and hours. Every series, by
day, week and month beside the one before, is compared for one of them. What is drawn, the history's recipe draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from itertools import product
from random import Random
from typing import Any, get_args

import msgspec

from alias_middleware.events import Channel
from alias_middleware.figures import EVERY_SERVICE, Statistics
from alias_middleware.local_time import from_micros
from alias_middleware.settings import make_settings
from alias_middleware.statistics import clients
from alias_middleware.statistics.intervals import By, ordinals, periods, previous
from alias_middleware.statistics.series import FOLLOWED
from alias_middleware.storage.base import Scope, Storage
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.testing.histories import ELSEWHERE, NEWS, SHOP, ZONE, History
from alias_middleware.testing.reference import Reference

Interval = tuple[date, date]
Asked = dict[str, Any]

_CHANNELS: tuple[Channel | None, ...] = (None, *get_args(Channel))
_SERVICES = (NEWS.service, SHOP.service, ELSEWHERE.service, EVERY_SERVICE)
_BY: tuple[By, ...] = get_args(By)
_ORDERS: tuple[tuple[clients.Order, str], ...] = (
    *((order, "") for order in get_args(clients.Order) if order != "revenue"),
    ("revenue", "EUR"),
    ("revenue", "CHF"),
)


def check_figures(storage: Storage, reference: MemoryStorage, history: History) -> None:
    """Compare every figure that there is; an assertion that fails says of whom and of which days."""
    named = {"service": NEWS.service, "reference": NEWS.namespace, "trusted_gateways": ["10.0.0.1"]}
    statistics = Statistics(storage, make_settings({**named, "storage": storage}))
    random = Random(f"{history.recipe} {len(reference.entries())}")
    scopes = list(product(_SERVICES, _CHANNELS))
    followed = random.choice(scopes)
    whole = date.fromordinal(history.days.start), date.fromordinal(history.days.stop)
    for service, channel in scopes:
        scope = Scope(NEWS.namespace, None if service == EVERY_SERVICE else service, channel)
        slow = _reading(reference, scope)
        asked: Asked = {"service": service, "channel": channel}
        since, until = map(date.fromordinal, sorted(random.sample(history.days, k=2)))
        interval = random.choice([whole, (since, until)])
        _check_tables(statistics, slow, interval, asked)
        if (service, channel) == followed:
            _check_series(statistics, slow, whole, asked)
            _check_what_is_cut(statistics, slow, whole, asked)
    _check_visitors(statistics, _reading(reference, Scope(NEWS.namespace, None, None)))


def _reading(reference: MemoryStorage, scope: Scope) -> Reference:
    def unidentified(since: int, until: int) -> int:
        return 0 if scope.channel == "sms" else reference.unidentified(scope, since, until)

    return Reference(reference.entries(), unidentified, scope, ZONE)


def _check_tables(statistics: Statistics, slow: Reference, interval: Interval, asked: Asked) -> None:
    """Compare everything but series: each row with all of its columns."""
    days, where = ordinals(*interval), (str(interval[0]), str(interval[1]), asked)
    found = msgspec.structs.asdict(statistics.summary(*interval, **asked))
    expected = slow.summary(*days)
    assert {name: found[name] for name in expected} == expected, where
    assert expected.keys() == FOLLOWED, "a figure that is read off nothing"
    frequency = statistics.frequency(*interval, **asked)
    assert frequency.visits_per_visitor == expected["visits_per_visitor"], where
    by_visits, by_days = slow.frequency(*days)
    assert {row.visits: (row.visitors, row.share) for row in frequency.rows if row.visitors} == by_visits, where
    assert {row.days: (row.visits, row.share) for row in frequency.recency if row.visits} == by_days, where
    for fast, reading in _rankings(statistics, slow):
        assert _rows(fast(*interval, top=None, **asked).rows) == reading(*days), where
    for by in _BY:
        _check_cohorts(statistics, slow, interval, by, asked)
    hours = statistics.hours(*interval, **asked).rows
    busy = {(row.weekday, row.hour): (row.page_views, row.visits, row.share) for row in hours}
    read = slow.hours(*days)
    assert {hour: found for hour, found in busy.items() if hour in read or any(found[:2])} == read, where


def _check_cohorts(statistics: Statistics, slow: Reference, interval: Interval, by: By, asked: Asked) -> None:
    begins = [since.toordinal() for since, _ in periods(*interval, by)]
    found = statistics.cohorts(*interval, by=by, **asked).rows
    assert [row.since.toordinal() for row in found] == begins
    rows = [(row.visitors, row.retained, row.retention) for row in found]
    assert rows == slow.cohorts([*begins, interval[1].toordinal()]), (by, asked)


def _check_series(statistics: Statistics, slow: Reference, whole: Interval, asked: Asked) -> None:
    """Compare every figure by every period of the second half, the first of them cut, beside the ones before."""
    read = cache(slow.summary)
    interval = whole[0] + timedelta(days=len(periods(*whole, "day")) // 2), whole[1]
    for name, by in product(sorted(FOLLOWED), _BY):
        series = statistics.series(name, *interval, by=by, compare="previous", **asked)
        divided = periods(*interval, by)
        back = timedelta(days=len(divided) * (1 if by == "day" else 7))
        before = previous(*interval, by) if by == "month" else [(now - back, end - back) for now, end in divided]
        assert [(row.since, row.until) for row in series.rows] == divided
        for row, now, earlier in zip(series.rows, divided, before, strict=True):
            assert row.value == read(*ordinals(*now))[name], (name, by, now, asked)
            assert row.previous == read(*ordinals(*earlier))[name], (name, by, earlier, asked)


def _check_what_is_cut(statistics: Statistics, slow: Reference, whole: Interval, asked: Asked) -> None:
    """Compare the first of each ranking, and several summaries at once with each alone."""
    for fast, reading in _rankings(statistics, slow):
        assert _rows(fast(*whole, top=2, **asked).rows) == reading(*ordinals(*whole))[:2], asked
    halves = [(whole[0], whole[0] + timedelta(days=4)), (whole[0] + timedelta(days=4), whole[1])]
    alone = [statistics.summary(*each, **asked) for each in halves]
    assert statistics.summaries(halves, **asked) == alone, asked


def _rankings(statistics: Statistics, slow: Reference) -> list[tuple[Any, Any]]:
    return [
        (statistics.pages, slow.pages),
        (statistics.categories, slow.categories),
        (statistics.products, slow.products),
    ]


def _rows(rows: list[Any]) -> list[tuple[Any, ...]]:
    return [msgspec.structs.astuple(row) for row in rows]


def _check_visitors(statistics: Statistics, slow: Reference) -> None:
    """Compare the namespace's visitors in every order, page by page, with a plain sort."""
    read = slow.clients()
    for order_by, currency in _ORDERS:
        expected = sorted(read, key=lambda row: (-_value(row, order_by, currency), row["visitor"]))
        assert list(_pages(statistics, order_by, currency)) == expected, (order_by, currency)


def _value(row: dict[str, Any], order_by: str, currency: str) -> Any:
    if order_by == "revenue":
        return row["revenue"].get(currency, 0)
    if order_by in {"first_seen", "last_seen"}:
        return (row[order_by] or from_micros(0)).timestamp()
    return row[order_by]


def _pages(statistics: Statistics, order_by: clients.Order, currency: str) -> Iterator[dict[str, Any]]:
    after, more = None, True
    while more:
        page = statistics.visitors(order_by=order_by, limit=2, after=after, currency=currency)
        yield from map(msgspec.structs.asdict, page.rows)
        after, more = page.after, page.after is not None
