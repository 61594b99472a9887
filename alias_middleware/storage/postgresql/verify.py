"""Checking what is derived in PostgreSQL against the raw events: roll-ups, visitors' rows, category sums."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from alias_middleware.events import restore
from alias_middleware.rollups.model import SECTIONS
from alias_middleware.storage.base import Difference
from alias_middleware.storage.lives import Life, Service, copies_of
from alias_middleware.storage.postgresql import figures, planning
from alias_middleware.storage.postgresql.days import roll_up_day
from alias_middleware.storage.postgresql.marks import marks
from alias_middleware.storage.postgresql.numbering import Who, numbers_of
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.postgresql.sections import CHANNELS, sections_of
from alias_middleware.storage.verifying import KeptSums, Row, Verification

_UNMARKED = """
    SELECT DISTINCT e.service, e.day FROM events e
    LEFT JOIN changes c ON c.service = e.service AND c.day = e.day
    WHERE e.day >= %s AND e.day < %s AND e.kind NOT IN ('r', 'u') AND c.day IS NULL
"""
_ROWS_AT_ONCE = 10_000
_VISITORS_AT_ONCE = 2000
_SERVICES = """
    SELECT s.id, s.service, s.namespace,
        (SELECT visit_gap_us FROM services WHERE service = s.service ORDER BY id LIMIT 1)
    FROM services s
"""
_EVENTS = """
    SELECT s.namespace, e.key, e.time_us, e.day, e.service, e.channel, e.kind, e.body
    FROM events e JOIN services s ON s.id = e.service
    ORDER BY s.namespace COLLATE "C", e.key COLLATE "C", e.day, e.time_us
"""
_ORDERS = """
    SELECT s.namespace, o.key, o.time_us, e.body, o.service, o.currency, NULL::bigint, o.net, o.cancelled,
        r.id IS NOT NULL, r.amount
    FROM orders o JOIN services s ON s.id = o.service
    JOIN events e ON e.day = o.day AND e.service = o.service AND e.key = o.key
        AND e.time_us = o.time_us AND e.id = o.id
    LEFT JOIN refunds r ON r.key = o.key AND r.service = o.service AND r.order_id = o.order_id
    ORDER BY s.namespace COLLATE "C", o.key COLLATE "C"
"""
_ARRIVALS = "SELECT key, service, day FROM arrivals"
_VISITORS = """
    SELECT namespace, key, knowledge, habits FROM visitors ORDER BY namespace COLLATE "C", key COLLATE "C"
"""
_HORIZONS = "SELECT namespace, frozen_before FROM horizons"
_SUMS = "SELECT namespace, category, recent, whole FROM category_sums"
_LAST_DAYS = """
    SELECT s.namespace, max(c.day) FROM changes c JOIN services s ON s.id = c.service GROUP BY s.namespace
"""


def verify(connection: Connection, since: int, until: int) -> list[Difference]:
    """Compare everything derived with the raw events; visitors who differ are named by their numbers."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    connection.execute("SET LOCAL statement_timeout = 0")
    services = {id_: Service(*rest) for id_, *rest in connection.execute(_SERVICES).fetchall()}
    planning.look_up(connection)
    rollups = list(_differing_rollups(connection, services, since, until))
    planning.scan(connection)
    unmarked = list(_unmarked_days(connection, services, since, until))
    check = Verification(_arrivals(connection, services), dict(connection.execute(_HORIZONS).fetchall()))
    differing = list(_differing_visitors(connection, services, check))
    sums = check.compare_sums(_sums(connection), dict(connection.execute(_LAST_DAYS).fetchall()))
    connection.execute("COMMIT")
    numbers = numbers_of(connection, {who for _, who in differing})
    return [*unmarked, *rollups, *(Difference(what, visitor=numbers[who]) for what, who in differing), *sums]


def _differing_rollups(
    connection: Connection, services: Mapping[int, Service], since: int, until: int
) -> Iterator[Difference]:
    """Compare the kept roll-ups that are said to hold with new ones."""
    kept = figures.find(connection, marks(connection, services, since, until), CHANNELS, SECTIONS)
    for (service, day), channels in sorted(kept.items()):
        name, _, gap_us = services[service]
        anew = roll_up_day(connection, service, day, gap_us)
        for channel, rollup in anew.items():
            held = channels.get(channel)
            for section in sections_of(channel):
                if held is None or getattr(held, section) != getattr(rollup, section):
                    yield Difference(section, name, day, channel)


def _unmarked_days(
    connection: Connection, services: Mapping[int, Service], since: int, until: int
) -> Iterator[Difference]:
    """Name the days that no figure has though there are events of theirs: nothing says that they are there."""
    for service, day in connection.execute(_UNMARKED, (since, until)).fetchall():
        yield Difference("day", services[service].name, day)


def _differing_visitors(
    connection: Connection, services: Mapping[int, Service], check: Verification[Who]
) -> Iterator[tuple[str, Who]]:
    """Compare what the rows of visitors say, and their arrivals, with all their raw events."""
    rows = _stream(connection, "visitors", _VISITORS)
    events, orders = (_Sorted(_stream(connection, *each)) for each in (("events", _EVENTS), ("orders", _ORDERS)))
    more = True
    while more:
        some = [Row((row[0], row[1]), row[0], *row[2:]) for row in islice(rows, _VISITORS_AT_ONCE)]
        more = len(some) == _VISITORS_AT_ONCE
        last = some[-1].who if more else None
        yield from check.compare(some, _lives(services, events.upto(last), orders.upto(last)))
    yield from check.compare_rest()


class _Sorted:
    """Rows in the order of the people whose they are, handed out some people at a time."""

    def __init__(self, rows: Iterator[Any]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def upto(self, last: Who | None) -> Iterator[Any]:
        """Give the rows of all people up to one; of all that are left without one."""
        while self._next is not None and (last is None or self._next[:2] <= last):
            yield self._next
            self._next = next(self._rows, None)


def _lives(services: Mapping[int, Service], events: Iterable[Any], orders: Iterable[Any]) -> dict[Who, Life]:
    """Follow some visitors through all their raw events."""
    lives: dict[Who, Life] = {}
    whose = itemgetter(0, 1)
    for who, rows in groupby(events, whose):
        life = lives[who] = Life(who[0])
        for _, _, time_us, day, service, channel, kind, body in rows:
            event = restore(kind, "", time_us=time_us, day=day, channel=channel, body=body)
            life.follow(event, service, services[service].gap_us)
    for who, rows in groupby(orders, whose):
        lives[who].settle(copies_of(row[2:] for row in rows))
    return lives


def _arrivals(connection: Connection, services: Mapping[int, Service]) -> dict[Who, dict[int, int]]:
    """Give everybody's first day by service."""
    arrivals: dict[Who, dict[int, int]] = defaultdict(dict)
    for key, service, day in _stream(connection, "arrivals", _ARRIVALS):
        arrivals[services[service].namespace, key][service] = day
    return arrivals


def _sums(connection: Connection) -> list[KeptSums]:
    rows = connection.execute(_SUMS, binary=True).fetchall()
    return [KeptSums(namespace, category.decode(), *sums) for namespace, category, *sums in rows]


def _stream(connection: Connection, name: str, query: str) -> Iterator[Any]:
    """Give the rows of a query about everybody, some at a time, by a cursor of that name."""
    with connection.cursor(name, binary=True) as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        yield from cursor.execute(query.encode())
