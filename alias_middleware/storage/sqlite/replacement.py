"""Sweeping the page views that a log stands for out of the history file, visitor by visitor.

In short transactions, so that the writer comes to its turn; a sweep cut short is finished by the next one for the
same time. Until then nobody has imported anything into it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from alias_middleware.events import Event
from alias_middleware.storage.chronicle import Chronicle, decode_chronicle, encode_chronicle
from alias_middleware.storage.replacing import (
    Asked,
    Raw,
    Replacement,
    Stretch,
    arrivals_moved,
    by_service,
    days_of,
    habits_without,
    to_sweep,
    withdraw,
)
from alias_middleware.storage.retention import whole_since
from alias_middleware.storage.sqlite import tastes
from alias_middleware.storage.sqlite.connection import Connection
from alias_middleware.storage.sqlite.frozen import retire_number
from alias_middleware.storage.sqlite.marks import ServiceDay, mark_changed
from alias_middleware.storage.sqlite.pages import ShownPages
from alias_middleware.storage.sqlite.recollection import draw
from alias_middleware.storage.tastes import Tastes
from alias_middleware.storage.visits import margin_days

_TIMEOUT_SECONDS = 10.0
_AT_ONCE = 500
_SERVICES = """
    SELECT s.id, (SELECT visit_gap_us FROM services WHERE service = s.service ORDER BY id LIMIT 1),
        ifnull(h.frozen_before, 0)
    FROM services s LEFT JOIN horizons h USING (namespace)
"""
_DAYS = """
    SELECT DISTINCT day FROM changes JOIN services ON services.id = changes.service
    WHERE services.service = ? AND day BETWEEN ? AND ? ORDER BY day
"""
_VISITORS = """
    SELECT v.id, v.namespace, v.key, c.knowledge, c.habits, ifnull(h.frozen_before, 0)
    FROM visitors v JOIN chronicles c ON c.visitor = v.id LEFT JOIN horizons h USING (namespace)
    WHERE v.id IN (SELECT value FROM json_each(?))
"""  # a scan for some hundred visitors at once: nothing else asks for names by numbers
_RAW = """
    WITH RECURSIVE days (day) AS (SELECT :first UNION ALL SELECT day + 1 FROM days WHERE day < :last)
    SELECT day, time_us, id, service, channel, kind, body FROM days CROSS JOIN events USING (day)
    WHERE visitor = :visitor
"""


def stretches(sql: sqlite3.Connection) -> dict[str, list[Stretch]]:
    """Give the time by service that logs stand for."""
    return by_service(sql.execute("SELECT service, since_us, until_us FROM replaced"))


class Sweep:
    """One stretch of one service on its way out of the history file."""

    def __init__(self, connection: Connection, service: str, stretch: Stretch) -> None:
        """Sweep with the connection; nothing is done yet."""
        self._connection = connection
        self._service = service
        self._stretch = stretch

    def carry_out(self) -> int:
        """Let no more live page views in, take out those there are, and give their number."""
        with self._connection.transaction(_TIMEOUT_SECONDS) as sql:
            sql.execute("INSERT OR IGNORE INTO replaced VALUES (?, ?, ?, 0)", (self._service, *self._stretch))
        sql = self._connection.sql
        gone = sum(self._sweep_day(day) for day in _days(sql, self._service, self._to_sweep(sql)))
        with self._connection.transaction(_TIMEOUT_SECONDS) as sql:
            sql.execute(
                "UPDATE replaced SET swept = 1 WHERE service = ? AND since_us = ? AND until_us = ?",
                (self._service, *self._stretch),
            )
        return gone

    def _to_sweep(self, sql: sqlite3.Connection) -> list[Stretch]:
        rows = sql.execute("SELECT since_us, until_us, swept FROM replaced WHERE service = ?", (self._service,))
        live = sql.execute("SELECT since_us FROM live WHERE service = ?", (self._service,)).fetchone()
        known = [Replacement(since_us, until_us, bool(swept)) for since_us, until_us, swept in rows]
        return to_sweep(known, live and live[0])

    def _sweep_day(self, day: int) -> int:
        """Take out what visitors of a day viewed, on this day or another; some visitors at a time."""
        gone, after, more = 0, -1, True
        while more:
            with self._connection.transaction(_TIMEOUT_SECONDS) as sql:
                asked = self._to_sweep(sql)
                found = _visitors(sql, self._service, asked, day, after)
                if found:
                    gone += _Withdrawal(sql, self._service, asked).carry_out(found)
                    after = found[-1]
            more = bool(found)
        return gone


def take_back(sql: sqlite3.Connection, service: str, asked: Sequence[Stretch]) -> int:
    """Take a service's page views of some time out within the open transaction, and give their number."""
    gone = 0
    for day in _days(sql, service, asked):
        after = -1
        while found := _visitors(sql, service, asked, day, after):
            gone += _Withdrawal(sql, service, asked).carry_out(found)
            after = found[-1]
    return gone


