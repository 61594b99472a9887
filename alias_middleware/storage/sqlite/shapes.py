"""How the parts that are moved lie in the SQLite files: what is selected for each, and in which order."""

from __future__ import annotations

from typing import NamedTuple

from alias_middleware.storage import moving
from alias_middleware.storage.moving import Part


class Shape(NamedTuple):
    """The table of a part, how its rows are put together, and the columns that order it.

    `select` gives the part's columns and then those of `cursor`; `named` is the condition on its key.
    """

    table: str
    select: str
    cursor: tuple[str, ...]
    named: str


def _plain(part: Part, table: str = "", columns: tuple[str, ...] = ()) -> Shape:
    """A part that is a table of its own."""
    columns = columns or part.columns
    keys = columns[: part.keys]
    table = table or f"main.{part.name}"
    select = f"SELECT {', '.join((*columns, *keys))} FROM {table}"
    return Shape(table, select, keys, " AND ".join(f"{key} = ?" for key in keys))


def _of_visitor(table: str, columns: str, *cursor: str) -> Shape:
    """A part whose rows name the visitor by his number."""
    places = [f"t.{name}" for name in cursor]
    return Shape(
        f"main.{table}",
        f"SELECT v.namespace, v.key, {columns}, {', '.join(places)} "
        f"FROM {table} t JOIN visitors v ON v.id = t.visitor",
        tuple(places),
        "v.namespace = ? AND v.key = ? AND " + " AND ".join(f"{place} = ?" for place in places[1:]),
    )


EVENTS_OF_DAY = """
    SELECT e.day, e.service, v.key, e.time_us, e.id, e.channel, e.kind, e.body, e.visitor, e.time_us, e.id
    FROM events e JOIN visitors v ON v.id = e.visitor
    WHERE e.day = ? AND (e.visitor, e.time_us, e.id) > (?, ?, ?) ORDER BY e.visitor, e.time_us, e.id LIMIT ?
"""
BEFORE_ALL_EVENTS = (-1, 0, 0)

_GIVEN = """(
    SELECT 1 AS id, max(id) AS number FROM (SELECT id FROM visitors UNION ALL SELECT given FROM numbers)
    HAVING max(id) IS NOT NULL
)"""

_LASTING = """(
    SELECT namespace, key, concealed FROM main.lasting_keys
    UNION ALL SELECT namespace, key, concealed FROM preferences.lasting_keys p WHERE NOT EXISTS (
        SELECT 1 FROM main.lasting_keys m WHERE m.namespace = p.namespace AND m.key = p.key
    )
)"""
"""Each file has those of its own visitors."""

_SPECIAL = {
    moving.RECORDED_DAYS: _plain(moving.RECORDED_DAYS, "main.changes"),
    moving.VISITORS: Shape(
        "main.visitors",
        "SELECT namespace, key, id, not_before, knowledge, habits, namespace, key "
        "FROM main.visitors CROSS JOIN chronicles ON visitor = id",
        ("namespace", "key"),
        "namespace = ? AND key = ?",
    ),
    moving.ORDERS: _of_visitor(
        "orders",
        "t.service, t.order_id, t.time_us, t.id, t.day, t.currency, t.net, t.cancelled",
        *("visitor", "service", "order_id"),
    ),
    moving.REFUNDS: _of_visitor(
        "refunds",
        "t.service, t.order_id, t.time_us, t.id, t.amount",
        *("visitor", "service", "order_id", "time_us", "id"),
    ),
    moving.GIVEN_NUMBERS: Shape(_GIVEN, f"SELECT id, number, id FROM {_GIVEN}", ("id",), "id = ?"),
    moving.LASTING_KEYS: _plain(moving.LASTING_KEYS, _LASTING),
    moving.PROFILES: _plain(moving.PROFILES, "preferences.profiles"),
    moving.TOMBSTONES: _plain(moving.TOMBSTONES, "preferences.tombstones"),
}

SHAPES: dict[Part, Shape] = {
    part: _SPECIAL.get(part) or _plain(part) for part in moving.PARTS if part is not moving.EVENTS
}

NOT_MOVED = frozenset({
    "seal", "moves", "moved_days", "applied", "turns", "arrivals", "pages",
})  # fmt: skip
"""Tables that no part is read from: our own, and what is worked out anew. Pages are spelled out in events."""
