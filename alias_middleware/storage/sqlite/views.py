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

_GAP = "first_value(s.visit_gap_us) OVER (PARTITION BY s.service ORDER BY s.id)"
"""The gap that holds for every service of a name, computed once a service and not once an event."""

_DAY_OF_FIGURES = _DATE.format(table="d")
_GOES_ON = """
    SELECT 1 FROM changes c CROSS JOIN events b
        ON b.day = c.day AND b.visitor = e.visitor AND b.time_us >= e.time_us - s.gap_us AND b.time_us <= e.time_us
    WHERE c.service = e.service AND c.day BETWEEN e.day - 1 - (s.gap_us + 10800000000) / 86400000000 AND e.day
        AND b.service = e.service AND b.channel = e.channel AND b.kind NOT IN ('r', 'u')
        AND (b.time_us < e.time_us OR b.id < e.id)
"""
"""What came before an event in its visit; the days are those of `visits.margin_days`."""

VISITS_AND_PURCHASES = f"""
    DROP VIEW daily_figures;
    CREATE VIEW daily_figures AS
        SELECT s.service, {_DAY_OF_FIGURES} AS day, e.channel,
            sum(e.kind = 'v') AS page_views,
            count(DISTINCT CASE WHEN e.kind IN ('v', 'm') THEN e.visitor END) AS visitors,
            sum(e.kind NOT IN ('r', 'u') AND NOT EXISTS ({_GOES_ON})) AS visits
        FROM (SELECT DISTINCT day FROM changes) d CROSS JOIN events e ON e.day = d.day
        JOIN (SELECT s.id, s.service, {_GAP} AS gap_us, ifnull(h.frozen_before, 0) AS whole_from
              FROM services s LEFT JOIN horizons h ON h.namespace = s.namespace) s
            ON s.id = e.service AND d.day >= s.whole_from
        GROUP BY s.service, d.day, e.channel;
    DROP VIEW visitor_interests;
    CREATE VIEW visitor_interests AS
        SELECT service, visitor, category, sum(order_id IS NULL) AS page_views,
            count(DISTINCT order_id) AS purchases, min(day) AS first_day, max(day) AS last_day
        FROM (SELECT s.service, e.visitor, {_EVENT_DATE} AS day, NULL AS order_id,
                CASE typeof(e.body) WHEN 'integer' THEN p.category
                    ELSE json_extract(CAST(e.body AS TEXT), '$[2]') END AS category
              FROM events e JOIN services s ON s.id = e.service
              LEFT JOIN pages p ON typeof(e.body) = 'integer' AND p.id = e.body
              WHERE e.kind = 'v'
              UNION ALL
              SELECT s.service, o.visitor, {_ORDER_DATE}, o.order_id, json_extract(item.value, '$[2]')
              FROM orders o JOIN services s ON s.id = o.service
              JOIN events e ON e.day = o.day AND e.visitor = o.visitor AND e.time_us = o.time_us AND e.id = o.id
              JOIN json_each(CAST(e.body AS TEXT), '$[2]') item
              WHERE NOT o.cancelled)
        WHERE category IS NOT NULL
        GROUP BY service, visitor, category;
"""
"""A later step: visits among the daily figures, of days whose raw events are whole; purchases beside interests."""
