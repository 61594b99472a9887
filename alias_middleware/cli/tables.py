"""Tables on a terminal or in a file: with rich where both are there, aligned text otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TextIO


class Table(NamedTuple):
    """Rows of text under a title. `numbers`: the columns that are aligned to the right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()


def write_tables(tables: Sequence[Table], stream: TextIO) -> None:
    """Write tables to a stream, one after the other."""
    tables = [_printable(table) for table in tables]
    if not (stream.isatty() and _write_rich(tables, stream)):
        stream.write("\n".join(map(_aligned, tables)))


def _printable(table: Table) -> Table:
    """Escape what a visitor may have typed to play with the terminal."""
    return table._replace(rows=[[printable(cell) for cell in row] for row in table.rows])


def printable(text: str) -> str:
    """Give a text of one line without control characters."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _aligned(table: Table) -> str:
    lines = [table.columns, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = f"{table.title}\n"
    for line in lines:
        cells = [
            cell.rjust(width) if place in table.numbers else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        text += f"  {'  '.join(cells).rstrip()}\n"
    return text


def _write_rich(tables: Sequence[Table], stream: TextIO) -> bool:
    try:
        from rich import box, table, text
        from rich.console import Console
    except ModuleNotFoundError:
        return False
    console = Console(file=stream)
    for each in tables:
        drawn = table.Table(title=text.Text(each.title), title_justify="left", box=box.SIMPLE)
        for place, column in enumerate(each.columns):
            drawn.add_column(column, justify="right" if place in each.numbers else "left")
        for row in each.rows:
            drawn.add_row(*map(text.Text, row))
        console.print(drawn)
    return True
