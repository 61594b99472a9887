"""Read-only views of the history in PostgreSQL for other tools, as docs/howto/sql.md explains them.

They have the columns of those of SQLite, read the raw events and orders, and so are exact and as fresh as the
writer. They name visitors by numbers: digests under a salt of the database's own. A reader of the views sees
neither the salt nor the keys.
"""

from __future__ import annotations

_SALT = (
    "CREATE TABLE view_salts (id integer PRIMARY KEY CHECK (id = 1), salt bytea NOT NULL)",
    "INSERT INTO view_salts SELECT 1, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())",
)
_DATE = "date '0001-01-01' + ({day} - 1)"
_TIME = "timestamp '1970-01-01' + {us} / 1000000 * interval '1 second'"
_NUMBER = """('x' || encode(substr(sha256(
        (SELECT salt FROM view_salts) || int8send(v.not_before)
        || convert_to(v.namespace, 'UTF8') || '\\x00' || convert_to(v.key, 'UTF8')
    ), 1, 7), 'hex'))::bit(53)::bigint"""
"""Of 53 bits, which a tool that keeps numbers as floating-point ones still shows right.

Whoever comes back after his erasure has another moment of it, and so another number.
"""

_GAP = "first_value(s.visit_gap_us) OVER (PARTITION BY s.service ORDER BY s.id)"
"""The gap that holds for every service of a name, computed once a service and not once an event."""

_GOES_ON = """
    SELECT FROM changes c JOIN events b
        ON b.day = c.day AND b.service = e.service AND b.key = e.key AND b.time_us >= e.time_us - s.gap_us
    WHERE c.service = e.service AND c.day BETWEEN e.day - 1 - (s.gap_us + 10800000000) / 86400000000 AND e.day
        AND b.channel = e.channel AND b.kind NOT IN ('r', 'u') AND (b.time_us, b.id) < (e.time_us, e.id)
"""
"""What came before an event in its visit; the days are those of `visits.margin_days`."""

_DAILY_FIGURES = f"""CREATE VIEW daily_figures AS
    SELECT f.service, {_DATE.format(day="f.day")} AS day, f.channel,
        sum(f.page_views)::bigint AS page_views, sum(f.visitors)::bigint AS visitors,
        sum(f.visits)::bigint AS visits
    FROM (
        SELECT s.service, d.day, e.channel,
            count(*) FILTER (WHERE e.kind = 'v') AS page_views,
            count(DISTINCT e.key) FILTER (WHERE e.kind IN ('v', 'm')) AS visitors,
            count(*) FILTER (WHERE e.kind NOT IN ('r', 'u') AND NOT EXISTS ({_GOES_ON})) AS visits
        FROM (SELECT DISTINCT day FROM changes) d JOIN events e ON e.day = d.day
        JOIN (SELECT s.id, s.service, {_GAP} AS gap_us, coalesce(h.frozen_before, 0) AS whole_from
              FROM services s LEFT JOIN horizons h ON h.namespace = s.namespace) s
            ON s.id = e.service AND d.day >= s.whole_from
        GROUP BY s.id, s.service, d.day, e.channel
    ) f
    GROUP BY f.service, f.day, f.channel"""
_DAILY_REVENUE = f"""CREATE VIEW daily_revenue AS
    SELECT o.service, {_DATE.format(day="o.day")} AS day, o.currency,
        sum(o.orders)::bigint AS orders, sum(o.clients)::bigint AS clients,
        sum(o.net)::bigint AS revenue_millionths, sum(o.net)::double precision / 1000000 AS revenue
    FROM (
        SELECT s.service, o.day, o.currency, sum(o.net) AS net,
            count(*) FILTER (WHERE NOT o.cancelled) AS orders,
            count(DISTINCT o.key) FILTER (WHERE NOT o.cancelled) AS clients
        FROM orders o JOIN services s ON s.id = o.service
        GROUP BY s.id, s.service, o.day, o.currency
    ) o
    GROUP BY o.service, o.day, o.currency"""
_CLIENTS = f"""CREATE VIEW clients AS
    SELECT s.service, {_NUMBER} AS visitor, o.currency, o.orders,
        o.net::bigint AS revenue_millionths, o.net::double precision / 1000000 AS revenue,
        {_TIME.format(us="o.first_us")} AS first_order_utc, {_TIME.format(us="o.last_us")} AS last_order_utc
    FROM (
        SELECT service, key, currency, count(*) AS orders, sum(net) AS net,
            min(time_us) AS first_us, max(time_us) AS last_us
        FROM orders WHERE NOT cancelled GROUP BY service, key, currency
    ) o
    JOIN services s ON s.id = o.service
    JOIN visitors v ON v.namespace = s.namespace AND v.key = o.key"""

_TEXT = "convert_from(e.body, 'UTF8')"
_ZERO = r"regexp_replace({text}, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\u2400', 'g')"
_BODY = rf"(CASE WHEN strpos({_TEXT}, '\u0000') > 0 THEN {_ZERO.format(text=_TEXT)} ELSE {_TEXT} END)::json"
"""The body as JSON; a picture stands for the zero character, which no text of PostgreSQL has."""

_VISITOR_INTERESTS = f"""CREATE VIEW visitor_interests AS
    SELECT s.service, {_NUMBER} AS visitor, i.category, i.page_views, i.purchases,
        {_DATE.format(day="i.first_day")} AS first_day, {_DATE.format(day="i.last_day")} AS last_day
    FROM (
        SELECT i.service, i.key, i.category, count(*) FILTER (WHERE i.order_id IS NULL) AS page_views,
            count(DISTINCT i.order_id) AS purchases, min(i.day) AS first_day, max(i.day) AS last_day
        FROM (
            SELECT e.service, e.key, e.day, NULL::bytea AS order_id, {_BODY} ->> 2 AS category
            FROM events e WHERE e.kind = 'v'
            UNION ALL
            SELECT o.service, o.key, o.day, o.order_id, item ->> 2
            FROM orders o JOIN events e ON e.day = o.day AND e.service = o.service AND e.key = o.key
                AND e.time_us = o.time_us AND e.id = o.id
            CROSS JOIN LATERAL json_array_elements({_BODY} -> 2) AS item
            WHERE NOT o.cancelled
        ) i
        WHERE i.category IS NOT NULL
        GROUP BY i.service, i.key, i.category
    ) i
    JOIN services s ON s.id = i.service
    JOIN visitors v ON v.namespace = s.namespace AND v.key = i.key"""

VIEWS = (*_SALT, _DAILY_FIGURES, _DAILY_REVENUE, _CLIENTS, _VISITOR_INTERESTS)
"""The views: a step of the schema. Their columns are kept when tables change."""
