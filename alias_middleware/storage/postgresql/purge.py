"""Retention in PostgreSQL: freezing days, deleting raw events, forgetting idle visitors.

Everything happens in short transactions between which batches and requests come to their turn; whatever is cut
short, the next purge finishes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from alias_middleware.storage.changes import ServiceDay
from alias_middleware.storage.custody import Cut
from alias_middleware.storage.postgresql import erasure, frozen, seals
from alias_middleware.storage.postgresql.days import roll_up_day
from alias_middleware.storage.postgresql.numbering import give_numbers
from alias_middleware.storage.postgresql.planning import alone
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.retention import TABLES, is_idle
from alias_middleware.storage.visits import margin_days

_AT_ONCE = 200
_SERVICES = """
    SELECT s.id, (SELECT visit_gap_us FROM services WHERE service = s.service ORDER BY id LIMIT 1)
    FROM services s WHERE s.namespace = %s
"""
_CLOSE = """
    INSERT INTO horizons VALUES (%s, %s, 0)
    ON CONFLICT (namespace) DO UPDATE SET frozen_before = greatest(horizons.frozen_before, excluded.frozen_before)
"""
_NOTE_PURGED = "UPDATE horizons SET purged_before = greatest(purged_before, %s) WHERE namespace = %s"
_PURGED = "SELECT purged_before FROM horizons WHERE namespace = %s"
_WITH_RAW = "SELECT service, day FROM changes WHERE service = ANY(%s) AND day >= %s AND day < %s ORDER BY day"
_RAW = "FROM events WHERE service = %s AND day = %s AND kind NOT IN ('p', 'r')"
"""Raw events of a day that go; orders and refunds stay with their visitor."""
_COUNT_RAW, _DELETE_RAW = f"SELECT count(*) {_RAW}", f"DELETE {_RAW}"
_PEOPLE = """
    SELECT key FROM visitors WHERE namespace = %(namespace)s AND key > %(after)s
    UNION SELECT key FROM profiles WHERE namespace = %(namespace)s AND key > %(after)s
    ORDER BY key LIMIT %(limit)s
"""
_HISTORY = "SELECT key, knowledge FROM visitors WHERE namespace = %s AND key = ANY(%s)"
_PROFILES = """
    SELECT key, preferences, personal, consents, stamps FROM profiles WHERE namespace = %s AND key = ANY(%s)
