"""Rolling up one day of a service from its raw events, with visitors by their dense numbers.

Numbers are given out when a roll-up first needs them: they are derived, and no row of truth knows of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from alias_middleware.events import Purchase, restore
from alias_middleware.history import Settlement
from alias_middleware.rollups.days import Before, Order, Shown, Sighting, roll_up
from alias_middleware.rollups.model import Rollup
from alias_middleware.storage.folding import ServiceDay
from alias_middleware.storage.postgresql import locks
from alias_middleware.storage.postgresql.arrays import columns_of
from alias_middleware.storage.postgresql.frozen import frozen_day
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.postgresql.sections import CHANNELS, OF_THE_SERVICE, Rolled
from alias_middleware.storage.visits import margin_days

_HIGHEST = """greatest(
        (SELECT coalesce(max(number), -1) FROM numbers n WHERE n.namespace = fresh.namespace),
        (SELECT coalesce(max(highest), -1) FROM retired_numbers r WHERE r.namespace = fresh.namespace)
    )"""
_GIVE_NUMBERS = f"""
    INSERT INTO numbers (namespace, key, number)
    SELECT namespace, key, {_HIGHEST} + row_number() OVER (PARTITION BY namespace ORDER BY key)
    FROM (SELECT DISTINCT s.namespace, e.key
          FROM unnest(%s::integer[], %s::integer[]) AS asked (service, day)
          JOIN services s ON s.id = asked.service
          JOIN events e ON e.day = asked.day AND e.service = asked.service
          WHERE NOT EXISTS (SELECT 1 FROM numbers n WHERE n.namespace = s.namespace AND n.key = e.key)) fresh
"""
_NUMBER_PEOPLE = f"""
    INSERT INTO numbers (namespace, key, number)
    SELECT namespace, key, {_HIGHEST} + row_number() OVER (PARTITION BY namespace ORDER BY key)
    FROM unnest(%s::text[], %s::text[]) AS fresh (namespace, key)
    WHERE NOT EXISTS (SELECT 1 FROM numbers n WHERE n.namespace = fresh.namespace AND n.key = fresh.key)
"""
_NUMBERS_OF = """
    SELECT n.namespace, n.key, n.number FROM unnest(%s::text[], %s::text[]) AS asked (namespace, key)
    JOIN numbers n ON n.namespace = asked.namespace AND n.key = asked.key
"""
_NUMBER = "(SELECT n.number FROM numbers n WHERE n.namespace = s.namespace AND n.key = e.key)"
_SIGHTINGS = f"""
    SELECT {_NUMBER}, e.time_us, e.kind, e.body
    FROM events e JOIN services s ON s.id = e.service
    WHERE e.day = %(day)s AND e.service = %(service)s AND e.channel = %(channel)s AND e.kind NOT IN ('r', 'u')
    ORDER BY e.key, e.time_us
"""
_EARLIEST = """
    SELECT min(time_us) FROM events
    WHERE day = %(day)s AND service = %(service)s AND channel = %(channel)s AND kind NOT IN ('r', 'u')
"""
_BEFORE = f"""
    SELECT {_NUMBER}, e.last_us
    FROM (SELECT key, service, max(time_us) AS last_us FROM events
          WHERE day >= %(first_day)s AND day < %(day)s AND service = %(service)s AND channel = %(channel)s
              AND kind NOT IN ('r', 'u')
              AND time_us >= %(since)s AND key IN
                  (SELECT key FROM events WHERE day = %(day)s AND service = %(service)s AND time_us < %(until)s)
          GROUP BY key, service) e
    JOIN services s ON s.id = e.service
"""
_ORDERS = f"""
    SELECT {_NUMBER}, o.time_us, o.currency, o.net, o.cancelled, e.body
    FROM orders o JOIN services s ON s.id = o.service
    JOIN events e ON e.day = o.day AND e.service = o.service AND e.key = o.key
        AND e.time_us = o.time_us AND e.id = o.id
    WHERE o.service = %(service)s AND o.day = %(day)s AND e.channel = %(channel)s
