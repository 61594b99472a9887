"""How the parts that are moved lie in PostgreSQL: tables, columns and their types."""

from __future__ import annotations

from typing import NamedTuple

from alias_middleware.storage import moving
from alias_middleware.storage.moving import Part, Row

_TEXT = frozenset({
    "namespace", "key", "channel", "kind", "currency", "section", "scope", "reason", "what", "requester", "name",
    "standing", "state", "message_id", "how", "short_code", "month", "detail", "segment", "campaign", "why",
})  # fmt: skip
_BYTES = frozenset({
    "hash", "mark", "knowledge", "habits", "body", "preferences", "personal", "consents", "stamps", "plan",
    "concealed", "sealed", "done",
})  # fmt: skip
_NAMED_BY_SERVICE = (
    moving.LIVE,
    moving.CAMPAIGNS,
    moving.DISPATCHES,
    moving.ERASED_DISPATCHES,
    moving.CONTACT_NOTES,
    moving.STRAY_MESSAGES,
    moving.REPLACED,
)
_OTHER = {"recent": "double precision", **dict.fromkeys(("cancelled", "given_back", "swept"), "boolean")}
_ENCODED = frozenset({"order_id", "category"})
"""Columns that are UTF-8 here: `text` does not hold every character."""


class Shape(NamedTuple):
    """The table of a part, its columns there with their types, and those that name and order its rows.

    `origin`: what rows are selected from, and `selected` what of it.
    """

    table: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    keys: tuple[str, ...]
    origin: str
    selected: str
    encoded: tuple[int, ...]


def _type(part: Part, column: str) -> str:
    if column == "service":
        return "text" if part in _NAMED_BY_SERVICE or part is moving.SERVICES else "bigint"
    if column in _TEXT or (part is moving.PSEUDONYMS and column == "mark"):
        return "text"
    if column in _BYTES or _is_encoded(part, column):
        return "bytea"
    return _OTHER.get(column, "bigint")


def _is_encoded(part: Part, column: str) -> bool:
    return column in _ENCODED or (part is moving.STRAY_MESSAGES and column == "text")


def _shape(part: Part) -> Shape:
    table, columns, keys = part.name, part.columns, part.columns[: part.keys]
    selected, origin = ", ".join(f"t.{name}" for name in columns), f"{table} t"
    if part is moving.RECORDED_DAYS:
        table, origin = "changes", "changes t"
    elif part is moving.VISITORS:
        origin = f"{table} t LEFT JOIN numbers n ON n.namespace = t.namespace AND n.key = t.key"
        selected = "t.namespace, t.key, n.number, t.not_before, t.knowledge, t.habits"
    elif part is moving.GIVEN_NUMBERS:
        origin = "(SELECT 1 AS id, max(highest) AS number FROM given_numbers HAVING max(highest) > 0) t"
    elif part in {moving.ORDERS, moving.REFUNDS}:
        origin = f"{table} t JOIN services s ON s.id = t.service"
        selected = f"s.namespace, {selected.removeprefix('t.namespace, ')}"
        columns, keys = columns[1:], keys[1:]
    types = tuple(_type(part, name) for name in columns)
    encoded = tuple(place for place, name in enumerate(part.columns) if _is_encoded(part, name))
    return Shape(table, columns, types, keys, origin, selected, encoded)


NOT_MOVED = frozenset({
    "migrations", "moves", "moved_days", "arrivals", "rolled_days", "rollups", "view_salts",
})  # fmt: skip
"""Tables that no part is read from: what is the database's own, or worked out anew."""

SHAPES: dict[Part, Shape] = {part: _shape(part) for part in moving.PARTS}


def spelled(part: Part, rows: list[Row]) -> list[Row]:
    """Give rows as every storage has them."""
    places = SHAPES[part].encoded
    return [_changed(row, places, bytes.decode) for row in rows] if places else rows


def stored(part: Part, rows: list[Row]) -> list[Row]:
    """Give rows, or the keys that they begin with, as they are stored here."""
    places = SHAPES[part].encoded
    return [_changed(row, places, str.encode) for row in rows] if places else rows


def _changed(row: Row, places: tuple[int, ...], coding: object) -> Row:
    values = list(row)
    for place in places:
        if place < len(values):
            values[place] = coding(values[place])  # type: ignore[operator]
    return tuple(values)
