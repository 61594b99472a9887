"""The retention triangle: a row for each month's new visitors, a column for each month since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from alias_middleware.dashboard.tables import Column, Table
from alias_middleware.statistics.cohorts import Cohort

_SHADES = 10
_BEFORE = 2
"""Columns before those of the months: the month that a row is of, and how many were new in it."""


class Stay(NamedTuple):
    """How many of a month's new visitors came in a later one, and what part. `shade`: 0 to 10, as is the part."""

    retained: int
    retention: Decimal | None
    shade: int


class Line(NamedTuple):
    """The new visitors of the month that begins on `since`, and who of them came in it and in each later one."""

    since: date
    visitors: int
    stays: list[Stay]


def table_of_cohorts(rows: Sequence[Cohort]) -> Table:
    """Lay cohorts out as the triangle: counts first, then parts; months yet to come are None."""
    width = max((len(row.retained) for row in rows), default=0)
    columns = [Column("since", "month", "cohorts.since"), Column("visitors", "count", "cohorts.visitors")]
    columns += [Column(f"retained_{month}", "count", "cohorts.retained") for month in range(width)]
    columns += [Column(f"retention_{month}", "share", "cohorts.retention") for month in range(width)]
    laid: list[tuple[Any, ...]] = []
    for row in rows:
        to_come = [None] * (width - len(row.retained))
        laid.append((row.since, row.visitors, *row.retained, *to_come, *row.retention, *to_come))
    return Table("cohorts", columns, laid)


def lines_of(table: Table) -> Iterator[Line]:
    """Read the triangle row by row."""
    width = (len(table.columns) - _BEFORE) // 2
    for since, visitors, *numbers in table.rows:
        pairs = zip(numbers[:width], numbers[width:], strict=True)
        yield Line(since, visitors, [_stay(*pair) for pair in pairs if pair[0] is not None])


def _stay(retained: int, retention: Decimal | None) -> Stay:
    return Stay(retained, retention, int((retention or 0) * _SHADES))
