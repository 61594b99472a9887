"""Rolling up one day of a service from the raw events of the history file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from alias_middleware.events import Channel, Purchase, restore
from alias_middleware.history import Settlement
from alias_middleware.rollups.days import Before, Order, Sighting, roll_up
from alias_middleware.rollups.model import Rollup
from alias_middleware.storage.sqlite.frozen import frozen_day
from alias_middleware.storage.sqlite.pages import ShownPages
from alias_middleware.storage.visits import margin_days

CHANNELS: tuple[Channel, ...] = ("web", "sms")
OF_THE_SERVICE = ""
"""The channel of what belongs to the service as a whole: its arrivals."""

_OF_DAY = "day = :day AND service = :service AND channel = :channel AND kind NOT IN ('r', 'u')"
_SIGHTINGS = f"SELECT visitor, time_us, kind, body FROM events WHERE {_OF_DAY} ORDER BY visitor, time_us"
_EARLIEST = f"SELECT min(time_us) FROM events WHERE {_OF_DAY}"
_BEFORE = f"""
    SELECT visitor, max(time_us) FROM events
    WHERE day >= :first_day AND day < :day AND service = :service AND channel = :channel
        AND kind NOT IN ('r', 'u') AND time_us >= :since
        AND visitor IN (SELECT visitor FROM events WHERE {_OF_DAY} AND time_us < :until)
    GROUP BY visitor
"""
_ORDERS = """
    SELECT o.visitor, o.time_us, o.currency, o.net, o.cancelled, e.body
    FROM orders o JOIN events e
        ON e.day = o.day AND e.visitor = o.visitor AND e.time_us = o.time_us AND e.id = o.id
    WHERE o.service = :service AND o.day = :day AND e.channel = :channel
"""
_UNIDENTIFIED = "SELECT page_views FROM unidentified WHERE service = :service AND day = :day"

Asked = dict[str, int | str]


def roll_up_day(
    sql: sqlite3.Connection, service: int, day: int, gap_us: int, pages: ShownPages
) -> dict[str, Rollup]:
    """Roll up a service's day by channel, its arrivals under `OF_THE_SERVICE`."""
    if (kept := frozen_day(sql, service, day)) is not None:
        return kept
    asked: Asked = {"service": service, "day": day}
    rolled: dict[str, Rollup] = {}
    for channel in CHANNELS:
        of_channel = asked | {"channel": channel}
        sightings, orders = _sightings(sql, of_channel, pages), _orders(sql, of_channel)
        rolled[channel] = roll_up(sightings, orders, _before(sql, of_channel, gap_us), gap_us)
    whole = Rollup()
    rows = sql.execute("SELECT visitor FROM arrivals WHERE service = :service AND day = :day", asked)
    whole.arrivals.arrived.update(visitor for (visitor,) in rows)
    row = sql.execute(_UNIDENTIFIED, asked).fetchone()
    whole.arrivals.unidentified = row[0] if row else 0
    rolled[OF_THE_SERVICE] = whole
    return rolled


def _sightings(sql: sqlite3.Connection, asked: Asked, pages: ShownPages) -> Iterator[Sighting]:
    shown = pages.shown
    for visitor, time_us, kind, body in sql.execute(_SIGHTINGS, asked):
        if kind == "v":
            yield visitor, time_us, shown(body), False
        else:
            yield visitor, time_us, None, kind == "m"


def _before(sql: sqlite3.Connection, asked: Asked, gap_us: int) -> Before:
    """Give where the streams stood that may go on into the day: of those who came early enough in it."""
    earliest = sql.execute(_EARLIEST, asked).fetchone()[0]
    if earliest is None:
        return {}
    around = {
        "first_day": int(asked["day"]) - margin_days(gap_us),
        "since": earliest - gap_us,
        "until": earliest + gap_us,
    }
    return dict(sql.execute(_BEFORE, asked | around).fetchall())


def _orders(sql: sqlite3.Connection, asked: Asked) -> Iterator[Order]:
    for visitor, time_us, currency, net, cancelled, body in sql.execute(_ORDERS, asked):
        purchase = restore("p", "", time_us=time_us, day=0, channel="web", body=body)
        if isinstance(purchase, Purchase):
            yield Order(visitor, time_us, currency, Settlement(net, bool(cancelled)), purchase.items)
