"""What a batch asks of the history in PostgreSQL, many rows a question, and how its changes are written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from alias_middleware.events import restore
from alias_middleware.history import Settlement
from alias_middleware.storage.base import Entry, Origin
from alias_middleware.storage.changes import Changes
from alias_middleware.storage.chronicle import decode_chronicle, encode_chronicle
from alias_middleware.storage.keyring import TOMBSTONE, Keyring
from alias_middleware.storage.postgresql import preferences, tastes
from alias_middleware.storage.postgresql.arrays import column_of, columns_of
from alias_middleware.storage.postgresql.marks import mark_changed
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.settling import Kept, OrderPlace
from alias_middleware.storage.shelf import Known, Mark, Window
from alias_middleware.storage.usual import EventRow

_VISITORS = (
    "SELECT key, not_before, knowledge, habits FROM visitors WHERE namespace = %s AND key = ANY(%s::text[])"
)
_ERASED = "SELECT hash, erased_us FROM tombstones WHERE namespace = %s AND hash = ANY(%s::bytea[])"
_STORED = """
    SELECT day, service, key, time_us, id
    FROM unnest(%s::integer[], %s::integer[], %s::text[], %s::bigint[], %s::bigint[])
        AS asked (day, service, key, time_us, id)
    JOIN events USING (day, service, key, time_us, id)
"""
_PLACES = "FROM unnest(%s::integer[], %s::text[], %s::bytea[]) AS asked (service, key, order_id)"
_ORDERS = f"""
    SELECT o.service, o.key, o.order_id, o.time_us, o.id, o.day, o.net, o.cancelled, e.channel, e.body
    {_PLACES} JOIN orders o USING (service, key, order_id)
    JOIN events e ON e.day = o.day AND e.service = o.service AND e.key = o.key
        AND e.time_us = o.time_us AND e.id = o.id
"""
_REFUNDS = f"SELECT service, key, order_id, amount {_PLACES} JOIN refunds USING (service, key, order_id)"
_AROUND = """
    SELECT asked.number, e.time_us, e.id
    FROM unnest(%s::integer[], %s::integer[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],
        %s::integer[], %s::integer[])
        AS asked (number, service, key, channel, since_us, until_us, first_day, last_day)
    CROSS JOIN LATERAL generate_series(asked.first_day, asked.last_day) AS days (day)
    JOIN events e ON e.day = days.day AND e.service = asked.service AND e.key = asked.key
        AND e.channel = asked.channel AND e.time_us BETWEEN asked.since_us AND asked.until_us
        AND e.kind NOT IN ('r', 'u')
"""
_SERVICES = "SELECT id, service, namespace, visit_gap_us FROM services ORDER BY id"

_KEEP_VISITORS = """
    INSERT INTO visitors (namespace, key, not_before, knowledge, habits)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bytea[], %s::bytea[])
    ON CONFLICT (namespace, key) DO UPDATE SET knowledge = excluded.knowledge, habits = excluded.habits
"""
_ARRIVE = "INSERT INTO arrivals (service, day, key) SELECT * FROM unnest(%s::integer[], %s::integer[], %s::text[])"
DEPART = "DELETE FROM arrivals WHERE service = %s AND day = %s AND key = %s"
_COPY_EVENTS = "COPY events (day, service, key, time_us, id, channel, kind, body) FROM STDIN"
_REMOVE = "DELETE FROM events WHERE day = %s AND service = %s AND key = %s AND time_us = %s AND id = %s"
_KEEP_ORDERS = """
    INSERT INTO orders (service, key, order_id, time_us, id, day, currency, net, cancelled)
    SELECT * FROM unnest(%s::integer[], %s::text[], %s::bytea[], %s::bigint[], %s::bigint[], %s::integer[],
        %s::text[], %s::bigint[], %s::boolean[])
    ON CONFLICT (key, service, order_id) DO UPDATE SET time_us = excluded.time_us, id = excluded.id,
        day = excluded.day, currency = excluded.currency, net = excluded.net, cancelled = excluded.cancelled
