"""The tables of figures over a period, each by its name: what pictures are drawn from, and what a CSV holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from itertools import dropwhile
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from alias_middleware.dashboard.period import Period
from alias_middleware.dashboard.tables import Column, Kind, Table, currencies, table_of
from alias_middleware.dashboard.triangle import table_of_cohorts
from alias_middleware.figures import Statistics
from alias_middleware.statistics import Summary
from alias_middleware.statistics.definitions import SUMMARY
from alias_middleware.statistics.ratios import ratio

_TOP = 10
_MONTHS = 12
_IN_A_YEAR = 12


class Cell(NamedTuple):
    """One figure of a summary, its value in the period before, and by what part of that it has changed.

    Money is one such cell for each `currency`.
    """

    name: str
    value: Any
    previous: Any
    change: Decimal | None
    currency: str = ""


def compared(statistics: Statistics, period: Period) -> list[Cell]:
    """Give every figure of a period beside the one of as many days before."""
    now, before = statistics.summaries(
        [(each.since, each.until) for each in (period, period.before)],
        channel=period.channel,
        service=period.service,
    )
    return [cell for name in SUMMARY for cell in _cells(name, now, before)]


def _cells(name: str, now: Summary, before: Summary) -> list[Cell]:
    value, previous = getattr(now, name), getattr(before, name)
    if not isinstance(value, dict):
        return [Cell(name, value, previous, _change(value, previous))]
    return [
        Cell(name, value.get(each), previous.get(each), _change(value.get(each), previous.get(each)), each)
        for each in currencies([value, previous])
    ]


def _change(value: int | Decimal | None, previous: int | Decimal | None) -> Decimal | None:
    """Give (value - previous) / previous, where there is something to divide by."""
    if value is None or not previous:
        return None
    numerator, denominator = (Decimal(value) - previous).as_integer_ratio()
    over, under = Decimal(previous).as_integer_ratio()
    return ratio(numerator * under, denominator * over)


def summary_table(statistics: Statistics, period: Period) -> Table:
    """Lay out every figure, and the one of the period before."""
    columns = [
        Column("figure", "text"),
        Column("currency", "text"),
        Column("value", "ratio"),
        Column("previous", "ratio", "previous"),
        Column("change", "share"),
    ]
    rows = [
        (cell.name, cell.currency, cell.value, cell.previous, cell.change) for cell in compared(statistics, period)
    ]
    return Table("summary", columns, rows)


def _series(name: str, kind: Kind) -> Callable[[Statistics, Period], Table]:
    def followed(statistics: Statistics, period: Period) -> Table:
        found = statistics.series(
            name,
            period.since,
            period.until,
            by=period.by,
            compare="previous",
            channel=period.channel,
            service=period.service,
        )
        table = table_of(name, found.rows, {"since": "day", "until": "day", "value": kind, "previous": kind})
        return table._replace(columns=[_defined(column, name) for column in table.columns])

    return followed


def _defined(column: Column, name: str) -> Column:
    """Let the column of a series be defined as the figure that it follows."""
    return column._replace(definition=name if column.name == "value" else column.name)


def _asked(period: Period) -> dict[str, Any]:
    return {"since": period.since, "until": period.until, "channel": period.channel, "service": period.service}


def _pages(statistics: Statistics, period: Period) -> Table:
    found = statistics.pages(top=_TOP, **_asked(period))
    columns: dict[str, Kind] = {"path": "text", "title": "text", "page_views": "count", "visitors": "count"}
    return table_of("pages", found.rows, {**columns, "buyers": "count", "share": "share"})


def _categories(statistics: Statistics, period: Period) -> Table:
    found = statistics.categories(top=_TOP, **_asked(period))
    columns: dict[str, Kind] = {"category": "text", "page_views": "count", "visitors": "count", "buyers": "count"}
    return table_of("categories", found.rows, {**columns, "revenue": "money", "share": "share"})


def _products(statistics: Statistics, period: Period) -> Table:
    found = statistics.products(top=_TOP, **_asked(period))
    columns: dict[str, Kind] = {"sku": "text", "name": "text", "quantity": "count", "orders": "count"}
    return table_of("products", found.rows, {**columns, "buyers": "count", "revenue": "money", "share": "share"})


def _habits(statistics: Statistics, period: Period) -> list[Table]:
    """Give both tables of one answer: how often visitors come, and after how long."""
    found = statistics.frequency(**_asked(period))
    return [
        table_of("frequency", found.rows, {"visits": "text", "visitors": "count", "share": "share"}),
        table_of("recency", found.recency, {"days": "text", "visits": "count", "share": "share"}),
    ]


def _frequency(statistics: Statistics, period: Period) -> Table:
    return _habits(statistics, period)[0]


def _recency(statistics: Statistics, period: Period) -> Table:
    return _habits(statistics, period)[1]


def _hours(statistics: Statistics, period: Period) -> Table:
    found = statistics.hours(**_asked(period))
    columns: dict[str, Kind] = {"weekday": "weekday", "hour": "text", "page_views": "count", "visits": "count"}
    return table_of("hours", found.rows, {**columns, "share": "share"})


def _cohorts(statistics: Statistics, period: Period) -> Table:
    """Follow the new visitors of the twelve months up to the period's last."""
    found = statistics.cohorts(
        _months_before(period.last), period.until, channel=period.channel, service=period.service
    )
    return table_of_cohorts(list(dropwhile(lambda row: not row.visitors, found.rows)))


def _months_before(day: date) -> date:
    """Give the first day of the month eleven months before a day's own."""
    months = day.year * _IN_A_YEAR + day.month - _MONTHS
    year, month = divmod(max(months, _IN_A_YEAR), _IN_A_YEAR)
    return date(year, month + 1, 1)


TABLES: Final[Mapping[str, Callable[[Statistics, Period], Table]]] = MappingProxyType(
    {
        "summary": summary_table,
        "visitors": _series("visitors", "count"),
        "visits": _series("visits", "count"),
        "revenue": _series("revenue", "money"),
        "pages": _pages,
        "categories": _categories,
        "products": _products,
        "frequency": _frequency,
        "recency": _recency,
        "hours": _hours,
        "cohorts": _cohorts,
    }
)
"""How each table is asked for."""


def overview_tables(statistics: Statistics, period: Period) -> Iterator[Table]:
    """Ask for the tables of the overview, in their order; what two of them tell is asked for once."""
    for name in ("visitors", "visits", "revenue", "pages", "categories", "products"):
        yield TABLES[name](statistics, period)
    yield from _habits(statistics, period)
    for name in ("hours", "cohorts"):
        yield TABLES[name](statistics, period)