def _days(sql: sqlite3.Connection, service: str, asked: Sequence[Stretch]) -> list[int]:
    """Give the days of some time on which anything was ever recorded."""
    return [day for (day,) in sql.execute(_DAYS, (service, *days_of(asked)))]


def _visitors(sql: sqlite3.Connection, service: str, asked: Sequence[Stretch], day: int, after: int) -> list[int]:
    """Give some who viewed pages of a service on a day, in the time asked for."""
    if not asked:
        return []
    times = " OR ".join("time_us >= ? AND time_us < ?" for _ in asked)
    query = f"""
        SELECT DISTINCT visitor FROM events WHERE day = ? AND visitor > ? AND kind = 'v' AND channel = 'web'
            AND service IN (SELECT id FROM services WHERE service = ?) AND ({times})
        ORDER BY visitor LIMIT ?
    """
    moments = [moment for stretch in asked for moment in stretch]
    rows = sql.execute(query, (day, after, service, *moments, _AT_ONCE)).fetchall()
    return [visitor for (visitor,) in rows]


class _Withdrawal:
    """Some visitors' page views, taken out within one transaction."""

    def __init__(self, sql: sqlite3.Connection, service: str, asked: Sequence[Stretch]) -> None:
        self._sql = sql
        rows = sql.execute(_SERVICES).fetchall()
        self._gaps_us: Mapping[int, int] = {id_: gap_us for id_, gap_us, _ in rows}
        named = sql.execute("SELECT id FROM services WHERE service = ?", (service,))
        self._asked = Asked(frozenset(id_ for (id_,) in named), asked, {id_: before for id_, _, before in rows})
        self._pages = ShownPages(sql)
        self._tastes = Tastes()
        self._touched: set[ServiceDay] = set()

    def carry_out(self, visitors: Sequence[int]) -> int:
        """Take page views out of everything that is made of them; give their number."""
        draw(self._sql)
        rows = self._sql.execute(_VISITORS, (f"[{','.join(map(str, visitors))}]",)).fetchall()
        gone = sum(self._withdraw(*row) for row in rows)
        tastes.write(self._sql, self._tastes)
        mark_changed(self._sql, self._touched, max(map(margin_days, self._gaps_us.values())))
        return gone

    def _withdraw(  # noqa: PLR0917 -- a row
        self, visitor: int, namespace: str, key: str, knowledge: bytes, habits: bytes, frozen_before: int
    ) -> int:
        chronicle = decode_chronicle(knowledge)
        first, last = chronicle.days
        rows = self._sql.execute(_RAW, {"visitor": visitor, "first": first, "last": last})
        left, gone = self._asked.divide(Raw(*row) for row in rows)
        whole = first >= whole_since(frozen_before)
        arrived = {service: each.first_day for service, each in chronicle.presence.items()}
        withdraw(chronicle, [row.trace for row in left], [row.trace for row in gone], self._gaps_us, whole=whole)
        self._sql.executemany(
            "DELETE FROM events WHERE day = ? AND visitor = ? AND time_us = ? AND id = ?",
            [(row.day, visitor, row.time_us, row.id) for row in gone],
        )
        self._touched.update((row.service, row.day) for row in gone)
        self._move_arrivals(visitor, arrived, chronicle)
        self._keep(visitor, chronicle, self._habits(namespace, key, habits, left if whole else None, gone))
        if whole and not left:
            retire_number(self._sql, visitor)
            self._sql.execute("DELETE FROM chronicles WHERE visitor = ?", (visitor,))
            self._sql.execute("DELETE FROM visitors WHERE namespace = ? AND key = ?", (namespace, key))
        return len(gone)

    def _move_arrivals(self, visitor: int, before: Mapping[int, int], chronicle: Chronicle) -> None:
        for service, day, to in arrivals_moved(before, chronicle):
            self._sql.execute(
                "DELETE FROM arrivals WHERE service = ? AND day = ? AND visitor = ?", (service, day, visitor)
            )
            self._touched.add((service, day))
            if to is not None:
                self._sql.execute("INSERT INTO arrivals VALUES (?, ?, ?)", (service, to, visitor))
                self._touched.add((service, to))

    def _habits(
        self, namespace: str, key: str, kept: bytes, left: Sequence[Raw] | None, gone: Sequence[Raw]
    ) -> bytes:
        """Give a visitor's habits without `gone`: worked out anew where all that is `left` is known."""
        known = None if left is None else [(row.service, self._event(key, row)) for row in left]
        encoded = habits_without(kept, known, [self._event(key, row) for row in gone])
        self._tastes.forget(namespace, kept)
        self._tastes.remember(namespace, encoded)
        return encoded

    def _event(self, key: str, row: Raw) -> Event:
        return self._pages.event(
            row.kind, key, time_us=row.time_us, day=row.day, channel=row.channel, body=row.body
        )

    def _keep(self, visitor: int, chronicle: Chronicle, habits: bytes) -> None:
        self._sql.execute(
            "UPDATE chronicles SET knowledge = ?, habits = ? WHERE visitor = ?",
            (encode_chronicle(chronicle), habits, visitor),
        )