"""
_KEEP_REFUNDS = """
    INSERT INTO refunds (service, key, order_id, time_us, id, amount)
    SELECT * FROM unnest(%s::integer[], %s::text[], %s::bytea[], %s::bigint[], %s::bigint[], %s::bigint[])
"""
_LINES_AT_ONCE = 1000
"""So the server stores some while the next are being written."""


class PostgreSQLShelf:
    """Stored history as one batch sees it: in its transaction, with no other batch and no erasure under way."""

    def __init__(
        self, connection: Connection, keyring: Keyring, named: Mapping[tuple[str, str], str] = MappingProxyType({})
    ) -> None:
        """Ask over `connection`, in its open transaction; `named` is `Batch.parted`'s."""
        self._named = named
        self._connection = connection
        self._keyring = keyring
        self._services: dict[Origin, tuple[int, int]] | None = None
        self._latest: tuple[Origin | None, tuple[int, int]] = (None, (0, 0))
        self._gaps: dict[str, int] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._origins: dict[int, Origin] = {}

    def service(self, origin: Origin) -> tuple[int, int]:
        """Give a service's id and its visit gap."""
        if origin is self._latest[0]:  # asked for every event, most of one service: saves hashing the origin
            return self._latest[1]
        known = self._known_services().get(origin)
        if known is None:
            known = self._meet(origin)
        self._latest = origin, known
        return known

    def _known_services(self) -> dict[Origin, tuple[int, int]]:
        if self._services is None:
            self._services = {}
            for id_, service, namespace, gap_us in self._connection.execute(_SERVICES).fetchall():
                self._gaps.setdefault(service, gap_us)
                self._ids[service, namespace] = id_
        return self._services

    def _meet(self, origin: Origin) -> tuple[int, int]:
        """Know a service by name and namespace; the gap it came with may be another than the one that holds."""
        name = origin.service, origin.namespace
        if name not in self._ids:
            self._ids[name] = max(self._ids.values(), default=0) + 1
            row = (self._ids[name], *name, origin.visit_gap_us)
            self._connection.execute("INSERT INTO services VALUES (%s, %s, %s, %s)", row)
        known = self._ids[name], self._gaps.setdefault(origin.service, origin.visit_gap_us)
        self._known_services()[origin] = known
        self._origins[known[0]] = origin
        return known

    def visitors(self, namespace: str, keys: Sequence[str]) -> Mapping[str, Known]:
        """Give those who are known."""
        rows = self._connection.execute(_VISITORS, (namespace, column_of(keys)), binary=True)
        try:
            return {
                key: Known(not_before, decode_chronicle(knowledge), habits)
                for key, not_before, knowledge, habits in rows
            }
        except msgspec.DecodeError as error:  # one visitor's row must not hold up everybody: see Storage.apply
            raise ValueError("a visitor's row does not decode") from error

    def erased(self, namespace: str, keys: Sequence[str]) -> Mapping[str, int]:
        """Give those who were erased."""
        if self._connection.execute("SELECT 1 FROM tombstones LIMIT 1").fetchone() is None:
            return {}
        names = {key: self._named.get((namespace, key), key) for key in keys}
        whose = {hash_: key for key in keys for hash_ in self._keyring.every(TOMBSTONE, namespace, names[key])}
        found: dict[str, int] = {}
        for hash_, erased_us in self._connection.execute(
            _ERASED, (namespace, column_of(list(whose))), binary=True
        ):
            found[whose[hash_]] = max(erased_us, found.get(whose[hash_], 0))
        return found

    def refusals(self, namespace: str, keys: Sequence[str]) -> Mapping[str, int]:
        """Give those who refuse to be measured."""
        return preferences.refusals(self._connection, namespace, keys)

    def stored(self, marks: Sequence[Mark]) -> set[Mark]:
        """Give those that are stored."""
        return {Mark(*row) for row in self._ask(_STORED, marks)}

    def orders(self, places: Sequence[OrderPlace]) -> Mapping[OrderPlace, Kept]:
        """Give the copies that count so far."""
        found = {}
        for service, key, order_id, time_us, id_, day, net, cancelled, channel, body in self._ask(
            _ORDERS, _in_columns(places)
        ):
            event = restore("p", key, time_us=time_us, day=day, channel=channel, body=body)
            entry = Entry(self._origins[service], event, id_)
            found[OrderPlace(service, key, order_id.decode())] = Kept(entry, Settlement(net, cancelled))
        return found

    def refunds(self, places: Sequence[OrderPlace]) -> Mapping[OrderPlace, Sequence[int | None]]:
        """Give the amounts refunded so far."""
        found: dict[OrderPlace, list[int | None]] = {}
        for service, key, order_id, amount in self._ask(_REFUNDS, _in_columns(places)):
            found.setdefault(OrderPlace(service, key, order_id.decode()), []).append(amount)
        return found

    def around(self, windows: Sequence[Window]) -> Mapping[Window, Sequence[tuple[int, int]]]:
        """Give what lies in some windows."""
        found: dict[Window, list[tuple[int, int]]] = {window: [] for window in windows}
        asked = [(number, *window.stream[:3], *window[1:]) for number, window in enumerate(windows)]
        for number, time_us, id_ in self._ask(_AROUND, asked):
            found[windows[number]].append((time_us, id_))
        return found

    def _ask(self, query: str, rows: Sequence[tuple[object, ...]]) -> list[Any]:
        """Ask for many rows at once: one array a column."""
        return self._connection.execute(query, columns_of(rows), binary=True).fetchall() if rows else []

    def write(self, changes: Changes) -> None:
        """Write down what a batch changes, rows of one table together and sorted by its key."""
        if any(changes.events.values()):
            self._copy_events(changes)
        with self._connection.pipeline():
            self._write(changes)

    def _copy_events(self, changes: Changes) -> None:
        with self._connection.cursor().copy(_COPY_EVENTS) as copy:
            for alike, rows in changes.events.items():
                rows.sort()
                for place in range(0, len(rows), _LINES_AT_ONCE):
                    copy.write("".join(_lines(alike, rows[place : place + _LINES_AT_ONCE])))

    def _write(self, changes: Changes) -> None:
        people = [
            (person.namespace, person.key, person.not_before, encode_chronicle(person.chronicle), person.habits)
            for person in changes.visitors
        ]
        self._put(_KEEP_VISITORS, sorted(people))
        if changes.departed:
            self._connection.cursor().executemany(DEPART, sorted(changes.departed))
        self._put(_ARRIVE, sorted(changes.arrived))
        mark_changed(self._connection, changes.touched, changes.margin)
        tastes.write(self._connection, changes.tastes)
        if changes.gone:
            self._connection.cursor().executemany(_REMOVE, changes.gone)
        self._put(_KEEP_ORDERS, sorted(map(_order_row, changes.orders.items())))
        self._put(_KEEP_REFUNDS, sorted(_refund_row(place, entry) for place, entry in changes.refunds))

    def _put(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        if rows:
            self._connection.execute(statement, columns_of(rows))


def _lines(alike: tuple[int, str, str], rows: Sequence[EventRow[str]]) -> list[str]:
    """Write events as COPY reads them. `alike`: their service, channel and kind."""
    service, channel, kind = alike
    return [
        f"{day}\t{service}\t{_escaped(key)}\t{time_us}\t{id_}\t{channel}\t{kind}\t\\\\x{body.hex()}\n"
        for day, key, time_us, id_, body in rows
    ]


def _order_row(order: tuple[OrderPlace, Any]) -> tuple[object, ...]:
    place, settled = order
    entry, settlement = settled.entry, settled.settlement
    event = entry.event
    return (*_in_column(place), event.time_us, entry.id, event.day, event.currency, *settlement)


def _refund_row(place: OrderPlace, entry: Entry) -> tuple[object, ...]:
    return (*_in_column(place), entry.event.time_us, entry.id, entry.event.amount)  # type: ignore[attr-defined]


def _in_columns(places: Sequence[OrderPlace]) -> list[tuple[int, str, bytes]]:
    return list(map(_in_column, places))


def _in_column(place: OrderPlace) -> tuple[int, str, bytes]:
    return place.service, place.key, place.order_id.encode()


def _escaped(text: str) -> str:
    """Write a text as COPY reads it."""
    if text.isalnum():
        return text
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
