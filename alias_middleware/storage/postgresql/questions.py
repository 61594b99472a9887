"""Questions to PostgreSQL: one visitor's history, pages of visitors, erasures, counters and positions.

Roll-ups have a module of their own, `answers`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from hashlib import blake2b
from typing import Any

from alias_middleware.events import Event, restore
from alias_middleware.history import Knowledge
from alias_middleware.profile import decode_knowledge
from alias_middleware.rollups.model import Days
from alias_middleware.storage.base import Ledger, Scope
from alias_middleware.storage.chronicle import decode_chronicle
from alias_middleware.storage.clientele import Clientele
from alias_middleware.storage.postgresql.marks import marks
from alias_middleware.storage.postgresql.pool import Connection

_SERVICES = """
    SELECT s.id, (SELECT visit_gap_us FROM services WHERE service = s.service ORDER BY id LIMIT 1)
    FROM services s
    WHERE CASE WHEN %(service)s::text IS NULL THEN s.namespace = %(namespace)s ELSE s.service = %(service)s END
"""
_ERASED = """
    SELECT count(*) FROM tombstones WHERE erased_us >= %s
        AND namespace IN (SELECT namespace FROM services WHERE id = ANY(%s))
"""
_SPAN = "SELECT min(day), max(day) FROM changes WHERE service = ANY(%s)"
_VISITOR = """
    SELECT knowledge, ARRAY(SELECT id FROM services WHERE namespace = %(namespace)s)
    FROM visitors WHERE namespace = %(namespace)s AND key = %(key)s
"""
_HISTORY = """
    SELECT e.kind, e.time_us, e.day, e.channel, e.body, e.id
    FROM generate_series(%(last)s::integer, %(first)s::integer, -1) AS days (day)
    JOIN events e ON e.day = days.day AND e.service = ANY(%(services)s) AND e.key = %(key)s
    WHERE e.time_us < %(before)s
    ORDER BY e.time_us DESC FETCH FIRST %(limit)s ROWS WITH TIES
"""
_CLIENTELE = """
    SELECT key, knowledge FROM (
        SELECT key, knowledge, coalesce((convert_from(knowledge, 'UTF8')::json #>> %(path)s)::bigint, 0) AS value
        FROM visitors WHERE namespace = %(namespace)s
    ) people
    WHERE %(key)s::text IS NULL OR value < %(value)s OR (value = %(value)s AND key COLLATE "C" > %(key)s)
    ORDER BY value DESC, key COLLATE "C" LIMIT %(limit)s
"""
_LEDGER = "SELECT 'c', name, value FROM counters UNION ALL SELECT 'p', segment, position FROM positions"
_EVER = 2**62
_LAST_DAY = date.max.toordinal() + 1
_MARK_BYTES = 16


def services(connection: Connection, scope: Scope) -> dict[int, int]:
    """Give the ids of a scope's services, with their visit gaps in microseconds."""
    return dict(connection.execute(_SERVICES, {"service": scope.service, "namespace": scope.namespace}).fetchall())


def erased(connection: Connection, ids: Collection[int], since_us: int) -> int:
    """Count the visitors erased since an instant (microseconds) in the namespaces of services."""
    row = connection.execute(_ERASED, (since_us, list(ids))).fetchone()
    return row[0] if row else 0


def mark(connection: Connection, gaps_us: Mapping[int, int]) -> bytes:
    """Give a digest of all that figures of some services, with the gaps of their visits, are made of."""
    erasures = connection.execute("SELECT count(*), max(erased_us) FROM tombstones").fetchone()
    made_of = (sorted(gaps_us.items()), sorted(marks(connection, gaps_us, 0, _LAST_DAY).items()), erasures)
    return blake2b(repr(made_of).encode(), digest_size=_MARK_BYTES).digest()


def span(connection: Connection, ids: Collection[int]) -> Days | None:
    """Give the days between the first and the last that anything was recorded on, by any of some services."""
    row = connection.execute(_SPAN, (list(ids),)).fetchone()
    return None if row is None or row[0] is None else (row[0], row[1] + 1)


def history(connection: Connection, namespace: str, key: str, limit: int, before_us: int | None) -> list[Event]:
    """Give a visitor's latest events before an instant, newest first; only his own days are read."""
    asked: dict[str, Any] = {"namespace": namespace, "key": key, "limit": limit}
    found = connection.execute(_VISITOR, asked, binary=True).fetchone()
    if found is None:
        return []
    first, last = decode_chronicle(found[0]).days
    asked |= {
        "services": found[1],
        "first": first,
        "last": last,
        "before": _EVER if before_us is None else before_us,
    }
    rows = connection.execute(_HISTORY, asked, binary=True).fetchall()
    rows.sort(key=lambda row: (row[1], row[5]), reverse=True)
    return [
        restore(kind, key, time_us=time_us, day=day, channel=channel, body=body)
        for kind, time_us, day, channel, body, _ in rows
    ]


def clientele(connection: Connection, page: Clientele) -> list[tuple[str, Knowledge]]:
    """Give a page of visitors with their knowledge."""
    path = [str(Knowledge.__struct_fields__.index(page.order_by))]
    asked = {
        "path": [*path, page.currency] if page.order_by == "revenue" else path,
        "namespace": page.namespace,
        "key": page.after.key if page.after else None,
        "value": page.after.value if page.after else 0,
        "limit": page.limit,
    }
    rows = connection.execute(_CLIENTELE, asked, binary=True).fetchall()
    return [(key, decode_knowledge(knowledge)) for key, knowledge in rows]


def ledger(connection: Connection) -> Ledger:
    """Give counters and positions, in one statement and so as of one moment."""
    rows = connection.execute(_LEDGER).fetchall()
    counts = {name: value for kind, name, value in rows if kind == "c"}
    return Ledger(counts, {name: value for kind, name, value in rows if kind == "p"})