"""
_LOCK_PROFILE = "SELECT FROM profiles WHERE namespace = %s AND key = %s FOR UPDATE"
"""One at a time: Citus locks rows of no more than one shard in a statement."""
_FORGET_PROFILES = "DELETE FROM profiles WHERE namespace = %s AND key = ANY(%s)"
_COUNTS = {
    "orders": "SELECT count(*) FROM orders WHERE service = ANY(%(services)s) AND key = ANY(%(keys)s)",
    "refunds": "SELECT count(*) FROM refunds WHERE service = ANY(%(services)s) AND key = ANY(%(keys)s)",
    "visitors": "SELECT count(*) FROM visitors WHERE namespace = %(namespace)s AND key = ANY(%(keys)s)",
    "profiles": "SELECT count(*) FROM profiles WHERE namespace = %(namespace)s AND key = ANY(%(keys)s)",
    "dispatches": "SELECT count(*) FROM dispatches WHERE namespace = %(namespace)s AND key = ANY(%(keys)s)",
}


class Purge:
    """One cut through one namespace."""

    def __init__(self, connection: Connection, namespace: str, cut: Cut) -> None:
        """Cut with the connection; nothing is done yet."""
        self._connection = connection
        self._namespace = namespace
        self._cut = cut
        self._gone: Counter[str] = Counter(dict.fromkeys(TABLES, 0))
        self._gaps_us: dict[int, int] = dict(connection.execute(_SERVICES, (namespace,)).fetchall())
        margin = max(map(margin_days, self._gaps_us.values()), default=1)
        self._frozen_before = cut.raw_before + margin

    def count(self) -> dict[str, int]:
        """Tell what would go."""
        self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._gone["frozen_days"] = len(self._days_to_freeze())
        self._gone["sealed_aliases"] = self._number(seals.ENDED, (self._namespace, self._cut.now_us))
        for day in self._days_with_raw():
            self._gone["events"] += self._number(_COUNT_RAW, day)
        for keys in self._people():
            asked = {"namespace": self._namespace, "services": [*self._gaps_us], "keys": self._idle(keys)}
            for table, query in _COUNTS.items():
                self._gone[table] += self._number(query, asked)
        self._connection.execute("COMMIT")
        return dict(self._gone)

    def carry_out(self) -> dict[str, int]:
        """Freeze, delete, forget."""
        with self._alone():
            self._connection.execute(_CLOSE, (self._namespace, self._frozen_before))
            gone = self._connection.execute(seals.FORGET_ENDED, (self._namespace, self._cut.now_us))
            self._gone["sealed_aliases"] = gone.rowcount
        for day in self._days_to_freeze():
            self._freeze(day)
        for day in self._days_with_raw():
            with self._alone():
                self._gone["events"] += self._connection.execute(_DELETE_RAW.encode(), day).rowcount
        with self._alone():
            self._connection.execute(_NOTE_PURGED, (self._cut.raw_before, self._namespace))
        for keys in self._people():
            self._forget(keys)
        return dict(self._gone)

    def _alone(self) -> AbstractContextManager[None]:
        return alone(self._connection)

    def _days_to_freeze(self) -> list[ServiceDay]:
        return frozen.days_to_freeze(self._connection, [*self._gaps_us], self._frozen_before)

    def _freeze(self, day: ServiceDay) -> None:
        give_numbers(self._connection, [day])
        with self._alone():
            rolled = roll_up_day(self._connection, *day, self._gaps_us[day[0]])
            frozen.freeze(self._connection, day, rolled)
        self._gone["frozen_days"] += 1

    def _days_with_raw(self) -> list[ServiceDay]:
        """Give the (service, day) whose raw events are still there and have to go."""
        row = self._connection.execute(_PURGED, (self._namespace,)).fetchone()
        asked = ([*self._gaps_us], row[0] if row else 0, self._cut.raw_before)
        return self._connection.execute(_WITH_RAW, asked).fetchall()

    def _number(self, query: str, asked: Any) -> int:
        row = self._connection.execute(query.encode(), asked).fetchone()
        return int(row[0]) if row else 0

    def _people(self) -> Iterator[list[str]]:
        """Give every visitor's key, some at a time."""
        asked = {"namespace": self._namespace, "after": "", "limit": _AT_ONCE}
        while keys := [key for (key,) in self._connection.execute(_PEOPLE, asked).fetchall()]:
            yield keys
            asked["after"] = keys[-1]

    def _idle(self, keys: Sequence[str]) -> list[str]:
        """Give, of some visitors, those who did nothing for long enough."""
        asked = (self._namespace, list(keys))
        history: dict[str, bytes] = dict(self._connection.execute(_HISTORY, asked, binary=True).fetchall())
        rows = self._connection.execute(_PROFILES, asked, binary=True).fetchall()
        profiles = {key: tuple(documents) for key, *documents in rows}
        return [key for key in keys if is_idle(self._cut, history.get(key), profiles.get(key))]

    def _forget(self, keys: list[str]) -> None:
        """Forget the idle ones of some visitors; whoever has become active since stays."""
        idle = self._idle(keys)
        if not idle:
            return
        with self._alone():
            self._connection.cursor().executemany(_LOCK_PROFILE, [(self._namespace, key) for key in sorted(idle)])
            idle = self._idle(idle)
            for key in idle:
                self._gone.update(erasure.forget(self._connection, self._namespace, key, from_frozen=False))
            gone = self._connection.execute(_FORGET_PROFILES, (self._namespace, idle))
            self._gone["profiles"] += gone.rowcount
