"""What the commands show, from plain values."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from alias_middleware.cli.views import (
    counters_table,
    differences_sheet,
    differences_table,
    summary_table,
    visitor_tables,
)
from alias_middleware.statistics import Baskets, Summary, Totals, summarise
from alias_middleware.statistics.definitions import SUMMARY
from alias_middleware.storage.base import Difference

PARIS = ZoneInfo("Europe/Paris")
NOON_UTC = 1_772_452_800_000_000  # 2026-03-02 12:00


def summary(totals: Totals) -> Summary:
    return summarise(totals, service="s", since=date(2026, 3, 1), until=date(2026, 3, 2), zone="Europe/Paris")


def shown(totals: Totals) -> dict[str, str]:
    return {row[0]: row[1] for row in summary_table(summary(totals)).rows}


def document(**parts: Any) -> dict[str, Any]:
    numbers = dict.fromkeys(["visits", "page_views", "orders"], 0)
    knowledge: dict[str, Any] = {"first_seen": None, "last_seen": None, **numbers, "revenue": {}}
    empty = {"knowledge": knowledge, "preferences": {}, "personal": {}, "consents": {}, "history": []}
    return {**empty, **parts}


def test_every_figure_has_a_row() -> None:
    """The table has a row for each figure there is a definition of, and says what interval it is about."""
    table = summary_table(summary(Totals()))
    assert [row[2] for row in table.rows] == list(SUMMARY.values())
    assert table.title == "s, from 2026-03-01 to 2026-03-02 (exclusive), Europe/Paris"


def test_nothing_to_divide_by_is_a_dash() -> None:
    """A figure that does not exist is a dash, not nought."""
    figures = shown(Totals())
    assert (figures["visits per visitor"], figures["average basket"], figures["visits"]) == ("-", "-", "0")


def test_money_is_shown_per_currency() -> None:
    """Sums of several currencies stand beside each other, never added."""
    baskets = {"EUR": {1: Baskets(2, 3_000_000)}, "CHF": {2: Baskets(1, 10_500_000)}}
    assert shown(Totals(baskets=baskets))["revenue"] == "10.50 CHF, 3.00 EUR"


def test_times_are_local() -> None:
    """A visitor's times are in the service's zone."""
    knowledge = {**document()["knowledge"], "last_seen": NOON_UTC, "revenue": {"EUR": 1_500_000}}
    rows = {row[0]: row[1] for row in visitor_tables(document(knowledge=knowledge), PARIS)[0].rows}
    assert rows["last seen"] == "2026-03-02 13:00:00"
    assert rows["revenue"] == f"{Decimal('1.50')} EUR"


def test_unknown_visitor_has_one_empty_table() -> None:
    """Of somebody who was never seen there is nothing but dashes and noughts."""
    tables = visitor_tables(document(), PARIS)
    assert [table.title for table in tables] == ["Knowledge"]


@pytest.mark.parametrize(
    ("event", "details"),
    [
        pytest.param({"type": "PageView", "path": "/a", "title": None, "category": "c"}, "/a  c", id="page"),
        pytest.param(
            {"type": "TrackedEvent", "name": "download", "properties": {"n": 1, "of": "x"}},
            "download  n=1  of=x",
            id="event",
        ),
        pytest.param(
            {"type": "Refund", "order_id": "C-1", "amount": 2_500_000}, "C-1  2.50", id="part of an order"
        ),
        pytest.param({"type": "Refund", "order_id": "C-1", "amount": None}, "C-1", id="all of it"),
    ],
)
def test_event_is_told_in_one_line(event: dict[str, Any], details: str) -> None:
    """What is particular to an event follows its time and type."""
    tables = visitor_tables(document(history=[{"time_us": NOON_UTC, **event}]), PARIS)
    assert tables[-1].rows == [("2026-03-02 13:00:00", event["type"], details)]


def test_differences_name_their_local_day() -> None:
    """As a date, in the table and in the sheet; what is not said is a dash in one and empty in the other."""
    day = date(2026, 3, 2)
    differences = [
        Difference("pages", "s", day.toordinal(), "web"),
        Difference("knowledge", visitor=7),
        Difference("category sums", namespace="n", category="sport"),
    ]
    assert differences_table(differences).rows == [
        ["pages", "s", "2026-03-02", "web", "-", "-", "-"],
        ["knowledge", "-", "-", "-", "7", "-", "-"],
        ["category sums", "-", "-", "-", "-", "n", "sport"],
    ]
    assert differences_sheet(differences).rows == [
        ("pages", "s", day, "web", None, None, None),
        ("knowledge", None, None, None, 7, None, None),
        ("category sums", None, None, None, None, "n", "sport"),
    ]


def test_counters_of_a_group_stand_under_its_name() -> None:
    """Counters by reason are shown as in the documentation: dropped[no_alias]."""
    rows = counters_table({"seen": 3, "dropped": {"no_alias": 1, "full": 2}}).rows
    assert rows == [("seen", "3"), ("dropped[no_alias]", "1"), ("dropped[full]", "2")]
