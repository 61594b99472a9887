from __future__ import annotations

import csv
import re
from io import StringIO
from typing import Any

import pytest
from starlette.testclient import TestClient

from alias_middleware import Tracker
from tests.dashboard.audience import ALIAS, FIRST, LAST, UNTIL

QUERY = f"first={FIRST}&last={LAST}"


def rows_of(answer: Any) -> list[dict[str, str]]:
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(StringIO(answer.text)))


def test_the_figures_are_those_of_the_api(reader: TestClient, audience: Tracker) -> None:
    """Every figure on the page is the summary's, with its definition."""
    page = reader.get(f"/?{QUERY}", headers={"Accept-Language": "en"}).text
    summary = audience.statistics.summary(FIRST, UNTIL)
    shown = dict(re.findall(r'data-figure="([\w.]+)">([^<]*)<', page))
    assert shown["visitors"] == str(summary.visitors)
    assert shown["page_views"] == f"{summary.page_views:,}"
    assert shown["revenue.EUR"] == f"€{summary.revenue['EUR']:,.2f}"
    assert "distinct aliases with at least one page view or SMS" in page


def test_the_first_page_shows_the_last_30_days(reader: TestClient, audience: Tracker) -> None:
    """Without a word of the period it is the 30 days up to today."""
    assert f'name="first" type="date" required value="{FIRST}"' in reader.get("/").text


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        pytest.param("pages", ["path", "title", "page_views", "visitors", "buyers", "share"], id="pages"),
        pytest.param("frequency", ["visits", "visitors", "share"], id="frequency"),
        pytest.param("hours", ["weekday", "hour", "page_views", "visits", "share"], id="hours"),
    ],
)
def test_a_csv_equals_the_api(reader: TestClient, audience: Tracker, name: str, columns: list[str]) -> None:
    """A download has the API's own values, unrounded, under its own names."""
    found = getattr(audience.statistics, name)(FIRST, UNTIL)
    expected = [
        {each: "" if (value := getattr(row, each)) is None else str(value) for each in columns}
        for row in found.rows
    ]
    assert rows_of(reader.get(f"/table/{name}.csv?{QUERY}")) == expected


def test_money_has_a_column_for_each_currency(reader: TestClient, audience: Tracker) -> None:
    """The revenue of each day, and of the day it is compared with, is exact."""
    found = audience.statistics.series("revenue", FIRST, UNTIL, compare="previous")
    shown = rows_of(reader.get(f"/table/revenue.csv?{QUERY}"))
    assert [row["value_EUR"] for row in shown] == [str((row.value or {}).get("EUR", "")) for row in found.rows]  # type: ignore[union-attr]


def test_all_tables_can_be_downloaded(reader: TestClient) -> None:
    """Every picture of the overview has a table and a CSV."""
    links = re.findall(r'href="(/table/[^"]+)"', reader.get("/").text)
    assert len(links) == 11
    for link in links:
        assert len(rows_of(reader.get(link.replace("&amp;", "&")))) > 0, link


def test_no_alias_is_on_the_page(reader: TestClient) -> None:
    """The overview is about nobody in particular."""
    assert ALIAS not in reader.get("/").text


def test_no_script_and_no_inline_style(reader: TestClient) -> None:
    """Nothing on the page would need an exception in the Content-Security-Policy."""
    page = reader.get("/").text
    assert "<script" not in page
    assert " style=" not in page
    assert not re.search(r'(?:src|href)="(?!/|#)', page)


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("first=yesterday", id="no date"),
        pytest.param("first=2026-03-02&last=2026-03-01", id="the last before the first"),
        pytest.param("first=0001-01-01&last=9999-12-31", id="everything"),
        pytest.param("service=another", id="a service that is not shown"),
        pytest.param("channel=telex", id="no channel"),
    ],
)
def test_what_makes_no_sense_is_told(reader: TestClient, query: str) -> None:
    """A wrong question is answered by a page that says so."""
    answer = reader.get(f"/?{query}")
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize(
    ("header", "language"),
    [
        pytest.param("fr-FR,fr;q=0.9,en;q=0.8", "fr", id="French"),
        pytest.param("de,en-GB;q=0.5,fr;q=0.3", "en", id="ours that is wished most"),
        pytest.param("de", "en", id="none of ours"),
        pytest.param("fr;q=x, ,;q=", "en", id="nonsense"),
        pytest.param("fr;q=0,en;q=0.1", "en", id="one refused"),
    ],
)
def test_it_speaks_the_reader_s_language(reader: TestClient, header: str, language: str) -> None:
    """The browser's wish decides, as long as the reader has not chosen."""
    assert f'<html lang="{language}">' in reader.get("/", headers={"Accept-Language": header}).text


def test_french_numbers(reader: TestClient, audience: Tracker) -> None:
    """Numbers and money are written the French way."""
    page = reader.get(f"/?{QUERY}", headers={"Accept-Language": "fr"}).text
    revenue = audience.statistics.summary(FIRST, UNTIL).revenue["EUR"]
    assert f"{revenue:.2f}".replace(".", ",") + "\xa0€" in page
