"""Checking what is derived in the SQLite storage against the raw events: roll-ups, knowledge, arrivals."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import starmap

from alias_middleware.rollups.model import SECTIONS, Money, Pages, Products, Rollup, united
from alias_middleware.storage.base import Difference
from alias_middleware.storage.chronicle import decode_chronicle
from alias_middleware.storage.lives import Life, Refunded, settle_orders
from alias_middleware.storage.sqlite import blocks
from alias_middleware.storage.sqlite.days import CHANNELS, OF_THE_SERVICE, roll_up_day
from alias_middleware.storage.sqlite.figures import FiguresFile, Rolled
from alias_middleware.storage.sqlite.marks import marks
from alias_middleware.storage.sqlite.pages import ShownPages

_EVENTS = "SELECT visitor, time_us, day, service, channel, kind FROM events ORDER BY day, visitor, time_us"
_ORDERS = """
    SELECT o.visitor, o.service, o.order_id, o.currency, o.amount, r.id IS NOT NULL, r.amount
    FROM orders o LEFT JOIN refunds r USING (visitor, service, order_id)
    ORDER BY o.visitor, o.service, o.order_id
"""
_VISITORS = """
    SELECT v.id, c.knowledge, ifnull(h.purged_before, 0)
    FROM visitors v JOIN chronicles c ON c.visitor = v.id LEFT JOIN horizons h USING (namespace)
"""


def differing_rollups(
    sql: sqlite3.Connection, figures: FiguresFile, services: Mapping[int, tuple[str, int]], since: int, until: int
) -> Iterator[Difference]:
    """Compare the roll-ups that were kept of days, and would be used, with new ones."""
    pages = ShownPages(sql)
    held = marks(sql, services, since, until)
    for (service, day), kept in figures.find(held, CHANNELS, SECTIONS).items():
        name, gap_us = services[service]
        anew = roll_up_day(sql, service, day, gap_us, pages)
        for channel in (OF_THE_SERVICE, *CHANNELS):
            for section in SECTIONS:
                if (section == "arrivals") == (channel == OF_THE_SERVICE):
                    yield from _differing_section(kept, anew, Difference(section, name, day, channel))


def differing_blocks(
    sql: sqlite3.Connection, figures: FiguresFile, services: Mapping[int, tuple[str, int]], since: int, until: int
) -> Iterator[Difference]:
    """Compare the blocks of days that were kept with new ones; a difference has the first day of its block."""
    pages = ShownPages(sql)
    held = marks(sql, services, since, until)
    for (service, block), kept in figures.find(blocks.marks_of(held), CHANNELS, SECTIONS).items():
        begin, end = blocks.days_of(block)
        name, gap_us = services[service]
        days = [day for of, day in held if of == service and begin <= day < end]
        anew = blocks.merge_days([roll_up_day(sql, service, day, gap_us, pages) for day in days])
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


def differing_visitors(sql: sqlite3.Connection, services: Mapping[int, tuple[str, int]]) -> Iterator[Difference]:
    """Compare what the rows of visitors say, and their arrivals, with all their raw events."""
    lives = _lives(sql, services)
    arrivals: dict[int, dict[int, int]] = defaultdict(dict)
    for visitor, service, day in sql.execute("SELECT visitor, service, day FROM arrivals"):
        arrivals[visitor][service] = day
    for visitor, knowledge, purged_before in sql.execute(_VISITORS):
        life, known = lives.pop(visitor, Life()), decode_chronicle(knowledge)
        if known.days[0] < purged_before:  # what he did then is known from here alone
            arrivals.pop(visitor, None)
            continue
        for what in life.differing(known):
            yield Difference(what, visitor=visitor)
        if arrivals.pop(visitor, {}) != life.arrivals:
            yield Difference("arrivals", visitor=visitor)
    for visitor in lives.keys() | arrivals.keys():
        yield Difference("visitors", visitor=visitor)


def _lives(sql: sqlite3.Connection, services: Mapping[int, tuple[str, int]]) -> dict[int, Life]:
    """Follow everybody through all raw events."""
    lives: dict[int, Life] = defaultdict(Life)
    for visitor, time_us, day, service, channel, kind in sql.execute(_EVENTS):
        life = lives[visitor]
        life.page_views += kind == "v"
        if kind not in {"r", "u"}:
            life.see(time_us, day, service, channel, services[service][1])
    settle_orders(lives, starmap(Refunded, sql.execute(_ORDERS)))
    return lives
