"""Tables of figures as data: what is shown under a picture is what its CSV holds."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from decimal import Decimal
from io import StringIO
from typing import Any, Literal, NamedTuple

from alias_middleware.statistics.layout import csv_cell

Kind = Literal["text", "weekday", "count", "money", "share", "ratio", "day", "month", "moment"]


class Column(NamedTuple):
    """One column: its name, which is the API's, what it holds, and of money the currency.

    `definition` is the key of its definition, "" where it needs none.
    """

    name: str
    kind: Kind
    definition: str = ""
    currency: str = ""

    @property
    def is_number(self) -> bool:
        """Whether it is set to the right."""
        return self.kind in ("count", "money", "share", "ratio")

    @property
    def heading(self) -> str:
        """Its name in a CSV."""
        return f"{self.name}_{self.currency}" if self.currency else self.name


class Table(NamedTuple):
    """Rows under columns. `name` is that of its texts, and of its file."""

    name: str
    columns: list[Column]
    rows: list[tuple[Any, ...]]


def table_of(
    name: str, rows: Iterable[Any], columns: Mapping[str, Kind], *, defined_as: str | None = None
) -> Table:
    """Lay out the typed rows of a result; money, and what is by currency, gets a column for each currency."""
    rows = list(rows)
    prefix = name if defined_as is None else defined_as
    laid: list[Column] = []
    for column, kind in columns.items():
        definition = f"{prefix}.{column}" if prefix else column
        found = [getattr(row, column) for row in rows]
        if kind == "money" or any(isinstance(value, dict) for value in found):
            laid += [Column(column, kind, definition, currency) for currency in currencies(found)]
        else:
            laid.append(Column(column, kind, definition))
    return Table(name, laid, [tuple(_cell(row, column) for column in laid) for row in rows])


def currencies(values: Iterable[Mapping[str, Decimal] | None]) -> list[str]:
    """Give the currencies of several sums of money."""
    return sorted({currency for value in values if value for currency in value})


def _cell(row: Any, column: Column) -> Any:
    value = getattr(row, column.name)
    return (value or {}).get(column.currency) if column.currency else value


def csv_of(table: Table) -> str:
    """Write a table as CSV, exact values."""
    out = StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([column.heading for column in table.columns])
    writer.writerows(map(csv_cell, row) for row in table.rows)
    return out.getvalue()
