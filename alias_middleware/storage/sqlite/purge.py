"""Retention in the SQLite storage: freezing days, deleting raw events, forgetting idle visitors.

Everything happens in short transactions between which the writer and requests come to their turn; whatever is
cut short, the next purge finishes.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator

from alias_middleware.rollups.coding import encode_section
from alias_middleware.rollups.model import SECTIONS
from alias_middleware.storage.custody import Cut
from alias_middleware.storage.retention import TABLES, is_idle
from alias_middleware.storage.sqlite.connection import Connection
from alias_middleware.storage.sqlite.days import OF_THE_SERVICE, roll_up_day
from alias_middleware.storage.sqlite.erasure import forget
from alias_middleware.storage.sqlite.frozen import days_to_freeze
from alias_middleware.storage.sqlite.outbox import erase_dispatches
from alias_middleware.storage.sqlite.pages import ShownPages
from alias_middleware.storage.sqlite.pseudonyms import forget_lasting
from alias_middleware.storage.sqlite.seals import ended, forget_ended
from alias_middleware.storage.visits import margin_days

_TIMEOUT_SECONDS = 10.0
_AT_ONCE = 200
_SERVICES = """
    SELECT s.id, (SELECT visit_gap_us FROM services WHERE service = s.service ORDER BY id LIMIT 1)
    FROM services s WHERE s.namespace = ?
"""
_RAW = "day = ? AND service = ? AND kind NOT IN ('p', 'r')"
"""Raw events of a day that go; orders and refunds stay with their visitor."""
_PEOPLE = """
    SELECT key FROM visitors WHERE namespace = :namespace AND key > :after
    UNION SELECT key FROM preferences.profiles WHERE namespace = :namespace AND key > :after
    ORDER BY key LIMIT :limit
"""
_ABOUT = """
    SELECT v.id, c.knowledge, p.preferences, p.personal, p.consents, p.stamps
    FROM (SELECT ? AS namespace, ? AS key) asked
    LEFT JOIN visitors v ON v.namespace = asked.namespace AND v.key = asked.key
    LEFT JOIN chronicles c ON c.visitor = v.id
    LEFT JOIN preferences.profiles p ON p.namespace = asked.namespace AND p.key = asked.key
