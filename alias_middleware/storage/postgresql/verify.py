"""Checking what is derived in PostgreSQL against the raw events: roll-ups, knowledge, arrivals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from alias_middleware.events import Purchase, restore
from alias_middleware.rollups.model import SECTIONS
from alias_middleware.storage.base import Difference
from alias_middleware.storage.chronicle import decode_chronicle
from alias_middleware.storage.lives import Life, Refunded, settle_orders
from alias_middleware.storage.postgresql import figures, planning
from alias_middleware.storage.postgresql.days import roll_up_day
from alias_middleware.storage.postgresql.marks import marks
from alias_middleware.storage.postgresql.numbering import Who, numbers_of
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.postgresql.sections import CHANNELS, sections_of

_AT_ONCE = 10_000
_SERVICES = """
    SELECT s.id, s.service, s.namespace,
        (SELECT visit_gap_us FROM services WHERE service = s.service ORDER BY id LIMIT 1)
    FROM services s
"""
_EVENTS = "SELECT key, time_us, day, service, channel, kind FROM events ORDER BY day, service, key, time_us"
_ORDERS = """
    SELECT o.key, o.service, o.order_id, o.currency, e.body, r.id IS NOT NULL, r.amount
    FROM orders o
    JOIN events e ON e.day = o.day AND e.service = o.service AND e.key = o.key
        AND e.time_us = o.time_us AND e.id = o.id
    LEFT JOIN refunds r ON r.key = o.key AND r.service = o.service AND r.order_id = o.order_id
"""
_ARRIVALS = "SELECT key, service, day FROM arrivals"
_VISITORS = "SELECT namespace, key, knowledge FROM visitors"
_HORIZONS = "SELECT namespace, purged_before FROM horizons"


class Service(NamedTuple):
    """A service as events name it by number."""

    name: str
    namespace: str
    gap_us: int


def verify(connection: Connection, since: int, until: int) -> list[Difference]:
    """Compare everything derived with the raw events; visitors who differ are named by their numbers."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    connection.execute("SET LOCAL statement_timeout = 0")
    services = {id_: Service(*rest) for id_, *rest in connection.execute(_SERVICES).fetchall()}
    planning.look_up(connection)
    differences = list(_differing_rollups(connection, services, since, until))
    planning.scan(connection)
    differing = list(_differing_visitors(connection, services))
    connection.execute("COMMIT")
    numbers = numbers_of(connection, {who for _, who in differing})
    return differences + [Difference(what, visitor=numbers[who]) for what, who in differing]


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


def _differing_visitors(connection: Connection, services: Mapping[int, Service]) -> Iterator[tuple[str, Who]]:
    """Compare what the rows of visitors say, and their arrivals, with all their raw events."""
    lives = _lives(connection, services)
    arrivals: dict[Who, dict[int, int]] = defaultdict(dict)
    for key, service, day in _stream(connection, _ARRIVALS):
        arrivals[services[service].namespace, key][service] = day
    purged: dict[str, int] = dict(connection.execute(_HORIZONS).fetchall())
    for namespace, key, knowledge in _stream(connection, _VISITORS):
        who, known = (namespace, key), decode_chronicle(knowledge)
        life, arrived = lives.pop(who, Life()), arrivals.pop(who, {})
        if known.days[0] < purged.get(namespace, 0):  # what he did then is known from here alone
            continue
        for what in life.differing(known):
            yield what, who
        if arrived != life.arrivals:
            yield "arrivals", who
    for who in sorted(lives.keys() | arrivals.keys()):
        yield "visitors", who


def _lives(connection: Connection, services: Mapping[int, Service]) -> dict[Who, Life]:
    """Follow everybody through all raw events."""
    lives: dict[Who, Life] = defaultdict(Life)
    for key, time_us, day, service, channel, kind in _stream(connection, _EVENTS):
        _, namespace, gap_us = services[service]
        life = lives[namespace, key]
        life.page_views += kind == "v"
        if kind not in {"r", "u"}:
            life.see(time_us, day, service, channel, gap_us)
    settle_orders(lives, _orders(connection, services))
    return lives


def _orders(connection: Connection, services: Mapping[int, Service]) -> Iterator[Refunded]:
    for key, service, order_id, currency, body, is_refund, refunded in _stream(connection, _ORDERS):
        order = restore("p", "", time_us=0, day=0, channel="web", body=body)
        if isinstance(order, Purchase):
            who = services[service].namespace, key
            yield Refunded(who, service, order_id, currency, order.amount, is_refund, refunded)


def _stream(connection: Connection, query: str) -> Iterator[Any]:
    """Give the rows of a query about everybody, some at a time."""
    with connection.cursor("verify", binary=True) as cursor:
        cursor.itersize = _AT_ONCE
        yield from cursor.execute(query.encode())
