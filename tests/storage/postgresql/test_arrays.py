"""Arrays as text say what the driver's own would."""

from __future__ import annotations

from alias_middleware.storage.postgresql.arrays import columns_of
from tests.support.postgresql import PostgreSQLServer

ROWS = [
    (1, "314522927347", b"\x00\\x\"'{,}"),
    (-(2**62), "NULL", b""),
    (0, 'a "b", {c}\\\n\té ', b"{}"),
    (7, "", b"\xff"),
]


def test_every_value_comes_back(debian_postgresql: PostgreSQLServer) -> None:
    """Quotes, braces, backslashes, emptiness and the word NULL are nothing special."""
    statement = "SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bytea[])"
    assert debian_postgresql.sql(statement, *columns_of(ROWS)) == ROWS


def test_numbers_and_truths_may_be_missing(debian_postgresql: PostgreSQLServer) -> None:
    """Whichever comes first."""
    rows = [(None, True), (1, False), (2**62, None)]
    statement = "SELECT * FROM unnest(%s::bigint[], %s::boolean[])"
    assert debian_postgresql.sql(statement, *columns_of(rows)) == rows
