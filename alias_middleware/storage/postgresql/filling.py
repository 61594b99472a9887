"""Filling sealed tables in PostgreSQL with rows that come from another storage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alias_middleware.storage import moving
from alias_middleware.storage.chronicle import decode_chronicle
from alias_middleware.storage.moving import Key, Part, Row
from alias_middleware.storage.postgresql.arrays import columns_of
from alias_middleware.storage.postgresql.marks import mark_changed
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.postgresql.shapes import SHAPES
from alias_middleware.storage.visits import margin_days

_PUT_EVENTS = """
    INSERT INTO events (day, service, key, time_us, id, channel, kind, body)
    SELECT * FROM unnest(%s::integer[], %s::integer[], %s::text[], %s::bigint[], %s::bigint[], %s::text[],
        %s::text[], %s::bytea[])
    ON CONFLICT (day, service, key, time_us, id) DO NOTHING
"""
_PUT_DAYS = """
    INSERT INTO changes (service, day, mark) SELECT service, day, 1
    FROM unnest(%s::integer[], %s::integer[]) AS asked (service, day) ON CONFLICT (service, day) DO NOTHING
"""
_EVENTS_HERE = """
    SELECT day, service, key, time_us, id
    FROM unnest(%s::integer[], %s::integer[], %s::text[], %s::bigint[], %s::bigint[])
        AS asked (day, service, key, time_us, id)
    JOIN events USING (day, service, key, time_us, id)
"""
_PEOPLE = "unnest(%s::text[], %s::text[]) AS asked (namespace, key)"
_KNOWLEDGE = f"SELECT t.key, t.knowledge FROM {_PEOPLE} JOIN visitors t USING (namespace, key)"
_PUT_VISITORS = """
    INSERT INTO visitors (namespace, key, not_before, knowledge, habits)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bytea[], %s::bytea[])
    ON CONFLICT (namespace, key) DO UPDATE SET not_before = excluded.not_before, knowledge = excluded.knowledge,
        habits = excluded.habits
"""
_PUT_NUMBERS = """
    INSERT INTO numbers (namespace, key, number) SELECT * FROM unnest(%s::text[], %s::text[], %s::integer[])
    ON CONFLICT (namespace, key) DO UPDATE SET number = excluded.number
"""
_FREE_NUMBERS = "DELETE FROM numbers WHERE number = ANY(%s::integer[])"
_ARRIVE = """
    INSERT INTO arrivals (service, day, key) SELECT * FROM unnest(%s::integer[], %s::integer[], %s::text[])
    ON CONFLICT DO NOTHING
"""
_DEPART = """
    DELETE FROM arrivals t USING unnest(%s::integer[], %s::integer[], %s::text[]) AS asked (service, day, key)
    WHERE t.service = asked.service AND t.day = asked.day AND t.key = asked.key
"""

Arrival = tuple[int, int, str]


def put_rows(connection: Connection, part: Part, rows: Sequence[Row]) -> None:
    """Keep rows of any part but the visitors'."""
    if part is moving.EVENTS:
        connection.execute(_PUT_EVENTS, columns_of(rows))
        mark_changed(connection, {(row[1], row[0]) for row in rows}, _margin(connection))
        return
    if part is moving.RECORDED_DAYS:
        connection.execute(_PUT_DAYS, columns_of(rows))
        return
    shape = SHAPES[part]
    values = [row[len(row) - len(shape.columns) :] for row in rows]
    arrays = ", ".join(f"%s::{type_}[]" for type_ in shape.types)
    names = ", ".join(shape.columns)
    columns = [_typed(column, type_) for column, type_ in zip(zip(*values, strict=True), shape.types, strict=True)]
    rest = [name for name in shape.columns if name not in shape.keys]
    anew = ", ".join(f"{name} = excluded.{name}" for name in rest)
    connection.execute(
        f"INSERT INTO {shape.table} ({names}) SELECT asked.* FROM unnest({arrays}) AS asked "
        f"ON CONFLICT ({', '.join(shape.keys)}) DO {f'UPDATE SET {anew}' if rest else 'NOTHING'}".encode(),
        columns,
    )
    _mark(connection, part, rows)


