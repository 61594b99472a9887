"""Sweeping the page views that a log stands for out of PostgreSQL, visitor by visitor.

In short transactions, so that the writers come to their turn; a sweep cut short is finished by the next one for
the same time. Until then nobody has imported anything into it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from alias_middleware.events import Event, restore
from alias_middleware.storage.changes import ServiceDay
from alias_middleware.storage.chronicle import Chronicle, decode_chronicle, encode_chronicle
from alias_middleware.storage.postgresql import tastes
from alias_middleware.storage.postgresql.marks import mark_changed
from alias_middleware.storage.postgresql.numbering import Who
from alias_middleware.storage.postgresql.planning import alone
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.postgresql.shelf import DEPART
from alias_middleware.storage.replacing import (
    Asked,
    Raw,
    Replacement,
    Stretch,
    arrivals_moved,
    days_of,
    habits_without,
    to_sweep,
    withdraw,
)
from alias_middleware.storage.retention import whole_since
from alias_middleware.storage.tastes import Tastes
from alias_middleware.storage.visits import margin_days

_AT_ONCE = 200
_PART_SECONDS = 60.0
STRETCHES = "SELECT service, since_us, until_us FROM replaced"
_BEGIN = "INSERT INTO replaced VALUES (%s, %s, %s, false) ON CONFLICT DO NOTHING"
_END = "UPDATE replaced SET swept = true WHERE service = %s AND since_us = %s AND until_us = %s"
_KNOWN = "SELECT since_us, until_us, swept FROM replaced WHERE service = %s"
_LIVE = "SELECT since_us FROM live WHERE service = %s"
_DAYS = """
    SELECT DISTINCT c.day FROM changes c JOIN services s ON s.id = c.service
    WHERE s.service = %s AND c.day BETWEEN %s AND %s ORDER BY c.day
"""
_VISITORS = """
    SELECT DISTINCT s.namespace, e.key FROM events e JOIN services s ON s.id = e.service
    WHERE e.day = %(day)s AND s.service = %(service)s AND e.kind = 'v' AND e.channel = 'web'
        AND (s.namespace, e.key) > (%(namespace)s, %(key)s)
        AND EXISTS (SELECT 1 FROM unnest(%(since)s::bigint[], %(until)s::bigint[]) AS asked (since_us, until_us)
                    WHERE e.time_us >= asked.since_us AND e.time_us < asked.until_us)
    ORDER BY s.namespace, e.key LIMIT %(limit)s
"""
_SERVICES = """
    SELECT s.id, s.service, s.namespace, coalesce(h.frozen_before, 0),
        (SELECT visit_gap_us FROM services WHERE service = s.service ORDER BY id LIMIT 1)
    FROM services s LEFT JOIN horizons h USING (namespace)
"""
_VISITOR = "SELECT knowledge, habits FROM visitors WHERE namespace = %s AND key = %s"
_RAW = """
    SELECT day, time_us, id, service, channel, kind, body
    FROM events WHERE key = %s AND service = ANY(%s) AND day = ANY(%s)
