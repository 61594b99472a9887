"""Columns of rows as arrays in PostgreSQL's binary form, made several times as fast as the driver makes its own.

As text the server would take longer to read the arrays of a batch's visitors than to keep what is in them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from typing import Any

from psycopg import Connection
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

_header = struct.Struct("!iiIii").pack
_length = struct.Struct("!i").pack
_NONE = _length(-1)


class Column:
    """An array of one column's values as the server reads it. Each kind of array is a class: it has a dumper."""

    __slots__ = ("data",)

    def __init__(self, element: int, values: int, data: bytes, *, some_none: bool = False) -> None:
        """Make an array of so many values, `data`, of the type that PostgreSQL knows by the number `element`."""
        self.data = _header(1, some_none, element, values, 1) + data


class _Numbers(Column):
    pass


class _Truths(Column):
    pass


class _Reals(Column):
    pass


class _Texts(Column):
    pass


class _Bytes(Column):
    pass


_ARRAYS: dict[type[Column], int] = {_Numbers: 1016, _Truths: 1000, _Reals: 1022, _Texts: 1009, _Bytes: 1001}
"""PostgreSQL's own numbers of bigint[], boolean[], double precision[], text[] and bytea[]."""


def prepare(connection: Connection[Any]) -> None:
    """Let a connection take columns as parameters. It speaks UTF-8."""
    for kind, array in _ARRAYS.items():
        dumper = type(f"{kind.__name__}Dumper", (_Dumper,), {"oid": array})
        connection.adapters.register_dumper(kind, dumper)


class _Dumper(Dumper):
    """Hands an array over as it is."""

    format = Format.BINARY

    def dump(self, obj: Column) -> Buffer:
        return obj.data


def columns_of(rows: Iterable[tuple[object, ...]]) -> list[Column]:
    """Turn rows round: one array a column, to be cast in the statement.

    Numbers and truths, of which any may be None, or texts or bytes.
    """
    return [column_of(column) for column in zip(*rows, strict=True)]


def column_of(values: Sequence[Any]) -> Column:
    """Make one array, of one value or more."""
    kind = type(next((value for value in values if value is not None), 0))
    if kind is str:
        return _Texts(25, len(values), _wide(map(str.encode, values)))
    if kind is bytes:
        return _Bytes(17, len(values), _wide(values))
    if kind is bool:
        return _narrow(_Truths, 16, "?", values)
    return _narrow(_Reals, 701, "d", values) if kind is float else _narrow(_Numbers, 20, "q", values)


def _wide(values: Iterable[bytes]) -> bytes:
    return b"".join([_length(len(value)) + value for value in values])


def _narrow(make: Callable[..., Column], element: int, letter: str, values: Sequence[Any]) -> Column:
    size = struct.calcsize(f"!{letter}")
    if None not in values:
        pairs = chain.from_iterable(zip(repeat(size), values))
        return make(element, len(values), struct.pack("!" + f"i{letter}" * len(values), *pairs))
    pack = struct.Struct(f"!i{letter}").pack
    data = b"".join([_NONE if value is None else pack(size, value) for value in values])
    return make(element, len(values), data, some_none=True)