"""
_ARRIVALS = f"""
    SELECT {_NUMBER} FROM arrivals e JOIN services s ON s.id = e.service
    WHERE e.service = %(service)s AND e.day = %(day)s
"""
_UNIDENTIFIED = "SELECT page_views FROM unidentified WHERE service = %(service)s AND day = %(day)s"

_decode_shown = msgspec.json.Decoder(Shown).decode


class Unnumbered(Exception):  # noqa: N818 - it says what is wrong
    """A visitor came to a day after its numbers were given out."""


def give_numbers(connection: Connection, days: Collection[ServiceDay]) -> None:
    """Give every visitor of some days a number, unless he has one."""
    connection.execute("BEGIN")
    connection.execute(locks.NUMBERS.encode())
    connection.execute(_GIVE_NUMBERS.encode(), columns_of(days))
    connection.execute("COMMIT")


def numbers_of(connection: Connection, people: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Give the numbers of some visitors, by (namespace, key); who has none is given one."""
    if not people:
        return {}
    columns = columns_of(people)
    connection.execute("BEGIN")
    connection.execute(locks.NUMBERS.encode())
    connection.execute(_NUMBER_PEOPLE.encode(), columns)
    rows = connection.execute(_NUMBERS_OF, columns).fetchall()
    connection.execute("COMMIT")
    return {(namespace, key): number for namespace, key, number in rows}


def roll_up_day(connection: Connection, service: int, day: int, gap_us: int) -> Rolled:
    """Roll up a service's day by channel, its arrivals under `OF_THE_SERVICE`.

    Raises:
        Unnumbered: a visitor has no number yet.
    """
    if (kept := frozen_day(connection, service, day)) is not None:
        return kept
    asked: dict[str, Any] = {"service": service, "day": day}
    rolled: Rolled = {}
    for channel in CHANNELS:
        of_channel = asked | {"channel": channel}
        before = _before(connection, of_channel, gap_us)
        rolled[channel] = roll_up(
            _sightings(connection, of_channel), _orders(connection, of_channel), before, gap_us
        )
    whole = Rollup()
    rows = connection.execute(_ARRIVALS, asked, binary=True).fetchall()
    whole.arrivals.arrived.update(_known(number) for (number,) in rows)
    row = connection.execute(_UNIDENTIFIED, asked).fetchone()
    whole.arrivals.unidentified = row[0] if row else 0
    rolled[OF_THE_SERVICE] = whole
    return rolled


def _known(number: int | None) -> int:
    if number is None:
        raise Unnumbered
    return number


def _sightings(connection: Connection, asked: dict[str, Any]) -> Iterator[Sighting]:
    known: dict[bytes, Shown] = {}
    for number, time_us, kind, body in connection.execute(_SIGHTINGS, asked, binary=True):
        visitor = _known(number)
        if kind != "v":
            yield visitor, time_us, None, kind == "m"
            continue
        shown = known.get(body)
        if shown is None:
            shown = known[body] = _decode_shown(body)
        yield visitor, time_us, shown, False


def _before(connection: Connection, asked: dict[str, Any], gap_us: int) -> Before:
    """Give where the streams stood that may go on into the day: of those who came early enough in it."""
    row = connection.execute(_EARLIEST, asked).fetchone()
    if row is None or row[0] is None:
        return {}
    around: dict[str, Any] = {
        **asked,
        "first_day": asked["day"] - margin_days(gap_us),
        "since": row[0] - gap_us,
        "until": row[0] + gap_us,
    }
    rows = connection.execute(_BEFORE, around, binary=True).fetchall()
    return {_known(number): last_us for number, last_us in rows}


def _orders(connection: Connection, asked: dict[str, Any]) -> Iterator[Order]:
    rows = connection.execute(_ORDERS, asked, binary=True).fetchall()
    for number, time_us, currency, net, cancelled, body in rows:
        purchase = restore("p", "", time_us=time_us, day=asked["day"], channel=asked["channel"], body=body)
        if isinstance(purchase, Purchase):
            yield Order(_known(number), time_us, currency, Settlement(net, cancelled), purchase.items)
