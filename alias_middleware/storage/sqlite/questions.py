"""Questions to the history file: totals over an interval, one visitor's history, counters and positions."""

from __future__ import annotations

import sqlite3

from alias_middleware.events import Event, restore
from alias_middleware.statistics import Baskets, Totals
from alias_middleware.storage.base import Ledger

_IN_INTERVAL = "service IN (SELECT id FROM services WHERE service = :service) AND day >= :since AND day < :until"

_PRESENCE = f"""
    SELECT count(*) FILTER (WHERE views > 0), ifnull(sum(arrived) FILTER (WHERE views > 0), 0),
        ifnull(sum(views), 0), ifnull(sum(begun), 0)
    FROM (SELECT sum(page_views) AS views, sum(visits) AS begun, max(arrival) AS arrived
          FROM visitor_days WHERE {_IN_INTERVAL} GROUP BY visitor)
"""
_ORDERS = f"""
    SELECT count(DISTINCT visitor) FILTER (WHERE NOT cancelled), ifnull(sum(cancelled), 0)
    FROM orders WHERE {_IN_INTERVAL}
"""
_BASKETS = f"""
    SELECT currency, number, count(*), sum(revenue)
    FROM (SELECT currency, count(*) AS number, sum(net) AS revenue
          FROM orders WHERE {_IN_INTERVAL} AND NOT cancelled GROUP BY currency, visitor)
    GROUP BY currency, number ORDER BY currency, number
"""
_UNIDENTIFIED = f"SELECT ifnull(sum(page_views), 0) FROM unidentified WHERE {_IN_INTERVAL}"
_ERASED = """
    SELECT count(*) FROM tombstones WHERE erased_us >= :erased_since
        AND namespace IN (SELECT namespace FROM services WHERE service = :service)
"""
_HISTORY = """
    SELECT e.kind, e.time_us, e.day, e.channel, e.body
    FROM (SELECT DISTINCT d.visitor, d.day FROM visitor_days d JOIN visitors v ON v.id = d.visitor
          WHERE v.namespace = ? AND v.key = ?) days
    JOIN events e ON e.day = days.day AND e.visitor = days.visitor
    ORDER BY e.time_us DESC, e.id DESC LIMIT ?
"""


def totals(sql: sqlite3.Connection, service: str, since: int, until: int, erased_since_us: int) -> Totals:
    """Count over the local days from `since` to the one before `until`, inside the caller's transaction."""
    asked = {"service": service, "since": since, "until": until, "erased_since": erased_since_us}
    visitors, new_visitors, page_views, visits = sql.execute(_PRESENCE, asked).fetchone()
    clients, cancelled = sql.execute(_ORDERS, asked).fetchone()
    baskets: dict[str, dict[int, Baskets]] = {}
    for currency, number, of_clients, revenue in sql.execute(_BASKETS, asked):
        baskets.setdefault(currency, {})[number] = Baskets(of_clients, revenue)
    return Totals(
        visitors=visitors,
        new_visitors=new_visitors,
        visits=visits,
        page_views=page_views,
        unidentified_page_views=sql.execute(_UNIDENTIFIED, asked).fetchone()[0],
        clients=clients,
        cancelled_orders=cancelled,
        baskets=baskets,
        erased=sql.execute(_ERASED, asked).fetchone()[0],
    )


def history(sql: sqlite3.Connection, namespace: str, key: str, limit: int) -> list[Event]:
    """Give a visitor's latest events, newest first; only his own days are read."""
    rows = sql.execute(_HISTORY, (namespace, key, limit))
    return [
        restore(kind, key, time_us=time_us, day=day, channel=channel, body=body)
        for kind, time_us, day, channel, body in rows
    ]


def ledger(sql: sqlite3.Connection) -> Ledger:
    """Give counters and positions, inside the caller's transaction."""
    counts = dict(sql.execute("SELECT name, value FROM counters").fetchall())
    return Ledger(counts, dict(sql.execute("SELECT segment, position FROM positions").fetchall()))
