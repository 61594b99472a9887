"""Any answer as tables of columns with their definitions: what a terminal, a page and a CSV file lay out alike."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple, get_args, get_origin

import msgspec

from alias_middleware.statistics.clients import Clients
from alias_middleware.statistics.cohorts import Cohorts
from alias_middleware.statistics.definitions import SUMMARY, definition_of
from alias_middleware.statistics.frequency import Frequency
from alias_middleware.statistics.hours import Hours
from alias_middleware.statistics.rankings import Categories, Pages, Products
from alias_middleware.statistics.series import Series
from alias_middleware.statistics.summary import Summary

_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Answer = Summary | Series | Frequency | Pages | Categories | Products | Cohorts | Hours | Clients


class Column(NamedTuple):
    """A column's name and its definition. Money has a column for each currency, such as "revenue EUR"."""

    name: str
    definition: str


class Layout(NamedTuple):
    """A table. Values are numbers, Decimals, dates, texts or None, in the order of the columns."""

    name: str
    columns: list[Column]
    rows: list[list[object]]


def layouts(answer: Answer) -> list[Layout]:
    """Lay out an answer: most are one table, how often visitors come is two."""
    if isinstance(answer, Summary):
        return [_table("summary", [answer], list(SUMMARY))]
    if isinstance(answer, Frequency):
        return [
            _table("frequency", answer.rows, _fields(answer)),
            _table("recency", answer.recency, _fields(answer, "recency")),
        ]
    if isinstance(answer, Series):
        fields = ["since", "until", "value", *(["previous"] if answer.compared else [])]
        return [_table("series", answer.rows, fields, {"value": answer.name})]
    return [_table(type(answer).__name__.lower(), answer.rows, _fields(answer))]


def _fields(answer: Answer, name: str = "rows") -> list[str]:
    """Give the fields of an answer's rows; where there are none, those whose columns do not depend on them."""
    types = {field.name: field.type for field in msgspec.structs.fields(answer)}
    fields = msgspec.structs.fields(get_args(types[name])[0])
    return [field.name for field in fields if getattr(answer, name) or get_origin(field.type) not in (dict, list)]


def _table(name: str, rows: Any, fields: list[str], named: dict[str, str] | None = None) -> Layout:
    columns: list[Column] = []
    values: list[list[object]] = [[] for _ in rows]
    for field in fields:
        shown = (named or {}).get(field, field)
        cells = [getattr(row, field) for row in rows]
        for part in _parts(cells):
            title = shown if part is None else f"{shown} {part}"
            columns.append(Column(title, definition_of(shown, name)))
            for row, cell in zip(values, cells, strict=True):
                row.append(cell if part is None else _part(cell, part))
    return Layout(name, columns, values)


def _parts(cells: list[Any]) -> list[Any]:
    """What a column falls into: currencies, or places of lists from 1 on; None where it is one."""
    if any(isinstance(cell, dict) for cell in cells):
        return sorted({currency for cell in cells if cell for currency in cell})
    if any(isinstance(cell, list) for cell in cells):
        return list(range(1, 1 + max(map(len, cells))))
    return [None]


def _part(cell: Any, part: Any) -> object:
    if isinstance(cell, list):
        return cell[part - 1] if part <= len(cell) else None
    return cell.get(part) if cell else None


def document_of(answer: Answer) -> dict[str, Any]:
    """Give an answer as plain JSON values, money as exact text, with the definition of every column."""
    plain: dict[str, Any] = msgspec.to_builtins(answer)
    definitions = {
        f"{table.name}.{column.name}": column.definition for table in layouts(answer) for column in table.columns
    }
    return {**plain, "definitions": definitions}


def csv_cell(value: object) -> str:
    """Give a value as it stands in a CSV: exact, empty where there is none, times as in ISO 8601.

    A text that a spreadsheet would take for a formula is quoted: it may be what a visitor or a page is called.
    """
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return str(value)
