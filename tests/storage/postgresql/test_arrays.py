"""Arrays as text say what the driver's own would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alias_middleware.storage.postgresql.arrays import columns_of
from alias_middleware.storage.postgresql.pool import Connection
from tests.support.postgresql import PostgreSQLServer

ROWS = [
    (1, "314522927347", b"\x00\\x\"'{,}"),
    (-(2**62), "NULL", b""),
    (0, 'a "b", {c}\\\n\té ', b"{}"),
    (7, "", b"\xff"),
]


def came_back(server: PostgreSQLServer, rows: Sequence[tuple[Any, ...]], *types: str) -> list[Any]:
    """The rows by way of the server."""
    arrays = ", ".join(f"%s::{type_}[]" for type_ in types)
    with Connection.connect(server.url(client_encoding="utf8"), autocommit=True) as connection:
        return connection.execute(f"SELECT * FROM unnest({arrays})".encode(), columns_of(rows)).fetchall()


def test_every_value_comes_back(debian_postgresql: PostgreSQLServer) -> None:
    """Quotes, braces, backslashes, emptiness and the word NULL are nothing special."""
    assert came_back(debian_postgresql, ROWS, "bigint", "text", "bytea") == ROWS


def test_numbers_and_truths_may_be_missing(debian_postgresql: PostgreSQLServer) -> None:
    """Whichever comes first, and all of them."""
    rows: list[tuple[Any, ...]] = [
        (None, True, None, None),
        (1, False, -0.1, None),
        (2**31 - 1, None, 1e300, None),
    ]
    assert came_back(debian_postgresql, rows, "integer", "boolean", "double precision", "bigint") == rows


def test_a_whole_number_may_stand_among_others(debian_postgresql: PostgreSQLServer) -> None:
    """A sum that comes out even is still a sum."""
    rows = [(1.5, 1), (2, 2)]
    assert came_back(debian_postgresql, rows, "double precision", "integer") == rows
