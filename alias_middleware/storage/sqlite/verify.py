"""Checking what is derived in the history file against the raw events: roll-ups, visitors' rows, category sums."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, starmap
from operator import itemgetter

from alias_middleware.rollups.model import SECTIONS, Money, Pages, Products, Rollup, united
from alias_middleware.storage.base import Difference
from alias_middleware.storage.lives import Life, Service, copies_of
from alias_middleware.storage.sqlite import blocks
from alias_middleware.storage.sqlite.days import CHANNELS, OF_THE_SERVICE, roll_up_day
from alias_middleware.storage.sqlite.figures import FiguresFile, Rolled
from alias_middleware.storage.sqlite.marks import marks
from alias_middleware.storage.sqlite.pages import ShownPages
from alias_middleware.storage.verifying import KeptSums, Row, Verification

_UNMARKED = """
    SELECT DISTINCT service, day FROM events e WHERE day >= ? AND day < ? AND kind NOT IN ('r', 'u')
        AND NOT EXISTS (SELECT 1 FROM changes c WHERE c.service = e.service AND c.day = e.day)
"""
_AT_ONCE = 2000
_LAST = 2**63 - 1
_DAYS = """
    WITH RECURSIVE days (day) AS (
        SELECT min(day) FROM events
        UNION ALL SELECT (SELECT min(day) FROM events WHERE day > days.day) FROM days WHERE day IS NOT NULL
    )
    SELECT day FROM days WHERE day IS NOT NULL
"""
_EVENTS = """
    SELECT visitor, time_us, day, service, channel, kind, body FROM events
    WHERE day = ? AND visitor > ? AND visitor <= ? ORDER BY visitor, time_us
"""
_ORDERS = """
    SELECT o.visitor, o.time_us, e.body, o.service, o.currency, o.amount, o.net, o.cancelled,
        r.id IS NOT NULL, r.amount
    FROM orders o
    JOIN events e ON e.day = o.day AND e.visitor = o.visitor AND e.time_us = o.time_us AND e.id = o.id
    LEFT JOIN refunds r ON r.visitor = o.visitor AND r.service = o.service AND r.order_id = o.order_id
    WHERE o.visitor > ? AND o.visitor <= ? ORDER BY o.visitor
"""
_ROWS = "SELECT visitor, knowledge, habits FROM chronicles WHERE visitor > ? ORDER BY visitor LIMIT ?"
_SUMS = "SELECT namespace, category, CAST(recent AS REAL), CAST(whole AS REAL) FROM category_sums"
_LAST_DAYS = """
    SELECT s.namespace, max(c.day) FROM changes c JOIN services s ON s.id = c.service GROUP BY s.namespace
