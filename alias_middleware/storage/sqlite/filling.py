"""Filling sealed SQLite files with rows that come from another storage."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from alias_middleware.events import Purchase, restore
from alias_middleware.storage import moving
from alias_middleware.storage.chronicle import Chronicle, decode_chronicle
from alias_middleware.storage.erasure_log import ErasureLog
from alias_middleware.storage.moving import Key, Part, Row
from alias_middleware.storage.sqlite import filling_pseudonyms, seal
from alias_middleware.storage.sqlite.connection import Connection
from alias_middleware.storage.sqlite.erasure import forget
from alias_middleware.storage.sqlite.marks import mark_changed
from alias_middleware.storage.sqlite.pages import PageNumbers
from alias_middleware.storage.sqlite.pseudonyms import forget_lasting
from alias_middleware.storage.sqlite.recollection import draw
from alias_middleware.storage.sqlite.rows import insert_rows, select_by_keys
from alias_middleware.storage.sqlite.shapes import SHAPES
from alias_middleware.storage.sqlite.shelf import Renew
from alias_middleware.storage.visits import margin_days

_KNOWN = "SELECT id, knowledge FROM visitors JOIN chronicles ON visitor = id WHERE namespace = ? AND key = ?"
_PURCHASE = "SELECT channel, body FROM events WHERE day = ? AND visitor = ? AND time_us = ? AND id = ?"
_SAME_EVENT = "ON CONFLICT (day, visitor, time_us, id) DO NOTHING"
_TABLES = {moving.GIVEN_NUMBERS: "main.numbers"}
_BOTH_FILES = ("main", "preferences")
_PSEUDONYMS = (moving.PSEUDONYMS, moving.LASTING_KEYS)

Person = tuple[str, str]
"""A visitor's namespace and key."""


