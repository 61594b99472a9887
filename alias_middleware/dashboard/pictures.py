"""The picture that belongs to a table of figures: which rows and columns it shows, in the reader's language."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from datetime import datetime
from typing import Any, NamedTuple

from alias_middleware.contact import Policy
from alias_middleware.dashboard import charts
from alias_middleware.dashboard.charts import Chart
from alias_middleware.dashboard.drawing import Drawer
from alias_middleware.dashboard.tables import Table
from alias_middleware.dashboard.words import Words

_PATIENCE_SECONDS = 20.0
_LONGEST_NAME = 40
_HOURS = 24
_WEEKDAYS = 7
_LATE_IN_HOUR = 59
_MOST_CAMPAIGNS = 6
_STEPS = ("selected", "allowed", "held", "sent", "delivered", "came_back", "bought")


_log = logging.getLogger("alias_middleware")


class Picture(NamedTuple):
    """A picture with what it is called, and what will be its SVG."""

    title: str
    drawn: Future[str]

    @property
    def svg(self) -> str:
        """Wait until it is drawn, and give it; "" where that fails: its table tells the same."""
        try:
            return self.drawn.result(_PATIENCE_SECONDS)
        except (ValueError, OSError):
            _log.exception("a picture could not be drawn")
            return ""


class Panel(NamedTuple):
    """A table with its pictures and what is to be said of it."""

    table: Table
    title: str
    about: str
    pictures: list[Picture]


def panel(table: Table, words: Words, policy: Policy, drawer: Drawer) -> Panel:
    """Have the pictures of a table drawn."""
    title = words(f"table.{table.name}")
    found = _charts(table, words, policy, title) if table.rows else []
    pictures = [Picture(called, drawer.draw(chart)) for called, chart in found]
    return Panel(table, title, _about(table.name, words, policy), pictures)


def _about(name: str, words: Words, policy: Policy) -> str:
    if name == "hours":
        return words("about.quiet", policy=policy.name)
    if words.has(f"about.{name}"):
        return words(f"about.{name}")
    meaning = words.definition(name)
    return meaning[:1].upper() + meaning[1:]


def _charts(table: Table, words: Words, policy: Policy, title: str) -> list[tuple[str, Chart]]:
    language = words.language
    match table.name:
        case "visitors" | "visits" | "revenue":
            return _trends(table, words)
        case "pages" | "categories" | "products":
            ranked = _ranked(table)
            return [(title, charts.ranking(ranked, language=language))]
        case "frequency" | "recency":
            rows = [{"name": words.cell(row[0], table.columns[0]), "value": row[1]} for row in table.rows]
            axes = [words.heading(column) for column in table.columns[:2]]
            return [(title, charts.histogram(rows, x=axes[0], y=axes[1], language=language))]
        case "hours":
            return [(title, _week(table, words, policy))]
    return []


def _trends(table: Table, words: Words) -> list[tuple[str, Chart]]:
    """Draw one picture for each currency, or the one of a count."""
    places = {column.currency: place for place, column in enumerate(table.columns) if column.name == "value"}
    befores = {column.currency: place for place, column in enumerate(table.columns) if column.name == "previous"}
    pictures = []
    for currency in sorted({*places, *befores}):
        now, before = words("chart.now"), words("chart.before")
        rows = [
            {"day": row[0].isoformat(), "value": float(row[lines[currency]] or 0), "kind": kind}
            for kind, lines in ((now, places), (before, befores))
            if currency in lines
            for row in table.rows
        ]
        title = words("table.revenue_in", currency=currency) if currency else words(f"table.{table.name}")
        pictures.append((title, charts.trend(rows, now=now, before=before, language=words.language)))
    return pictures


def _ranked(table: Table) -> list[dict[str, Any]]:
    """Name a page by its path, a product by its name; bars are page views or units."""
    names = {column.name: place for place, column in enumerate(table.columns)}
    name = names["name" if table.name == "products" else table.columns[0].name]
    value = names["quantity" if table.name == "products" else "page_views"]
    return [{"name": str(row[name])[:_LONGEST_NAME], "value": row[value]} for row in table.rows]


def _week(table: Table, words: Words, policy: Policy) -> Chart:
    quiet = quiet_hours(policy)
    names = {column.name: place for place, column in enumerate(table.columns)}
    rows = [
        {
            "day": words.weekday(row[names["weekday"]]),
            "hour": row[names["hour"]],
            "value": row[names["visits"]],
            "quiet": (row[names["weekday"]], row[names["hour"]]) in quiet,
        }
        for row in table.rows
    ]
    days = [words.weekday(number) for number in range(1, _WEEKDAYS + 1)]
    return charts.week(rows, days=days, x=words("column.hour"), language=words.language)


def quiet_hours(policy: Policy) -> set[tuple[int, int]]:
    """Give the (weekday, hour) in which a policy lets nothing arrive, or not all the hour; holidays aside."""
    ordinary_monday = 2  # of February 2026, a week without a public holiday anywhere
    return {
        (day + 1, hour)
        for day in range(_WEEKDAYS)
        for hour in range(_HOURS)
        for minute in (0, _LATE_IN_HOUR)
        if policy.quiet(datetime(2026, 2, ordinary_monday + day, hour, minute, tzinfo=policy.zone)) is not None
    }


def funnel(table: Table, words: Words) -> Chart:
    """Show what became of the messages of each campaign."""
    names = [column.name for column in table.columns]
    rows = [
        {"campaign": row[0][:_LONGEST_NAME], "step": words(f"column.{step}"), "value": row[names.index(step)] or 0}
        for row in planned(table)[:_MOST_CAMPAIGNS]
        for step in _STEPS
    ]
    return charts.steps(rows, order=[words(f"column.{step}") for step in _STEPS], language=words.language)


def planned(table: Table) -> list[tuple[Any, ...]]:
    """Give the rows of campaigns that somebody was selected for: a draft has nothing to show yet."""
    selected = [column.name for column in table.columns].index("selected")
    return [row for row in table.rows if row[selected]]
