"""Rolling up one day of a service from its raw events, with visitors by their dense numbers.

Numbers are given out when a roll-up first needs them: they are derived, and no row of truth knows of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from alias_middleware.events import Purchase, restore
from alias_middleware.history import Settlement
from alias_middleware.rollups.days import Before, Order, Shown, Sighting, roll_up
from alias_middleware.rollups.model import Rollup
from alias_middleware.storage.folding import ServiceDay
from alias_middleware.storage.postgresql import locks, planning
from alias_middleware.storage.postgresql.arrays import columns_of
from alias_middleware.storage.postgresql.frozen import frozen_day
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.postgresql.sections import CHANNELS, OF_THE_SERVICE, Rolled
from alias_middleware.storage.visits import margin_days

_UNNUMBERED = (
    "(SELECT n.number FROM numbers n WHERE n.namespace = people.namespace AND n.key = people.key) IS NULL"
)
"""No NOT EXISTS: the planner might read all numbers for each visitor."""
_STRANGERS = f"""
    SELECT namespace, key FROM (
        SELECT DISTINCT s.namespace, e.key
        FROM unnest(%s::integer[], %s::integer[]) AS asked (service, day)
        JOIN services s ON s.id = asked.service
        JOIN events e ON e.day = asked.day AND e.service = asked.service
    ) people WHERE {_UNNUMBERED}
"""
_STRANGERS_AMONG = f"""
    SELECT namespace, key FROM unnest(%s::text[], %s::text[]) AS people (namespace, key) WHERE {_UNNUMBERED}
"""
_HIGHEST = "SELECT namespace, highest FROM given_numbers"
_KEEP_HIGHEST = """
    INSERT INTO given_numbers SELECT * FROM unnest(%s::text[], %s::integer[])
    ON CONFLICT (namespace) DO UPDATE SET highest = excluded.highest
"""
_NUMBER_PEOPLE = (
    "INSERT INTO numbers (namespace, key, number) SELECT * FROM unnest(%s::text[], %s::text[], %s::integer[])"
)
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
    SELECT {_NUMBER}, e.key, e.time_us, e.id, e.currency, e.net, e.cancelled
    FROM orders e JOIN services s ON s.id = e.service
    WHERE e.service = %(service)s AND e.day = %(day)s
"""
_BODIES = """
    SELECT e.key, e.time_us, e.id, e.channel, e.body
    FROM unnest(%s::integer[], %s::integer[], %s::text[], %s::bigint[], %s::bigint[])
        AS asked (day, service, key, time_us, id)
    JOIN events e USING (day, service, key, time_us, id)
"""
_ARRIVALS = f"""
    SELECT {_NUMBER} FROM arrivals e JOIN services s ON s.id = e.service
    WHERE e.service = %(service)s AND e.day = %(day)s
"""
_UNIDENTIFIED = "SELECT page_views FROM unidentified WHERE service = %(service)s AND day = %(day)s"

Who = tuple[str, str]
"""A visitor by (namespace, key)."""

_decode_shown = msgspec.json.Decoder(Shown).decode


class Unnumbered(Exception):  # noqa: N818 - it says what is wrong
    """A visitor came to a day after its numbers were given out."""


def give_numbers(connection: Connection, days: Collection[ServiceDay]) -> None:
    """Give every visitor of some days a number, unless he has one."""
    with _numbering(connection):
        _number(connection, connection.execute(_STRANGERS.encode(), columns_of(days)).fetchall())


def numbers_of(connection: Connection, people: Collection[Who]) -> dict[Who, int]:
    """Give the numbers of some visitors; who has none is given one."""
    if not people:
        return {}
    columns = columns_of(people)
    with _numbering(connection):
        _number(connection, connection.execute(_STRANGERS_AMONG.encode(), columns).fetchall())
        rows = connection.execute(_NUMBERS_OF, columns).fetchall()
    return {(namespace, key): number for namespace, key, number in rows}


@contextmanager
def _numbering(connection: Connection) -> Iterator[None]:
    """Be the only one to give numbers, in a transaction of its own."""
    with connection.pipeline():
        connection.execute("BEGIN")
        planning.look_up(connection)
        connection.execute(locks.NUMBERS.encode())
    yield
    connection.execute("COMMIT")


def _number(connection: Connection, strangers: Sequence[Who]) -> None:
    """Give visitors without a number the next ones, in the order of their keys."""
    if not strangers:
        return
    highest: dict[str, int] = dict(connection.execute(_HIGHEST).fetchall())
    rows = []
    for namespace, key in sorted(strangers):
        number = highest[namespace] = highest.get(namespace, -1) + 1
        rows.append((namespace, key, number))
    connection.execute(_NUMBER_PEOPLE, columns_of(rows))
    connection.execute(_KEEP_HIGHEST, columns_of(sorted(highest.items())))


def roll_up_day(connection: Connection, service: int, day: int, gap_us: int) -> Rolled:
    """Roll up a service's day by channel, its arrivals under `OF_THE_SERVICE`.

    Raises:
        Unnumbered: a visitor has no number yet.
    """
    if (kept := frozen_day(connection, service, day)) is not None:
        return kept
    asked: dict[str, Any] = {"service": service, "day": day}
    rolled: Rolled = {}
    orders = _orders(connection, asked)
    for channel in CHANNELS:
        of_channel = asked | {"channel": channel}
        before = _before(connection, of_channel, gap_us)
        rolled[channel] = roll_up(_sightings(connection, of_channel), orders.get(channel, ()), before, gap_us)
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


def _orders(connection: Connection, asked: dict[str, Any]) -> dict[str, list[Order]]:
    """Give a day's orders by channel. What was bought is looked up apart: the planner would not know how."""
    rows = connection.execute(_ORDERS, asked, binary=True).fetchall()
    orders: dict[str, list[Order]] = {}
    if not rows:
        return orders
    day, service = asked["day"], asked["service"]
    marks = [(day, service, *row[1:4]) for row in rows]
    found = connection.execute(_BODIES, columns_of(marks), binary=True).fetchall()
    bodies = {tuple(mark): rest for *mark, rest in ((*row[:3], row[3:]) for row in found)}
    for number, *mark, currency, net, cancelled in rows:
        channel, body = bodies[tuple(mark)]
        purchase = restore("p", "", time_us=mark[1], day=day, channel=channel, body=body)
        if isinstance(purchase, Purchase):
            settled = Settlement(net, cancelled)
            order = Order(_known(number), purchase.time_us, currency, settled, purchase.items)
            orders.setdefault(channel, []).append(order)
    return orders
