from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from alias_middleware import Tracker
from alias_middleware.cli.commands import standalone
from alias_middleware.dashboard.period import Period
from alias_middleware.dashboard.report import report
from tests.dashboard.audience import ALIAS, FIRST, LAST, NOW, UNTIL, fill, make_tracker


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_report_is_one_file(audience: Tracker, language: str) -> None:
    """It asks for nothing, runs nothing, names nobody, and has every figure."""
    page = report(audience, Period(FIRST, UNTIL, None, "news"), language=language, now=NOW)
    assert f'<html lang="{language}">' in page
    assert not re.search(r"<script|<link|<img|url\((?!#)|\bsrc=|href=\"(?!#)", page)
    assert ALIAS not in page
    assert page.count("<svg ") == 9
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    visitors = audience.statistics.summary(FIRST, UNTIL).visitors
    assert f'data-figure="visitors">{visitors}<' in page


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`alias-middleware report` writes the file."""
    url = f"sqlite:///{tmp_path}/alias.db"
    tracker = make_tracker(storage=url)
    fill(tracker, visitors=3)
    tracker.close()
    options = ["--storage", url, "--service", "news", "--reference", "portal", "--since", str(FIRST)]
    out = tmp_path / "report.html"
    result = CliRunner().invoke(
        standalone(), ["report", *options, "--until", str(UNTIL), "-o", str(out)], catch_exceptions=False
    )
    assert (result.exit_code, result.output) == (0, f"Wrote {out}\n")
    assert "Audience of news" in out.read_text()
    empty = CliRunner().invoke(standalone(), ["report", *options, "--until", str(FIRST), "-o", str(out)])
    assert empty.exit_code == 2


def test_a_period_of_one_day(audience: Tracker) -> None:
    """The shortest period has a report, too."""
    page = report(audience, Period(LAST, UNTIL, "web", "*"), language="en", now=NOW)
    assert "all services" in page
