"""Frozen days in PostgreSQL: their raw events are gone or going. Their roll-ups are kept for good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alias_middleware.events import Refund
from alias_middleware.rollups.coding import decode_section, encode_section
from alias_middleware.rollups.model import Rollup, Section
from alias_middleware.rollups.removal import remove_visitor
from alias_middleware.storage import retention
from alias_middleware.storage.base import Entry
from alias_middleware.storage.changes import ServiceDay
from alias_middleware.storage.chronicle import Chronicle
from alias_middleware.storage.postgresql.arrays import columns_of
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.postgresql.sections import Rolled, encoded

_HORIZONS = "SELECT namespace, frozen_before FROM horizons"
_DAYS_OF_ORDERS = """
    SELECT s.namespace, o.key, s.service, o.order_id, o.day
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::bytea[]) AS asked (namespace, key, service, order_id)
    JOIN services s ON s.namespace = asked.namespace AND s.service = asked.service
    JOIN orders o ON o.key = asked.key AND o.service = s.id AND o.order_id = asked.order_id
"""
FROZEN = "SELECT channel, section, body FROM frozen WHERE service = %s AND day = %s"
_TO_FREEZE = """
    SELECT service, day FROM changes c WHERE service = ANY(%s) AND day < %s
        AND NOT EXISTS (SELECT 1 FROM frozen f WHERE f.service = c.service AND f.day = c.day)
    ORDER BY day, service
"""
_FREEZE = "INSERT INTO frozen (service, day, channel, section, body) VALUES (%s, %s, %s, %s, %s)"
_OF_VISITOR = """
    SELECT service, day, channel, section, body FROM frozen WHERE service = ANY(%s) AND day BETWEEN %s AND %s
"""
_THAW = "UPDATE frozen SET body = %s WHERE service = %s AND day = %s AND channel = %s AND section = %s"


def admitted(connection: Connection, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Leave out what is too old: events of frozen days, and refunds of orders that belong to one."""
    horizons: dict[str, int] = dict(connection.execute(_HORIZONS).fetchall())
    if not horizons:
        return entries
    places = {_place(entry) for entry in entries if isinstance(entry.event, Refund)}
    rows = connection.execute(_DAYS_OF_ORDERS, columns_of(sorted(places))).fetchall() if places else []
    days = {(namespace, key, service, bytes(order_id)): day for namespace, key, service, order_id, day in rows}
    return retention.admitted(entries, horizons, lambda entry: days.get(_place(entry)))


def _place(entry: Entry) -> tuple[str, str, str, bytes]:
    event, origin = entry.event, entry.origin
    order_id = event.order_id if isinstance(event, Refund) else ""
    return origin.namespace, event.key, origin.service, order_id.encode()


def thawed(rows: Iterable[tuple[str, Section, bytes]]) -> Rolled | None:
    """Give a frozen day's roll-ups by channel from what `FROZEN` found, None for a day that is not frozen."""
    rolled: Rolled = {}
    for channel, section, body in rows:
        setattr(rolled.setdefault(channel, Rollup()), section, decode_section(section, body))
    return rolled or None


def days_to_freeze(connection: Connection, services: Sequence[int], before: int) -> list[ServiceDay]:
    """Give the days of services before a day that are not frozen yet, oldest first."""
    return connection.execute(_TO_FREEZE, (list(services), before)).fetchall()


def freeze(connection: Connection, day: ServiceDay, rolled: Rolled) -> None:
    """Keep the roll-ups of a day for good."""
    connection.cursor().executemany(_FREEZE, [(*day, *row) for row in encoded(rolled)])


def thaw_visitor(connection: Connection, number: int | None, chronicle: Chronicle) -> set[ServiceDay]:
    """Take an erased visitor out of the frozen days, and give those that changed."""
    changed: set[ServiceDay] = set()
    if number is None:
        return changed
    asked = (list(chronicle.presence), *chronicle.days)
    for service, day, channel, section, body in connection.execute(_OF_VISITOR, asked, binary=True).fetchall():
        decoded = decode_section(section, body)
        if remove_visitor(section, decoded, number):
            rollup = Rollup()
            setattr(rollup, section, decoded)
            connection.execute(_THAW, (encode_section(rollup, section), service, day, channel, section))
            changed.add((service, day))
    return changed
