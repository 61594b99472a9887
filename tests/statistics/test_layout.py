"""Every answer can be laid out: each column has a name, a definition and a value in each row."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec
import pytest

from alias_middleware.figures import Statistics
from alias_middleware.settings import make_settings
from alias_middleware.statistics.layout import Answer, document_of, layouts
from alias_middleware.storage.base import Batch
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.testing.histories import Teller

DAYS = date(2026, 3, 1), date(2026, 4, 1)


@pytest.fixture
def statistics() -> Statistics:
    storage = MemoryStorage()
    tell = Teller()
    storage.apply(
        Batch(
            entries=[
                tell.view("2026-03-02T12:00", title="Home", category="news"),
                tell.purchase("2026-03-02T12:01", "A", "3.00"),
                tell.of(key="b").view("2026-03-09T12:00"),
                tell.of(key="b").purchase("2026-03-09T12:01", "B", "2.00", currency="CHF"),
            ]
        )
    )
    named = {"service": "news", "reference": "portal", "trusted_gateways": ["10.0.0.1"], "storage": storage}
    return Statistics(storage, make_settings(named))


def test_money_has_a_column_for_each_currency(statistics: Statistics) -> None:
    """None where a row has nothing in it."""
    (table,) = layouts(statistics.series("revenue", *DAYS, by="week"))
    assert [column.name for column in table.columns] == ["since", "until", "revenue CHF", "revenue EUR"]
    assert [row[2:] for row in table.rows][1:3] == [[None, Decimal(3)], [Decimal(2), None]]


def test_a_triangle_has_a_column_for_each_period(statistics: Statistics) -> None:
    """Later cohorts have fewer."""
    (table,) = layouts(statistics.cohorts(date(2026, 3, 2), date(2026, 3, 16), by="week"))
    assert [row[:4] for row in table.rows] == [[date(2026, 3, 2), 1, 1, 0], [date(2026, 3, 9), 1, 1, None]]


def test_every_answer_is_laid_out(statistics: Statistics) -> None:
    """With a definition for every column, and as JSON."""
    answers: list[Answer] = [
        statistics.summary(*DAYS),
        statistics.series("visitors", *DAYS, compare="previous"),
        statistics.frequency(*DAYS),
        statistics.pages(*DAYS),
        statistics.categories(*DAYS),
        statistics.products(*DAYS),
        statistics.cohorts(),
        statistics.hours(*DAYS),
        statistics.visitors(),
    ]
    for answer in answers:
        for table in layouts(answer):
            assert table.rows
            assert all(column.definition for column in table.columns)
            assert {len(row) for row in table.rows} == {len(table.columns)}
        document = document_of(answer)
        assert msgspec.json.decode(msgspec.json.encode(document)) == document


def test_an_answer_without_rows_names_its_columns(statistics: Statistics) -> None:
    """But for those of currencies and periods, which nothing names: who reads the CSV finds its header."""
    nothing = date(2025, 1, 1), date(2025, 1, 2)
    for answer in (statistics.pages(*nothing), statistics.categories(*nothing), statistics.products(*nothing)):
        (table,) = layouts(answer)
        assert table.rows == []
        assert all(column.definition for column in table.columns)
    assert [column.name for column in table.columns] == ["sku", "name", "quantity", "orders", "buyers"]
    (triangle,) = layouts(statistics.cohorts(*nothing))
    assert [column.name for column in triangle.columns][:1] == ["since"]