"""
_DELETE = "DELETE FROM events WHERE day = %s AND service = %s AND key = %s AND time_us = %s AND id = %s"
_ARRIVE = "INSERT INTO arrivals (service, day, key) VALUES (%s, %s, %s)"
_KEEP = "UPDATE visitors SET knowledge = %s, habits = %s WHERE namespace = %s AND key = %s"
_FORGET = tuple(f"DELETE FROM {table} WHERE namespace = %s AND key = %s" for table in ("visitors", "numbers"))


class _Service(NamedTuple):
    """A service as raw events name it, and the local day before which days are frozen."""

    name: str
    namespace: str
    frozen_before: int
    gap_us: int


class Sweep:
    """One stretch of one service on its way out of the history."""

    def __init__(self, connection: Connection, service: str, stretch: Stretch) -> None:
        """Sweep with the connection; nothing is done yet."""
        self._connection = connection
        self._service = service
        self._stretch = stretch

    def carry_out(self) -> int:
        """Let no more live page views in, take out those there are, and give their number."""
        with alone(self._connection):
            self._connection.execute(_BEGIN, (self._service, *self._stretch))
        days = _days(self._connection, self._service, self._to_sweep())
        gone = sum(self._sweep_day(day) for day in days)
        with alone(self._connection):
            self._connection.execute(_END, (self._service, *self._stretch))
        return gone

    def _to_sweep(self) -> list[Stretch]:
        rows = self._connection.execute(_KNOWN, (self._service,)).fetchall()
        live = self._connection.execute(_LIVE, (self._service,)).fetchone()
        return to_sweep([Replacement(*row) for row in rows], live and live[0])

    def _sweep_day(self, day: int) -> int:
        """Take out what visitors of a day viewed, on this day or another; some visitors at a time."""
        gone, after = 0, ("", "")
        while True:
            with alone(self._connection):
                asked = self._to_sweep()
                found = _visitors(self._connection, self._service, asked, day, after)
                if found:
                    gone += _Withdrawal(self._connection, self._service, asked).carry_out(found)
            if not found:
                return gone
            after = found[-1]


def take_back(connection: Connection, service: str, asked: Sequence[Stretch]) -> int:
    """Take a service's page views of some time out within the open transaction, and give their number.

    Each part has its time, however many there are.
    """
    gone = 0
    for day in _days(connection, service, asked):
        after = "", ""
        while found := _visitors(connection, service, asked, day, after):
            connection.deadline = max(connection.deadline, time.monotonic() + _PART_SECONDS)
            gone += _Withdrawal(connection, service, asked).carry_out(found)
            after = found[-1]
    return gone


def _days(connection: Connection, service: str, asked: Sequence[Stretch]) -> list[int]:
    """Give the days of some time on which anything was ever recorded."""
    return [day for (day,) in connection.execute(_DAYS, (service, *days_of(asked))).fetchall()]


def _visitors(
    connection: Connection, service: str, stretches: Sequence[Stretch], day: int, after: Who
) -> list[Who]:
    """Give some who viewed pages of a service on a day, in some stretches."""
    asked = {
        "day": day,
        "service": service,
        "namespace": after[0],
        "key": after[1],
        "since": [since for since, _ in stretches],
        "until": [until for _, until in stretches],
        "limit": _AT_ONCE,
    }
    return connection.execute(_VISITORS, asked).fetchall() if stretches else []


class _Withdrawal:
    """Some visitors' page views, taken out within one transaction."""

    def __init__(self, connection: Connection, service: str, asked: Sequence[Stretch]) -> None:
        self._connection = connection
        rows = connection.execute(_SERVICES).fetchall()
        self._services = {id_: _Service(*rest) for id_, *rest in rows}
        self._gaps_us = {id_: each.gap_us for id_, each in self._services.items()}
        self._asked = Asked(
            frozenset(id_ for id_, each in self._services.items() if each.name == service),
            asked,
            {id_: each.frozen_before for id_, each in self._services.items()},
        )
        self._tastes = Tastes()
        self._touched: set[ServiceDay] = set()

    def carry_out(self, visitors: Sequence[Who]) -> int:
        """Take page views out of everything that is made of them; give their number."""
        gone = sum(self._withdraw(*visitor) for visitor in visitors)
        tastes.write(self._connection, self._tastes)
        mark_changed(self._connection, self._touched, max(map(margin_days, self._gaps_us.values())))
        return gone

    def _withdraw(self, namespace: str, key: str) -> int:
        row = self._connection.execute(_VISITOR, (namespace, key), binary=True).fetchone()
        chronicle, habits = decode_chronicle(row[0]), row[1]  # type: ignore[index]  # his events are there
        services = {id_: each for id_, each in self._services.items() if each.namespace == namespace}
        first, last = chronicle.days
        asked = (key, [*services], list(range(first, last + 1)))
        left, gone = self._asked.divide(Raw(*row) for row in self._connection.execute(_RAW, asked, binary=True))
        whole = first >= whole_since(max(each.frozen_before for each in services.values()))
        arrived = {service: each.first_day for service, each in chronicle.presence.items()}
        withdraw(
            chronicle, [each.trace for each in left], [each.trace for each in gone], self._gaps_us, whole=whole
        )
        kept = habits_without(
            habits,
            [(each.service, _event(each, key)) for each in left] if whole else None,
            [_event(each, key) for each in gone],
        )
        self._tastes.forget(namespace, habits)
        self._tastes.remember(namespace, kept)
        with self._connection.pipeline():
            marks = [(each.day, each.service, key, each.time_us, each.id) for each in gone]
            self._connection.cursor().executemany(_DELETE, marks)
            self._move_arrivals(key, arrived, chronicle)
            if whole and not left:
                for statement in _FORGET:
                    self._connection.execute(statement.encode(), (namespace, key))
            else:
                self._connection.execute(_KEEP, (encode_chronicle(chronicle), kept, namespace, key))
        self._touched.update((each.service, each.day) for each in gone)
        return len(gone)

    def _move_arrivals(self, key: str, before: Mapping[int, int], chronicle: Chronicle) -> None:
        for service, day, to in arrivals_moved(before, chronicle):
            self._connection.execute(DEPART, (service, day, key))
            self._touched.add((service, day))
            if to is not None:
                self._connection.execute(_ARRIVE, (service, to, key))
                self._touched.add((service, to))


def _event(row: Raw, key: str) -> Event:
    return restore(row.kind, key, time_us=row.time_us, day=row.day, channel=row.channel, body=row.body)