"""


def differing_rollups(
    sql: sqlite3.Connection, figures: FiguresFile, services: Mapping[int, Service], since: int, until: int
) -> Iterator[Difference]:
    """Compare the roll-ups that were kept of days, and would be used, with new ones."""
    pages = ShownPages(sql)
    held = marks(sql, services, since, until)
    for (service, day), kept in figures.find(held, CHANNELS, SECTIONS).items():
        name, _, gap_us = services[service]
        anew = roll_up_day(sql, service, day, gap_us, pages)
        for channel in (OF_THE_SERVICE, *CHANNELS):
            for section in SECTIONS:
                if (section == "arrivals") == (channel == OF_THE_SERVICE):
                    yield from _differing_section(kept, anew, Difference(section, name, day, channel))


def unmarked_days(
    sql: sqlite3.Connection, services: Mapping[int, Service], since: int, until: int
) -> Iterator[Difference]:
    """Name the days that no figure has though there are events of theirs: nothing says that they are there."""
    for service, day in sql.execute(_UNMARKED, (since, until)):
        yield Difference("day", services[service].name, day)


def differing_blocks(
    sql: sqlite3.Connection, figures: FiguresFile, services: Mapping[int, Service], since: int, until: int
) -> Iterator[Difference]:
    """Compare the blocks of days that were kept with new ones; a difference has the first day of its block."""
    pages = ShownPages(sql)
    held = marks(sql, services, since, until)
    for (service, block), kept in figures.find(blocks.marks_of(held), CHANNELS, SECTIONS).items():
        begin, end = blocks.days_of(block)
        name, _, gap_us = services[service]
        days = [day for of, day in held if of == service and begin <= day < end]
        anew = blocks.merge_days(roll_up_day(sql, service, day, gap_us, pages) for day in days)
        for channel, rollup in anew.items():
            for section in SECTIONS:
                if _in_order(getattr(rollup, section)) != _in_order(getattr(kept.get(channel, Rollup()), section)):
                    yield Difference(section, name, begin, channel)


def _in_order(section: object) -> object:
    """Give a section so that equal ones are the same, in whichever order they were merged."""
    match section:
        case Money():
            orders = {
                name: sorted(zip(each.visitors, each.nets, strict=True)) for name, each in section.orders.items()
            }
            return orders, section.cancelled
        case Pages():
            return {
                path: (each.page_views, each.titled, united(each.visitors)) for path, each in section.paths.items()
            }
        case Products():
            return {
                sku: (each.named, each.quantity, each.orders, each.revenue, united(each.buyers))
                for sku, each in section.skus.items()
            }
    return section


def _differing_section(kept: Rolled, anew: Mapping[str, object], named: Difference) -> Iterator[Difference]:
    channel, section = named.channel, named.what
    one, other = kept.get(channel or ""), anew.get(channel or "")
    if (one is None) != (other is None) or (one and getattr(one, section) != getattr(other, section)):
        yield named


def differing_visitors(sql: sqlite3.Connection, services: Mapping[int, Service]) -> Iterator[Difference]:
    """Compare what the rows of visitors say, their arrivals and everybody's sums with all raw events."""
    arrivals: dict[int, dict[int, int]] = defaultdict(dict)
    for visitor, service, day in sql.execute("SELECT visitor, service, day FROM arrivals"):
        arrivals[visitor][service] = day
    check = Verification(arrivals, dict(sql.execute("SELECT namespace, frozen_before FROM horizons").fetchall()))
    days = [day for (day,) in sql.execute(_DAYS)]
    for rows, after, upto in _visitors(sql):
        lives = _lives(sql, services, days, (after, upto))
        for what, visitor in check.compare(rows, lives):
            yield Difference(what, visitor=visitor)
    for what, visitor in check.compare_rest():
        yield Difference(what, visitor=visitor)
    yield from check.compare_sums(starmap(KeptSums, sql.execute(_SUMS)), dict(sql.execute(_LAST_DAYS).fetchall()))


def _visitors(sql: sqlite3.Connection) -> Iterator[tuple[list[Row[int]], int, int]]:
    """Give everybody's rows, some at a time, and after which number up to which one they and nobody else are."""
    namespaces: dict[int, str] = dict(sql.execute("SELECT id, namespace FROM visitors").fetchall())
    after, more = -1, True
    while more:
        found = sql.execute(_ROWS, (after, _AT_ONCE)).fetchall()
        more = len(found) == _AT_ONCE
        upto = found[-1][0] if more else _LAST
        yield [Row(id_, namespaces[id_], *row) for id_, *row in found if id_ in namespaces], after, upto
        after = upto


def _lives(
    sql: sqlite3.Connection, services: Mapping[int, Service], days: Iterable[int], between: tuple[int, int]
) -> dict[int, Life]:
    """Follow some visitors through all their raw events: those after one number, up to another."""
    lives: dict[int, Life] = {}
    pages = ShownPages(sql)
    for of_day in days:
        for visitor, time_us, day, service, channel, kind, body in sql.execute(_EVENTS, (of_day, *between)):
            event = pages.event(kind, "", time_us=time_us, day=day, channel=channel, body=body)
            life = lives.get(visitor) or lives.setdefault(visitor, Life(services[service].namespace))
            life.follow(event, service, services[service].gap_us)
    for visitor, rows in groupby(sql.execute(_ORDERS, between), itemgetter(0)):
        lives[visitor].settle(copies_of(row[1:] for row in rows))
    return lives
