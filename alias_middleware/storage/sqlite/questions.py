"""Questions to the history file: one visitor's history, pages of visitors, erasures, counters and positions.

Roll-ups have a module of their own, `answers`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from hashlib import blake2b

from alias_middleware.events import Channel, Event
from alias_middleware.history import Knowledge
from alias_middleware.profile import decode_knowledge
from alias_middleware.rollups.model import Days
from alias_middleware.storage.base import Ledger, Scope
from alias_middleware.storage.chronicle import decode_chronicle
from alias_middleware.storage.clientele import Clientele
from alias_middleware.storage.lives import Service
from alias_middleware.storage.sqlite.marks import marks
from alias_middleware.storage.sqlite.pages import ShownPages

_SERVICES = """
    SELECT s.id, (SELECT visit_gap_us FROM services WHERE service = s.service ORDER BY id LIMIT 1)
    FROM services s WHERE CASE WHEN :service IS NULL THEN s.namespace = :namespace ELSE s.service = :service END
"""
_EVERY_SERVICE = """
    SELECT s.id, s.service, s.namespace,
        (SELECT visit_gap_us FROM services WHERE service = s.service ORDER BY id LIMIT 1)
    FROM services s
"""
_ERASED = """
    SELECT count(*) FROM tombstones WHERE erased_us >= :since
        AND namespace IN (SELECT namespace FROM services WHERE id IN (SELECT value FROM json_each(:services)))
"""
_DAYS_OF_VISITOR = """
    WITH RECURSIVE days (day) AS (SELECT :last UNION ALL SELECT day - 1 FROM days WHERE day > :first)
    SELECT day FROM days WHERE EXISTS (SELECT 1 FROM events WHERE day = days.day AND visitor = :visitor)
"""
_EVENTS_OF_DAY = """
    SELECT kind, time_us, day, channel, body FROM events
    WHERE day = ? AND visitor = ? AND time_us < ? ORDER BY time_us DESC, id DESC
"""
_VISITOR = """
    SELECT id, knowledge FROM visitors JOIN chronicles ON visitor = id WHERE namespace = ? AND key = ?
"""
_CLIENTELE = """
    SELECT key, knowledge, ifnull(json_extract(knowledge, :path), 0) AS value
    FROM visitors JOIN chronicles ON visitor = id
    WHERE namespace = :namespace AND (:key IS NULL OR value < :value OR (value = :value AND key > :key))
    ORDER BY value DESC, key LIMIT :limit
"""
_EVER = 2**62
LAST_DAY = date.max.toordinal() + 1
"""The day after the last there can be."""
_MARK_BYTES = 16


def services(sql: sqlite3.Connection, scope: Scope) -> dict[int, int]:
    """Give the ids of a scope's services, with their visit gaps in microseconds."""
    asked = {"service": scope.service, "namespace": scope.namespace}
    return dict(sql.execute(_SERVICES, asked).fetchall())


def every_service(sql: sqlite3.Connection) -> dict[int, Service]:
    """Give every service by its id."""
    return {id_: Service(*rest) for id_, *rest in sql.execute(_EVERY_SERVICE)}


def erased(sql: sqlite3.Connection, ids: Collection[int], since_us: int) -> int:
    """Count the visitors erased since an instant (microseconds) in the namespaces of services."""
    asked = {"since": since_us, "services": f"[{','.join(map(str, ids))}]"}
    number: int = sql.execute(_ERASED, asked).fetchone()[0]
    return number


def mark(sql: sqlite3.Connection, gaps_us: Mapping[int, int]) -> bytes:
    """Give a digest of all that figures of some services, with the gaps of their visits, are made of."""
    erasures = sql.execute("SELECT count(*), max(erased_us) FROM tombstones").fetchone()
    made_of = (sorted(gaps_us.items()), sorted(marks(sql, gaps_us, 0, LAST_DAY).items()), erasures)
    return blake2b(repr(made_of).encode(), digest_size=_MARK_BYTES).digest()


def span(sql: sqlite3.Connection, ids: Collection[int]) -> Days | None:
    """Give the days between the first and the last that anything was recorded on, by any of some services."""
    query = "SELECT min(day), max(day) FROM changes WHERE service = ?"
    known = [row for id_ in ids if (row := sql.execute(query, (id_,)).fetchone())[0] is not None]
    return (min(first for first, _ in known), max(last for _, last in known) + 1) if known else None


def history(sql: sqlite3.Connection, namespace: str, key: str, limit: int, before_us: int | None) -> list[Event]:
    """Give a visitor's latest events before an instant, newest first; only his own days are read."""
    row = sql.execute(_VISITOR, (namespace, key)).fetchone()
    events: list[Event] = []
    if row is None:
        return events
    upto = _EVER if before_us is None else before_us
    pages = ShownPages(sql)
    for kind, time_us, day, channel, body in _events(sql, row[0], decode_chronicle(row[1]).days, upto):
        if len(events) >= limit and (not events or events[-1].time_us != time_us):
            break
        events.append(pages.event(kind, key, time_us=time_us, day=day, channel=channel, body=body))
    return events


def _events(
    sql: sqlite3.Connection, visitor: int, days: tuple[int, int], before_us: int
) -> Iterator[tuple[str, int, int, Channel, bytes]]:
    asked = {"visitor": visitor, "first": days[0], "last": days[1]}
    for (day,) in sql.execute(_DAYS_OF_VISITOR, asked):
        yield from sql.execute(_EVENTS_OF_DAY, (day, visitor, before_us))


def clientele(sql: sqlite3.Connection, page: Clientele) -> list[tuple[str, Knowledge]]:
    """Give a page of visitors with their knowledge."""
    path = f"$[{Knowledge.__struct_fields__.index(page.order_by)}]"
    rows = sql.execute(
        _CLIENTELE,
        {
            "path": f'{path}."{page.currency}"' if page.order_by == "revenue" else path,
            "namespace": page.namespace,
            "key": page.after.key if page.after else None,
            "value": page.after.value if page.after else None,
            "limit": page.limit,
        },
    )
    return [(key, decode_knowledge(knowledge)) for key, knowledge, _ in rows]


def ledger(sql: sqlite3.Connection) -> Ledger:
    """Give counters and positions, inside the caller's transaction."""
    counts = dict(sql.execute("SELECT name, value FROM counters").fetchall())
    return Ledger(counts, dict(sql.execute("SELECT segment, position FROM positions").fetchall()))
