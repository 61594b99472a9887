"""Comparing every figure that a storage's roll-ups give with the slow reading of the raw events."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import Any

import msgspec

from alias_middleware.events import Channel
from alias_middleware.figures import EVERY_SERVICE, Statistics
from alias_middleware.profile import decode_knowledge
from alias_middleware.settings import make_settings
from alias_middleware.statistics import clients
from alias_middleware.statistics.intervals import periods
from alias_middleware.storage.base import Scope, Storage
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.testing.histories import ELSEWHERE, NEWS, SHOP, ZONE, History
from alias_middleware.testing.reference import Reference

_CHANNELS: tuple[Channel | None, ...] = (None, "web", "sms")
_SERVICES = (NEWS.service, SHOP.service, ELSEWHERE.service, EVERY_SERVICE)
_ORDERS: tuple[tuple[clients.Order, str], ...] = (
    ("first_seen", ""),
    ("last_seen", ""),
    ("visits", ""),
    ("page_views", ""),
    ("orders", ""),
    ("revenue", "EUR"),
    ("revenue", "CHF"),
)
_FOLLOWED = ("visitors", "new_visitors", "visits", "page_views", "average_basket")


def check_figures(storage: Storage, reference: MemoryStorage, history: History) -> None:
    """Compare every figure of each service over an interval of a history, all of them over the whole."""
    named = {"service": NEWS.service, "reference": NEWS.namespace, "trusted_gateways": ["10.0.0.1"]}
    statistics = Statistics(storage, make_settings({**named, "storage": storage}))
    random = Random(len(reference.entries()))
    for service in _SERVICES:
        channel = random.choice(_CHANNELS)
        scope = Scope(NEWS.namespace, None if service == EVERY_SERVICE else service, channel)
        asked = {"service": service, "channel": channel}
        whole = history.days.start, history.days.stop
        since, until = sorted(random.sample(history.days, k=2)) if service == NEWS.service else whole
        slow = _reading(reference, scope)
        _check(statistics, slow, date.fromordinal(since), date.fromordinal(until), asked)
        _check_series(statistics, slow, random.choice(_FOLLOWED), date.fromordinal(since), asked)
    _check_visitors(statistics, reference, random.choice(_ORDERS))


def _reading(reference: MemoryStorage, scope: Scope) -> Reference:
    def unidentified(since: int, until: int) -> int:
        return 0 if scope.channel == "sms" else reference.unidentified(scope, since, until)

    return Reference(reference.entries(), unidentified, scope, ZONE)


def _check(statistics: Statistics, slow: Reference, since: date, until: date, asked: Any) -> None:
    first, last = since.toordinal(), until.toordinal()
    where = (str(since), str(until), asked)
    found = msgspec.structs.asdict(statistics.summary(since, until, **asked))
    expected = slow.summary(first, last)
    assert {name: found[name] for name in expected} == expected, where
    frequency = statistics.frequency(since, until, **asked)
    by_visits, by_days = slow.frequency(first, last)
    assert {row.visits: row.visitors for row in frequency.rows if row.visitors} == by_visits, where
    assert {row.days: row.visits for row in frequency.recency if row.visits} == by_days, where
    rankings = (statistics.pages, slow.pages), (statistics.categories, slow.categories)
    for fast, reading in rankings:
        assert _rows(fast(since, until, top=None, **asked).rows) == reading(first, last), where
    products = _rows(statistics.products(since, until, top=None, **asked).rows)
    assert [row[:-1] for row in products] == slow.products(first, last), where
    cohorts = statistics.cohorts(since, until, by="day", **asked).rows
    assert [(row.visitors, row.retained) for row in cohorts] == slow.cohorts(range(first, last + 1)), where
    hours = statistics.hours(since, until, **asked).rows
    busy = {(row.weekday, row.hour): (row.page_views, row.visits) for row in hours if row.page_views or row.visits}
    assert busy == slow.hours(first, last), where


def _check_series(statistics: Statistics, slow: Reference, name: str, since: date, asked: Any) -> None:
    """Two weeks, of which the first is cut, against the weeks before."""
    until = since + timedelta(days=8)
    series = statistics.series(name, since, until, by="week", compare="previous", **asked)
    assert [(row.since, row.until) for row in series.rows] == periods(since, until, "week")
    days = 7 * len(series.rows)
    for row in series.rows:
        first, last = row.since.toordinal(), row.until.toordinal()
        assert row.value == slow.summary(first, last)[name], (name, asked)
        assert row.previous == slow.summary(first - days, last - days)[name], (name, asked)


def _rows(rows: list[Any]) -> list[tuple[Any, ...]]:
    return [msgspec.structs.astuple(row) for row in rows]


def _check_visitors(statistics: Statistics, reference: MemoryStorage, order: tuple[clients.Order, str]) -> None:
    """The visitors in one order, page by page, against a plain sort."""
    order_by, currency = order
    keys = {entry.event.key for entry in reference.entries() if entry.origin.namespace == NEWS.namespace}
    known = {key: decode_knowledge(reference.read_knowledge(NEWS.namespace, key)) for key in keys}
    value = {
        key: one.revenue.get(currency, 0) if order_by == "revenue" else getattr(one, order_by) or 0
        for key, one in known.items()
    }
    rows: list[clients.Client] = []
    after = None
    while not rows or after is not None:
        page = statistics.visitors(order_by=order_by, limit=2, after=after, currency=currency)
        rows += page.rows
        after = page.after
    expected = sorted(keys, key=lambda key: (-value[key], key))
    assert rows == [clients.client_of(key, known[key]) for key in expected], order
