"""Tables on a terminal and elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from alias_middleware.cli.tables import Table, write_tables

TABLE = Table("Prices [bold]", ("what", "price"), [("tone", "3.00"), ("long [red]name", "12.50")], frozenset({1}))


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def written(stream: io.StringIO, *tables: Table) -> str:
    write_tables(tables or [TABLE], stream)
    return stream.getvalue()


def test_text_is_aligned() -> None:
    """In a file or a pipe columns are aligned, numbers to the right, and no line ends in blanks."""
    assert written(io.StringIO()) == (
        "Prices [bold]\n  what            price\n  tone             3.00\n  long [red]name  12.50\n"
    )


def test_terminal_gets_a_drawn_table() -> None:
    """On a terminal rich draws the table; what looks like its markup is text."""
    text = written(Terminal())
    assert "Prices [bold]" in text
    assert "long [red]name" in text
    assert "─" in text


def test_terminal_without_rich_gets_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rich is not installed a terminal gets the same aligned text."""
    monkeypatch.setitem(sys.modules, "rich", None)
    assert written(Terminal()) == written(io.StringIO())


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_control_characters_are_escaped(stream: io.StringIO) -> None:
    """What a visitor typed cannot move the cursor, colour the terminal or break a line."""
    text = written(stream, Table("T", ("name",), [("a\x1b[31m\r\nb\u202ec é",)]))
    assert "a\\x1b[31m\\r\\nb\\u202ec é" in text


def test_tables_stand_apart() -> None:
    """Between two tables there is an empty line."""
    assert written(io.StringIO(), TABLE, TABLE).count("\n\n") == 1


def test_empty_table_shows_its_columns() -> None:
    """A table without rows is its title and its columns."""
    assert written(io.StringIO(), Table("T", ("a", "b"), [])) == "T\n  a  b\n"
