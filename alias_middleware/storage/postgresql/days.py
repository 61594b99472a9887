"""Rolling up one day of a service from its raw events, with visitors by their dense numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from alias_middleware.events import Channel, Purchase, restore
from alias_middleware.history import Settlement
from alias_middleware.rollups.days import Before, Order, Shown, Sighting, roll_up
from alias_middleware.rollups.model import Rollup
from alias_middleware.storage.postgresql.arrays import column_of
from alias_middleware.storage.postgresql.frozen import FROZEN, thawed
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.postgresql.sections import CHANNELS, OF_THE_SERVICE, Rolled
from alias_middleware.storage.visits import margin_days

_EVENTS = """
    SELECT key, time_us, id, channel, kind, body FROM events
    WHERE day = %(day)s AND service = %(service)s AND kind NOT IN ('r', 'u')
    ORDER BY key, time_us, id
"""
_BEFORE = """
    SELECT channel, key, max(time_us) FROM events
    WHERE day >= %(first_day)s AND day < %(day)s AND service = %(service)s AND kind NOT IN ('r', 'u')
        AND time_us >= %(since)s
    GROUP BY channel, key
"""
_NUMBERS = """
    SELECT n.key, n.number FROM numbers n JOIN services s ON s.namespace = n.namespace
    WHERE s.id = %s AND n.key = ANY(%s::text[])
"""
"""Asked once for each visitor: with every event it took most of the time."""
_ORDERS = """
    SELECT key, time_us, id, currency, net, cancelled FROM orders
    WHERE service = %(service)s AND day = %(day)s
    ORDER BY key, time_us, id
"""
_ARRIVALS = "SELECT key FROM arrivals WHERE service = %(service)s AND day = %(day)s"
_UNIDENTIFIED = "SELECT page_views FROM unidentified WHERE service = %(service)s AND day = %(day)s"

_decode_shown = msgspec.json.Decoder(Shown).decode


class Unnumbered(Exception):  # noqa: N818 - it says what is wrong
    """A visitor came to a day after its numbers were given out."""


_Seen = tuple[str, int, int, Channel, str, bytes]
"""A raw event of the day: visitor key, time, id, channel, kind and body. A plain tuple: there are many."""


def roll_up_day(connection: Connection, service: int, day: int, gap_us: int) -> Rolled:
    """Roll up a service's day by channel, its arrivals under `OF_THE_SERVICE`, in two round trips.

    Raises:
        Unnumbered: a visitor has no number yet.
    """
    asked: dict[str, Any] = {"service": service, "day": day}
    with connection.pipeline():
        kept = connection.execute(FROZEN, (service, day), binary=True)
        events = connection.execute(_EVENTS, asked, binary=True)
        orders = connection.execute(_ORDERS, asked, binary=True)
        arrivals = connection.execute(_ARRIVALS, asked, binary=True)
        unidentified = connection.execute(_UNIDENTIFIED, asked)
    if (frozen := thawed(kept)) is not None:
        return frozen
    seen: list[_Seen] = events.fetchall()
    arrived = [key for (key,) in arrivals.fetchall()]
    keys = dict.fromkeys([event[0] for event in seen] + arrived)
    numbers, before = _numbers_and_before(connection, asked, keys, seen, gap_us)
    sold = _orders(orders, seen, numbers, day)
    rolled: Rolled = {
        channel: roll_up(
            _sightings(seen, channel, numbers), sold.get(channel, ()), before.get(channel, {}), gap_us
        )
        for channel in CHANNELS
    }
    whole = Rollup()
    whole.arrivals.arrived.update([numbers[key] for key in arrived])
    (whole.arrivals.unidentified,) = unidentified.fetchone() or (0,)
    return rolled | {OF_THE_SERVICE: whole}


def _numbers_and_before(
    connection: Connection, asked: Mapping[str, Any], keys: Collection[str], seen: Sequence[_Seen], gap_us: int
) -> tuple[dict[str, int], dict[str, Before]]:
    """Give the numbers of a day's visitors by their keys, and by channel where their streams stood before it."""
    if not keys:
        return {}, {}
    around = {
        **asked,
        "first_day": asked["day"] - margin_days(gap_us),
        "since": min([event[1] for event in seen], default=0) - gap_us,
    }
    with connection.pipeline():
        known = connection.execute(_NUMBERS, (asked["service"], column_of(list(keys))), binary=True)
        stood = connection.execute(_BEFORE, around, binary=True)
    numbers: dict[str, int] = dict(known.fetchall())
    if len(numbers) < len(keys):
        raise Unnumbered
    before: dict[str, dict[int, int]] = {}
    for channel, key, last_us in stood.fetchall():
        if key in numbers:
            before.setdefault(channel, {})[numbers[key]] = last_us
    return numbers, dict(before)


def _sightings(seen: Sequence[_Seen], channel: str, numbers: Mapping[str, int]) -> Iterator[Sighting]:
    known: dict[bytes, Shown] = {}
    for key, time_us, _, of, kind, body in seen:
        if of != channel:
            continue
        if kind != "v":
            yield numbers[key], time_us, None, kind == "m"
            continue
        shown = known.get(body)
        if shown is None:
            shown = known[body] = _decode_shown(body)
        yield numbers[key], time_us, shown, False


def _orders(
    rows: Iterable[Any], seen: Iterable[_Seen], numbers: Mapping[str, int], day: int
) -> dict[str, list[Order]]:
    """Give a day's orders by channel, each with what was bought from its raw event."""
    raw = {event[:3]: event for event in seen if event[4] == "p"}
    orders: dict[str, list[Order]] = {}
    for *mark, currency, net, cancelled in rows:
        key, time_us, _, channel, _, body = raw[mark[0], mark[1], mark[2]]
        order = restore("p", "", time_us=time_us, day=day, channel=channel, body=body)
        if isinstance(order, Purchase):
            made = Order(numbers[key], time_us, currency, Settlement(net, cancelled), order.items)
            orders.setdefault(channel, []).append(made)
    return orders