class Filling:
    """Keeps and deletes rows; remembers the numbers of pages from one transaction to the next."""

    def __init__(self, log: ErasureLog) -> None:
        """Tell `log` of tombstones that come."""
        self._log = log
        self._pages: PageNumbers | None = None
        self._special: dict[Part, Callable[[sqlite3.Connection, Sequence[Row]], int]] = {
            moving.RECORDED_DAYS: _put_days,
            moving.VISITORS: _put_visitors,
            moving.EVENTS: self._put_events,
            moving.ORDERS: _put_orders,
            moving.GIVEN_NUMBERS: _put_highest,
            moving.REFUNDS: _put_refunds,
            moving.UNIDENTIFIED: partial(_put_marked, part=moving.UNIDENTIFIED),
            moving.FROZEN: partial(_put_marked, part=moving.FROZEN),
        }

    def put(self, connection: Connection, part: Part, rows: Sequence[Row]) -> int:
        """Keep rows of any part but the profiles'."""
        if part is moving.TOMBSTONES:
            self._put_tombstones(connection, rows)
            return len(rows)
        if part in _PSEUDONYMS:
            return filling_pseudonyms.put(connection, part, rows)
        try:
            with seal.lifted(connection, "main") as sql:
                special = self._special.get(part)
                return _put_plain(sql, part, rows) if special is None else special(sql, rows)
        except BaseException:
            self._pages = None  # numbers that were just given are given to nobody
            raise

    def drop(self, connection: Connection, part: Part, keys: Sequence[Key]) -> None:
        """Delete rows of any part but the profiles'."""
        if part in _PSEUDONYMS:
            filling_pseudonyms.drop(connection, part, keys)
            return
        for schema in _BOTH_FILES if part is moving.TOMBSTONES else ("main",):
            with seal.lifted(connection, schema) as sql:
                if part is moving.VISITORS:
                    for namespace, key in keys:
                        forget(sql, namespace, key, from_frozen=False)
                    continue
                if part in {moving.UNIDENTIFIED, moving.FROZEN}:
                    mark_changed(sql, {key[:2] for key in keys}, 0)
                _drop(
                    sql, part, keys, _TABLES.get(part) or SHAPES[part].table.replace("preferences.", f"{schema}.")
                )

    def put_profiles(self, sql: sqlite3.Connection, rows: Sequence[Row], renew: Renew) -> None:
        """Keep profiles, and renew their versions: another process may have read them."""
        for row in rows:
            renew(row[0], row[1])
        columns = ", ".join(moving.PROFILES.columns)
        marks = ", ".join("?" * len(moving.PROFILES.columns))
        sql.executemany(f"INSERT OR REPLACE INTO preferences.profiles ({columns}) VALUES ({marks})", rows)
        filling_pseudonyms.share_lasting(sql, "preferences", rows)

    def drop_profiles(self, sql: sqlite3.Connection, keys: Sequence[Key], renew: Renew) -> None:
        """Delete profiles."""
        for namespace, key in keys:
            renew(namespace, key)
            forget_lasting(sql, "preferences", namespace, key)
        _drop(sql, moving.PROFILES, keys, "preferences.profiles")

    def _put_tombstones(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Keep tombstones in both files and in the log of erasures."""
        logged = self._log.latest()
        for namespace, hash_, erased_us in rows:
            if logged.get((namespace, hash_), 0) < erased_us:
                self._log.append(namespace, hash_, b"", erased_us)
        for schema in _BOTH_FILES:
            with seal.lifted(connection, schema) as sql:
                sql.executemany(
                    f"INSERT OR REPLACE INTO {schema}.tombstones (namespace, hash, erased_us) VALUES (?, ?, ?)",
                    rows,
                )

    def _put_events(self, sql: sqlite3.Connection, rows: Sequence[Row]) -> int:
        if self._pages is None:
            self._pages = PageNumbers()
            self._pages.begin(sql, anew=True)
        self._pages.begin(sql, anew=False)
        numbers = _numbers(sql, rows)
        events: list[tuple[Any, ...]] = []
        for day, service, key, time_us, id_, channel, kind, body in rows:
            visitor = numbers.get((service, key))
            if visitor is not None:
                short = self._pages.shortened(body, visitor) if kind == "v" else body
                events.append((day, visitor, time_us, id_, service, channel, kind, short))
        insert_rows(sql, "events", sorted(events, key=_place), conflict=_SAME_EVENT)
        mark_changed(sql, {(row[1], row[0]) for row in rows}, _margin(sql))
        return len(events)


def _place(event: tuple[Any, ...]) -> tuple[Any, ...]:
    return event[:4]


def _numbers(sql: sqlite3.Connection, events: Sequence[Row]) -> dict[tuple[int, str], int]:
    """Give the numbers of the visitors of events, by the service's id and the key."""
    keys: dict[int, set[str]] = defaultdict(set)
    for event in events:
        keys[event[1]].add(event[2])
    found = {}
    for service, theirs in keys.items():
        row = sql.execute("SELECT namespace FROM services WHERE id = ?", (service,)).fetchone()
        if row is not None:
            query = "SELECT key, id FROM visitors WHERE namespace = ? AND key IN"
            found.update({(service, key): id_ for key, id_ in select_by_keys(sql, query, row, sorted(theirs))})
    return found


def _margin(sql: sqlite3.Connection) -> int:
    return max((margin_days(gap_us) for (gap_us,) in sql.execute("SELECT visit_gap_us FROM services")), default=1)


def _put_plain(sql: sqlite3.Connection, part: Part, rows: Sequence[Row]) -> int:
    columns = part.columns
    marks = ", ".join("?" * len(columns))
    sql.executemany(f"INSERT OR REPLACE INTO {SHAPES[part].table} ({', '.join(columns)}) VALUES ({marks})", rows)
    return len(rows)


def _put_marked(sql: sqlite3.Connection, rows: Sequence[Row], *, part: Part) -> int:
    """Keep rows that begin with a service and a day, of which a roll-up is made."""
    mark_changed(sql, {(row[0], row[1]) for row in rows}, 0)
    return _put_plain(sql, part, rows)


def _put_highest(sql: sqlite3.Connection, rows: Sequence[Row]) -> int:
    sql.executemany("INSERT OR REPLACE INTO numbers (id, given) VALUES (?, ?)", rows)
    return len(rows)


def _put_days(sql: sqlite3.Connection, rows: Sequence[Row]) -> int:
    sql.executemany("INSERT OR IGNORE INTO changes VALUES (?, ?, random())", rows)
    return len(rows)


def _put_visitors(sql: sqlite3.Connection, rows: Sequence[Row]) -> int:
    draw(sql)
    touched: set[tuple[int, int]] = set()
    for namespace, key, number, not_before, knowledge, habits in rows:
        before = _make_room(sql, (namespace, key), number)
        sql.execute(
            "INSERT INTO visitors (namespace, key, id, not_before) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (namespace, key) DO UPDATE SET not_before = excluded.not_before",
            (namespace, key, number, not_before),
        )
        sql.execute("INSERT OR REPLACE INTO chronicles VALUES (?, ?, ?)", (number, knowledge, habits))
        arrivals = _arrivals(decode_chronicle(knowledge))
        for table_verb, changed in (
            ("DELETE FROM arrivals WHERE service = ? AND day = ? AND visitor = ?", before - arrivals),
            ("INSERT OR IGNORE INTO arrivals VALUES (?, ?, ?)", arrivals - before),
        ):
            sql.executemany(table_verb, [(*place, number) for place in changed])
            touched |= changed
    filling_pseudonyms.share_lasting(sql, "main", rows)
    mark_changed(sql, touched, 0)
    return len(rows)


def _make_room(sql: sqlite3.Connection, person: Person, number: int) -> set[tuple[int, int]]:
    """Forget whoever else has the number, and the visitor himself under another; give the arrivals he has."""
    other = sql.execute("SELECT namespace, key FROM visitors WHERE id = ?", (number,)).fetchone()
    if other is not None and other != person:
        forget(sql, *other, from_frozen=False)
    row = sql.execute(_KNOWN, person).fetchone()
    if row is None:
        return set()
    if row[0] != number:
        forget(sql, *person, from_frozen=False)
        return set()
    return _arrivals(decode_chronicle(row[1]))


def _arrivals(chronicle: Chronicle) -> set[tuple[int, int]]:
    return {(service, presence.first_day) for service, presence in chronicle.presence.items()}


def _put_orders(sql: sqlite3.Connection, rows: Sequence[Row]) -> int:
    kept = 0
    for namespace, key, service, order_id, time_us, id_, day, currency, net, cancelled in rows:
        visitor = _number(sql, namespace, key)
        amount = None if visitor is None else _amount(sql, (day, visitor, time_us, id_))
        if amount is not None:
            place = (visitor, service, order_id, time_us, id_, day, currency, amount, net, cancelled)
            sql.execute("INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", place)
            mark_changed(sql, [(service, day)], 0)
            kept += 1
    return kept


def _amount(sql: sqlite3.Connection, place: tuple[int, int, int, int]) -> int | None:
    """Give the amount of an order from its raw event, None where that is not here."""
    row = sql.execute(_PURCHASE, place).fetchone()
    if row is None:
        return None
    event = restore("p", "", time_us=place[2], day=place[0], channel=row[0], body=row[1])
    return event.amount if isinstance(event, Purchase) else None


def _put_refunds(sql: sqlite3.Connection, rows: Sequence[Row]) -> int:
    known = [(_number(sql, row[0], row[1]), *row[2:]) for row in rows]
    known = [row for row in known if row[0] is not None]
    sql.executemany("INSERT OR REPLACE INTO refunds VALUES (?, ?, ?, ?, ?, ?)", known)
    return len(known)


def _number(sql: sqlite3.Connection, namespace: str, key: str) -> int | None:
    row = sql.execute("SELECT id FROM visitors WHERE namespace = ? AND key = ?", (namespace, key)).fetchone()
    return row[0] if row else None


def _drop(sql: sqlite3.Connection, part: Part, keys: Sequence[Key], table: str) -> None:
    if part in {moving.ORDERS, moving.REFUNDS}:
        numbered = [(_number(sql, key[0], key[1]), *key[2:]) for key in keys]
        names = ("visitor", *part.columns[2 : part.keys])
    else:
        numbered, names = list(keys), part.columns[: part.keys]
    condition = " AND ".join(f"{name} = ?" for name in names)
    sql.executemany(f"DELETE FROM {table} WHERE {condition}", numbered)