"""


class Purge:
    """One cut through one namespace."""

    def __init__(self, connection: Connection, namespace: str, cut: Cut) -> None:
        """Cut with the connection; nothing is done yet."""
        self._connection = connection
        self._namespace = namespace
        self._cut = cut
        self._gone: Counter[str] = Counter(dict.fromkeys(TABLES, 0))
        self._gaps_us: dict[int, int] = dict(connection.sql.execute(_SERVICES, (namespace,)).fetchall())
        margin = max(map(margin_days, self._gaps_us.values()), default=1)
        self._frozen_before = cut.raw_before + margin

    def count(self) -> dict[str, int]:
        """Tell what would go."""
        with self._connection.snapshot() as sql:
            self._gone["frozen_days"] = len(days_to_freeze(sql, [*self._gaps_us], self._frozen_before))
            for service, day in self._days_with_raw(sql):
                query = f"SELECT count(*) FROM events WHERE {_RAW}"
                self._gone["events"] += sql.execute(query, (day, service)).fetchone()[0]
            self._gone["sealed_aliases"] = ended(sql, self._namespace, self._cut.now_us)
            for key in self._people(sql):
                self._count_if_idle(sql, key)
        return dict(self._gone)

    def carry_out(self) -> dict[str, int]:
        """Freeze, delete, forget."""
        with self._connection.transaction(_TIMEOUT_SECONDS) as sql:
            self._gone["sealed_aliases"] = forget_ended(sql, self._namespace, self._cut.now_us)
        self._close_days()
        for service, day in days_to_freeze(self._connection.sql, [*self._gaps_us], self._frozen_before):
            self._freeze(service, day)
        for service, day in self._days_with_raw(self._connection.sql):
            with self._connection.transaction(_TIMEOUT_SECONDS) as sql:
                cursor = sql.execute(f"DELETE FROM events WHERE {_RAW}", (day, service))
                self._gone["events"] += cursor.rowcount
        self._note_purged()
        people = [key for key in self._people(self._connection.sql) if self._is_idle(self._connection.sql, key)]
        for first in range(0, len(people), _AT_ONCE):
            self._forget(people[first : first + _AT_ONCE])
        return dict(self._gone)

    def _close_days(self) -> None:
        """Let no more events into the days that are to be frozen, before any of them is looked at."""
        with self._connection.transaction(_TIMEOUT_SECONDS) as sql:
            sql.execute(
                "INSERT INTO horizons (namespace, frozen_before) VALUES (?, ?) ON CONFLICT (namespace) "
                "DO UPDATE SET frozen_before = max(frozen_before, excluded.frozen_before)",
                (self._namespace, self._frozen_before),
            )

    def _freeze(self, service: int, day: int) -> None:
        with self._connection.transaction(_TIMEOUT_SECONDS) as sql:
            pages = ShownPages(sql)
            rows = [
                (service, day, channel, section, encode_section(rollup, section))
                for channel, rollup in roll_up_day(sql, service, day, self._gaps_us[service], pages).items()
                for section in SECTIONS
                if (section == "arrivals") == (channel == OF_THE_SERVICE)
            ]
            sql.executemany("INSERT INTO frozen VALUES (?, ?, ?, ?, ?)", rows)
        self._gone["frozen_days"] += 1

    def _days_with_raw(self, sql: sqlite3.Connection) -> list[tuple[int, int]]:
        """Give the (service, day) whose raw events are still there and have to go."""
        row = sql.execute("SELECT purged_before FROM horizons WHERE namespace = ?", (self._namespace,)).fetchone()
        query = "SELECT service, day FROM changes WHERE service = ? AND day >= ? AND day < ?"
        since = row[0] if row else 0
        return [
            found
            for service in self._gaps_us
            for found in sql.execute(query, (service, since, self._cut.raw_before)).fetchall()
        ]

    def _note_purged(self) -> None:
        with self._connection.transaction(_TIMEOUT_SECONDS) as sql:
            sql.execute(
                "UPDATE horizons SET purged_before = max(purged_before, ?) WHERE namespace = ?",
                (self._cut.raw_before, self._namespace),
            )

    def _people(self, sql: sqlite3.Connection) -> Iterator[str]:
        """Give every visitor's key, some at a time."""
        after = ""
        while True:
            asked = {"namespace": self._namespace, "after": after, "limit": 1000}
            keys = [key for (key,) in sql.execute(_PEOPLE, asked).fetchall()]
            yield from keys
            if not keys:
                return
            after = keys[-1]

    def _is_idle(self, sql: sqlite3.Connection, key: str) -> bool:
        """Tell whether a visitor's last event and the last change of his profile were long enough ago."""
        _, knowledge, *documents = sql.execute(_ABOUT, (self._namespace, key)).fetchone()
        return is_idle(self._cut, knowledge, None if documents[0] is None else tuple(documents))

    def _count_if_idle(self, sql: sqlite3.Connection, key: str) -> None:
        if not self._is_idle(sql, key):
            return
        visitor, *_, stamps = sql.execute(_ABOUT, (self._namespace, key)).fetchone()
        self._gone["visitors"] += visitor is not None
        self._gone["profiles"] += stamps is not None
        for table in ("orders", "refunds"):
            query = f"SELECT count(*) FROM {table} WHERE visitor = ?"
            self._gone[table] += sql.execute(query, (visitor,)).fetchone()[0]
        query = "SELECT count(*) FROM dispatches WHERE namespace = ? AND key = ?"
        self._gone["dispatches"] += sql.execute(query, (self._namespace, key)).fetchone()[0]

    def _forget(self, keys: list[str]) -> None:
        """Forget some idle visitors; whoever has become active since stays."""
        with self._connection.profile_changes(_TIMEOUT_SECONDS) as (sql, renew):
            keys = [key for key in keys if self._is_idle(sql, key)]
            for key in keys:
                renew(self._namespace, key)
                forget_lasting(sql, "preferences", self._namespace, key)
                self._gone["profiles"] += sql.execute(
                    "DELETE FROM preferences.profiles WHERE namespace = ? AND key = ?", (self._namespace, key)
                ).rowcount
        with self._connection.transaction(_TIMEOUT_SECONDS) as sql:
            for key in keys:
                if self._is_idle(sql, key):
                    self._gone.update(forget(sql, self._namespace, key, from_frozen=False))
                    self._gone["dispatches"] += erase_dispatches(sql, self._namespace, key)
