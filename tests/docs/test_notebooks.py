"""The notebooks of the page about SQL, on a month of a made-up site: they must find what the library finds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from alias_middleware import Tracker
from alias_middleware.testing.simulated_log import FIRST_DAY, PastClock, play, simulated_tracker
from alias_middleware.testing.simulation import Life
from tests.support.pages import DOCS, Block, blocks
from tests.support.reader import run_python
from tests.support.real import require_module

DAYS = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the database of the page's service, and of another service's pages in it."""
    made = tmp_path_factory.mktemp("site")
    for service in ("sonneries", "elsewhere"):
        clock = PastClock()
        tracker = simulated_tracker(clock, service=service, storage=f"sqlite:///{made}/alias.db")
        play(Life(subscribers=40, days=DAYS, seed=6, first_day=FIRST_DAY, visits_a_day=0.1), tracker, clock)
        tracker.close()
    return made


@pytest.fixture
def site(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracker]:
    """The service, asked in the folder where the notebook runs."""
    monkeypatch.chdir(folder)
    tracker = Tracker(service="sonneries", storage="sqlite:///alias.db", trusted_gateways=[])
    yield tracker
    tracker.close()


def notebook(module: str) -> Block:
    """The page's block of Python that imports a module."""
    page = blocks(DOCS / "howto/sql.md")
    [block] = [each for each in page if each.language == "python" and f"import {module}\n" in each.text]
    return block


@pytest.mark.parametrize("module", ["pandas", "polars"])
def test_a_notebook_finds_what_the_library_finds(
    module: str, site: Tracker, capsys: pytest.CaptureFixture[str]
) -> None:
    """Page views of each day on which there were any; the frame is printed."""
    require_module(module)
    names: dict[str, Any] = {}
    run_python(notebook(module), names)
    daily = names["daily"]
    assert list(daily.columns) == ["day", "page_views"]
    found = dict(zip(daily["day"].to_list(), map(int, daily["page_views"].to_list()), strict=True))
    since = FIRST_DAY - timedelta(days=1)
    series = site.statistics.series("page_views", since, since + timedelta(days=DAYS + 30)).rows
    assert {day: number for day, number in found.items() if number} == {
        row.since.isoformat(): row.value for row in series if row.value
    }
    assert sum(found.values()) > 100
    assert all(date.fromisoformat(day) for day in found)
    assert next(iter(found)) in capsys.readouterr().out


@pytest.mark.parametrize("module", ["pandas", "polars"])
def test_a_notebook_writes_nothing(module: str, site: Tracker) -> None:
    """It opens the database read-only."""
    require_module(module)
    names: dict[str, Any] = {}
    text = notebook(module).text.replace("database.close()", "database.execute('DELETE FROM events')")
    with pytest.raises(Exception, match="readonly database"):
        exec(text, names)
    names["database"].close()
