from __future__ import annotations

import csv
import re
from datetime import date
from decimal import Decimal
from io import StringIO

from starlette.testclient import TestClient

from alias_middleware import Tracker
from alias_middleware.dashboard.triangle import Line, Stay, lines_of, table_of_cohorts
from alias_middleware.statistics.cohorts import Cohort

JANUARY, FEBRUARY = date(2026, 1, 1), date(2026, 2, 1)


def test_a_triangle_is_laid_out() -> None:
    """Counts stand before parts, months to come are empty, and reading it row by row gives back what is known."""
    table = table_of_cohorts(
        [
            Cohort(JANUARY, 4, [4, 1], [Decimal(1), Decimal("0.25")]),
            Cohort(FEBRUARY, 0, [0], [None]),
        ]
    )
    assert [column.name for column in table.columns] == [
        *("since", "visitors", "retained_0", "retained_1", "retention_0", "retention_1"),
    ]
    assert table.rows == [(JANUARY, 4, 4, 1, Decimal(1), Decimal("0.25")), (FEBRUARY, 0, 0, None, None, None)]
    assert list(lines_of(table)) == [
        Line(JANUARY, 4, [Stay(4, Decimal(1), 10), Stay(1, Decimal("0.25"), 2)]),
        Line(FEBRUARY, 0, [Stay(0, None, 0)]),
    ]


def test_no_cohort_at_all() -> None:
    """Where nobody was new there is no row."""
    assert table_of_cohorts([]).rows == []


def test_screen_and_csv_are_the_api_s(reader: TestClient, audience: Tracker) -> None:
    """A row for each month from the first with anybody new, a column for each month after it."""
    found = audience.statistics.cohorts(date(2025, 4, 1), date(2026, 4, 1))
    rows = [row for row in found.rows if row.since >= JANUARY]
    table = list(csv.DictReader(StringIO(reader.get("/table/cohorts.csv").text)))
    assert [each["since"] for each in table] == [str(row.since) for row in rows]
    for line, row in zip(table, rows, strict=True):
        assert line["visitors"] == str(row.visitors)
        for month in range(len(rows)):
            known = month < len(row.retained)
            assert line[f"retained_{month}"] == (str(row.retained[month]) if known else "")
            assert line[f"retention_{month}"] == (str(row.retention[month]) if known else "")
    page = reader.get("/", headers={"Accept-Language": "en"}).text
    body = page[page.index('<table class="triangle">') :].partition("<tbody>")[2].partition("</tbody>")[0]
    shown = [re.findall(r"<td[^>]*>(\d+)%?<small>(\d+)", line) for line in body.split("</tr>")]
    assert [[int(number) for _, number in line] for line in shown if line] == [row.retained for row in rows]
    assert body.count('<th scope="row">') == len(rows)
