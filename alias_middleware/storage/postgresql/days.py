"""Rolling up one day of a service from its raw events, with visitors by their dense numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from alias_middleware.events import Channel, Purchase, restore
from alias_middleware.history import Settlement
from alias_middleware.rollups.days import Before, Order, Shown, Sighting, roll_up
from alias_middleware.rollups.model import Rollup
from alias_middleware.storage.postgresql.frozen import FROZEN, thawed
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.postgresql.sections import CHANNELS, OF_THE_SERVICE, Rolled
from alias_middleware.storage.visits import margin_days

_NUMBER = "(SELECT n.number FROM numbers n WHERE n.namespace = s.namespace AND n.key = e.key)"
_EVENTS = f"""
    SELECT {_NUMBER}, e.time_us, e.id, e.channel, e.kind, e.body
    FROM events e JOIN services s ON s.id = e.service
    WHERE e.day = %(day)s AND e.service = %(service)s AND e.kind NOT IN ('r', 'u')
    ORDER BY e.key, e.time_us, e.id
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
    SELECT {_NUMBER}, e.time_us, e.id, e.currency, e.net, e.cancelled
    FROM orders e JOIN services s ON s.id = e.service
    WHERE e.service = %(service)s AND e.day = %(day)s
    ORDER BY e.key, e.time_us, e.id
"""
_ARRIVALS = f"""
    SELECT {_NUMBER} FROM arrivals e JOIN services s ON s.id = e.service
    WHERE e.service = %(service)s AND e.day = %(day)s
"""
_UNIDENTIFIED = "SELECT page_views FROM unidentified WHERE service = %(service)s AND day = %(day)s"

_decode_shown = msgspec.json.Decoder(Shown).decode


class Unnumbered(Exception):  # noqa: N818 - it says what is wrong
    """A visitor came to a day after its numbers were given out."""


class _Seen(NamedTuple):
    """A raw event of the day, by the visitor's number."""

    visitor: int
    time_us: int
    id: int
    channel: Channel
    kind: str
    body: bytes


def roll_up_day(connection: Connection, service: int, day: int, gap_us: int) -> Rolled:
    """Roll up a service's day by channel, its arrivals under `OF_THE_SERVICE`, in two round trips.

    Raises:
        Unnumbered: a visitor has no number yet.
    """
    asked: dict[str, Any] = {"service": service, "day": day}
    with connection.pipeline():
        kept = connection.execute(FROZEN, (service, day), binary=True)
        events = connection.execute(_EVENTS.encode(), asked, binary=True)
        orders = connection.execute(_ORDERS.encode(), asked, binary=True)
        arrivals = connection.execute(_ARRIVALS.encode(), asked, binary=True)
        unidentified = connection.execute(_UNIDENTIFIED, asked)
    if (frozen := thawed(kept)) is not None:
        return frozen
    seen: dict[str, list[_Seen]] = defaultdict(list)
    for number, *rest in events:
        event = _Seen(_known(number), *rest)
        seen[event.channel].append(event)
    sold = _orders(orders, (event for channel in seen.values() for event in channel if event.kind == "p"), day)
    before = _before(connection, asked, seen, gap_us)
    rolled: Rolled = {
        channel: roll_up(_sightings(seen[channel]), sold.get(channel, ()), before.get(channel, {}), gap_us)
        for channel in CHANNELS
    }
    whole = Rollup()
    whole.arrivals.arrived.update(_known(number) for (number,) in arrivals)
    (whole.arrivals.unidentified,) = unidentified.fetchone() or (0,)
    return rolled | {OF_THE_SERVICE: whole}


def _known(number: int | None) -> int:
    if number is None:
        raise Unnumbered
    return number


def _sightings(seen: Sequence[_Seen]) -> Iterator[Sighting]:
    known: dict[bytes, Shown] = {}
    for event in seen:
        if event.kind != "v":
            yield event.visitor, event.time_us, None, event.kind == "m"
            continue
        shown = known.get(event.body)
        if shown is None:
            shown = known[event.body] = _decode_shown(event.body)
        yield event.visitor, event.time_us, shown, False


def _before(
    connection: Connection, asked: Mapping[str, Any], seen: Mapping[str, Sequence[_Seen]], gap_us: int
) -> dict[str, Before]:
    """Give by channel where the streams stood that may go on: of those who came early enough in the day."""
    cursors = {}
    with connection.pipeline():
        for channel, events in seen.items():
            earliest = min(event.time_us for event in events)
            around = {
                **asked,
                "channel": channel,
                "first_day": asked["day"] - margin_days(gap_us),
                "since": earliest - gap_us,
                "until": earliest + gap_us,
            }
            cursors[channel] = connection.execute(_BEFORE.encode(), around, binary=True)
    return {
        channel: {_known(number): last_us for number, last_us in cursor} for channel, cursor in cursors.items()
    }


def _orders(rows: Iterable[Any], purchases: Iterable[_Seen], day: int) -> dict[str, list[Order]]:
    """Give a day's orders by channel, each with what was bought from its raw event."""
    raw = {event[:3]: event for event in purchases}
    orders: dict[str, list[Order]] = {}
    for *mark, currency, net, cancelled in rows:
        event = raw[_known(mark[0]), mark[1], mark[2]]
        order = restore("p", "", time_us=event.time_us, day=day, channel=event.channel, body=event.body)
        if isinstance(order, Purchase):
            settled = Settlement(net, cancelled)
            made = Order(event.visitor, event.time_us, currency, settled, order.items)
            orders.setdefault(event.channel, []).append(made)
    return orders
