"""Read-only views of the history file for other tools, as docs/howto/sql.md explains them.

They read the raw events and orders, so they are exact and as fresh as the writer; they name visitors by number.
"""

from __future__ import annotations

_DATE = "date('0001-01-01', ({table}.day - 1) || ' days')"
_EVENT_DATE = _DATE.format(table="e")
_ORDER_DATE = _DATE.format(table="o")

VIEWS = f"""
    CREATE VIEW daily_figures AS
        SELECT s.service, {_EVENT_DATE} AS day, e.channel,
            sum(e.kind = 'v') AS page_views,
            count(DISTINCT CASE WHEN e.kind IN ('v', 'm') THEN e.visitor END) AS visitors
        FROM events e JOIN services s ON s.id = e.service
        GROUP BY s.service, e.day, e.channel;
    CREATE VIEW daily_revenue AS
        SELECT s.service, {_ORDER_DATE} AS day, o.currency,
            sum(NOT o.cancelled) AS orders,
            count(DISTINCT CASE WHEN NOT o.cancelled THEN o.visitor END) AS clients,
            sum(o.net) AS revenue_millionths, sum(o.net) / 1000000.0 AS revenue
        FROM orders o JOIN services s ON s.id = o.service
        GROUP BY s.service, o.day, o.currency;
    CREATE VIEW clients AS
        SELECT s.service, o.visitor, o.currency,
            count(*) AS orders, sum(o.net) AS revenue_millionths, sum(o.net) / 1000000.0 AS revenue,
            datetime(min(o.time_us) / 1000000, 'unixepoch') AS first_order_utc,
            datetime(max(o.time_us) / 1000000, 'unixepoch') AS last_order_utc
        FROM orders o JOIN services s ON s.id = o.service
        WHERE NOT o.cancelled
        GROUP BY s.service, o.visitor, o.currency;
    CREATE VIEW visitor_interests AS
        SELECT service, visitor, category, count(*) AS page_views, min(day) AS first_day, max(day) AS last_day
        FROM (SELECT s.service, e.visitor, {_EVENT_DATE} AS day,
                CASE typeof(e.body) WHEN 'integer' THEN p.category
                    ELSE json_extract(CAST(e.body AS TEXT), '$[2]') END AS category
              FROM events e JOIN services s ON s.id = e.service
              LEFT JOIN pages p ON typeof(e.body) = 'integer' AND p.id = e.body
              WHERE e.kind = 'v')
        WHERE category IS NOT NULL
        GROUP BY service, visitor, category;
"""
"""The views: a migration of the history file. Their columns are kept when tables change."""