def _typed(column: Sequence[object], type_: str) -> list[object]:
    """Give a column's values as PostgreSQL wants them: a number is no truth."""
    return [bool(value) for value in column] if type_ == "boolean" else list(column)


def _mark(connection: Connection, part: Part, rows: Iterable[Row]) -> None:
    """Mark the days that roll-ups of some rows, or of the keys they begin with, are made for."""
    if part in {moving.UNIDENTIFIED, moving.FROZEN}:
        mark_changed(connection, {(row[0], row[1]) for row in rows}, 0)
    elif part is moving.ORDERS:
        mark_changed(connection, {(row[2], row[6]) for row in rows if len(row) > part.keys}, 0)


def _margin(connection: Connection) -> int:
    gaps = connection.execute("SELECT visit_gap_us FROM services").fetchall()
    return max((margin_days(gap_us) for (gap_us,) in gaps), default=1)


def put_visitors(connection: Connection, rows: Sequence[Row]) -> None:
    """Keep visitors, their numbers and their arrivals."""
    people = [(row[0], row[1]) for row in rows]
    known = connection.execute(_KNOWLEDGE, columns_of(people), binary=True).fetchall()
    before = {arrival for key, knowledge in known for arrival in _arrivals(key, knowledge)}
    after = {arrival for row in rows for arrival in _arrivals(row[1], row[4])}
    connection.execute(_FREE_NUMBERS, ([row[2] for row in rows],))
    connection.execute(_PUT_VISITORS, columns_of((*row[:2], *row[3:]) for row in rows))
    connection.execute(_PUT_NUMBERS, columns_of(row[:3] for row in rows))
    _move_arrivals(connection, before - after, after - before)


def _move_arrivals(connection: Connection, gone: set[Arrival], new: set[Arrival]) -> None:
    for statement, arrivals in ((_DEPART, gone), (_ARRIVE, new)):
        if arrivals:
            connection.execute(statement, columns_of(sorted(arrivals)))
    mark_changed(connection, {(service, day) for service, day, _ in gone | new}, 0)


def _arrivals(key: str, knowledge: bytes) -> set[Arrival]:
    return {(service, each.first_day, key) for service, each in decode_chronicle(knowledge).presence.items()}


def with_events(connection: Connection, orders: Sequence[Row]) -> list[Row]:
    """Leave out orders whose raw events are not here: they came while we were at it."""
    marks = [(row[6], row[2], row[1], row[4], row[5]) for row in orders]
    here = {tuple(mark) for mark in connection.execute(_EVENTS_HERE, columns_of(marks)).fetchall()}
    return [row for row, mark in zip(orders, marks, strict=True) if mark in here]


def put_highest(connection: Connection, rows: Sequence[Row]) -> None:
    """Keep the highest number that was ever given, to whomever in whatever namespace."""
    connection.execute("DELETE FROM given_numbers")
    for _, number in rows:
        connection.execute("INSERT INTO given_numbers VALUES ('', %s)", (number,))


def drop_rows(connection: Connection, part: Part, keys: Sequence[Key]) -> None:
    """Delete rows of any part but the visitors'."""
    shape = SHAPES[part]
    values = [key[len(key) - len(shape.keys) :] for key in keys]
    arrays = ", ".join(f"%s::{shape.types[shape.columns.index(name)]}[]" for name in shape.keys)
    matches = " AND ".join(f"t.{name} = asked.{name}" for name in shape.keys)
    connection.execute(
        f"DELETE FROM {shape.table} t USING unnest({arrays}) AS asked ({', '.join(shape.keys)}) "
        f"WHERE {matches}".encode(),
        [list(column) for column in zip(*values, strict=True)],
    )
    _mark(connection, part, keys)
