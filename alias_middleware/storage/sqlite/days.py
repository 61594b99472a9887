"""Rolling up one day of a service from the raw events of the history file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from alias_middleware.events import Channel, Purchase, restore
from alias_middleware.history import Settlement
from alias_middleware.rollups.days import Before, Order, Shown, Sighting, roll_up
from alias_middleware.rollups.model import Rollup
from alias_middleware.storage.sqlite.visits import margin_days

OF_THE_SERVICE = ""
"""The channel of what belongs to the service as a whole: its arrivals."""

_SIGHTINGS = """
    SELECT visitor, time_us, channel, kind, body FROM events
    WHERE day = :day AND service = :service AND kind NOT IN ('r', 'u') ORDER BY visitor, time_us
"""
_EARLIEST = "SELECT min(time_us) FROM events WHERE day = :day AND service = :service AND kind NOT IN ('r', 'u')"
_BEFORE = """
    SELECT visitor, channel, max(time_us) FROM events
    WHERE day >= :first_day AND day < :day AND service = :service AND kind NOT IN ('r', 'u')
        AND time_us >= :since AND visitor IN
            (SELECT visitor FROM events WHERE day = :day AND service = :service AND time_us < :until)
    GROUP BY visitor, channel
"""
_ORDERS = """
    SELECT o.visitor, o.time_us, e.channel, o.currency, o.net, o.cancelled, e.body
    FROM orders o JOIN events e
        ON e.day = o.day AND e.visitor = o.visitor AND e.time_us = o.time_us AND e.id = o.id
    WHERE o.service = :service AND o.day = :day
"""
_UNIDENTIFIED = "SELECT page_views FROM unidentified WHERE service = :service AND day = :day"

_decode_shown = msgspec.json.Decoder(Shown).decode


def roll_up_day(sql: sqlite3.Connection, service: int, day: int, gap_us: int) -> dict[Channel | str, Rollup]:
    """Roll up a service's day by channel, its arrivals under `OF_THE_SERVICE`."""
    asked = {"service": service, "day": day}
    rolled: dict[Channel | str, Rollup] = dict(
        roll_up(_sightings(sql, asked), _orders(sql, asked), _before(sql, asked, gap_us), gap_us).items()
    )
    whole = Rollup()
    rows = sql.execute("SELECT visitor FROM arrivals WHERE service = :service AND day = :day", asked)
    whole.arrivals.arrived.update(visitor for (visitor,) in rows)
    row = sql.execute(_UNIDENTIFIED, asked).fetchone()
    whole.arrivals.unidentified = row[0] if row else 0
    rolled[OF_THE_SERVICE] = whole
    return rolled


def _sightings(sql: sqlite3.Connection, asked: dict[str, int]) -> Iterator[Sighting]:
    known: dict[bytes, Shown] = {}
    for visitor, time_us, channel, kind, body in sql.execute(_SIGHTINGS, asked):
        if kind != "v":
            yield Sighting(visitor, time_us, channel, None, kind == "m")
            continue
        shown = known.get(body)
        if shown is None:
            shown = known[body] = _decode_shown(body)
        yield Sighting(visitor, time_us, channel, shown)


def _before(sql: sqlite3.Connection, asked: dict[str, int], gap_us: int) -> Before:
    """Give where the streams stood that may go on into the day: of those who came early enough in it."""
    earliest = sql.execute(_EARLIEST, asked).fetchone()[0]
    if earliest is None:
        return {}
    around = {
        "first_day": asked["day"] - margin_days(gap_us),
        "since": earliest - gap_us,
        "until": earliest + gap_us,
    }
    return {(visitor, channel): last for visitor, channel, last in sql.execute(_BEFORE, asked | around)}


def _orders(sql: sqlite3.Connection, asked: dict[str, int]) -> Iterator[Order]:
    for visitor, time_us, channel, currency, net, cancelled, body in sql.execute(_ORDERS, asked):
        purchase = restore("p", "", time_us=time_us, day=asked["day"], channel=channel, body=body)
        if isinstance(purchase, Purchase):
            yield Order(visitor, time_us, channel, currency, Settlement(net, bool(cancelled)), purchase.items)
