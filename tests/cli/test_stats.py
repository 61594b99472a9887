"""The figures on the command line: each way to look at them, as a table, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest

from alias_middleware import Tracker
from alias_middleware.cli.commands import standalone
from alias_middleware.events import PageView
from alias_middleware.local_time import to_micros
from alias_middleware.statistics.definitions import SUMMARY
from alias_middleware.storage.base import Batch, Entry, Origin
from tests.cli.conftest import ALIAS, Run
from tests.support.sms import Shop

INTERVAL = ["--since", "2026-03-01", "--until", "2026-03-08"]
COMMANDS = ["summary", "frequency", "pages", "categories", "products", "cohorts", "hours"]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Two visitors of a week in March: one came twice and bought, the other once."""
    made = Shop("sqlite", tmp_path)
    monkeypatch.setenv("ALIAS_STORAGE", f"sqlite:///{tmp_path}/alias.db")
    monkeypatch.setenv("ALIAS_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("ALIAS_SERVICE", "sonneries")
    show(made.tracker, ALIAS, "/=sport", "sport")
    made.buy(ALIAS)
    made.clock.advance(days=1)
    show(made.tracker, ALIAS, "/", None)
    show(made.tracker, "000000000002", "/=sport", "sport")
    made.write(ALIAS, "MENU")
    made.tracker.close()
    return made


def show(tracker: Tracker, alias: str, path: str, category: str | None) -> None:
    """Let a visitor look at a page."""
    with tracker.visitor(alias) as visitor:
        visitor.page(category=category)
        visitor.show(path)


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_way_to_look(shop: Shop, run: Run, command: str) -> None:
    """As a table, as JSON with definitions, as CSV with a header; nothing on stderr."""
    table = run("stats", command, *INTERVAL)
    assert (table.exit_code, table.stderr) == (0, "")
    assert len(table.stdout.splitlines()) > 2
    document = json.loads(run("stats", command, *INTERVAL, "--json").stdout)
    assert all(document["definitions"].values())
    lines = rows(run("stats", command, *INTERVAL, "--csv").stdout)
    assert len({len(line) for line in lines if line}) == 1
    assert len(lines) > 1


def test_a_series_equals_the_api(shop: Shop, run: Run) -> None:
    """By day, beside the week before."""
    text = run("stats", "series", "page_views", *INTERVAL, "--compare", "--csv").stdout
    assert rows(text)[:4] == [
        ["since", "until", "page_views", "previous"],
        ["2026-03-01", "2026-03-02", "0", "0"],
        ["2026-03-02", "2026-03-03", "1", "0"],
        ["2026-03-03", "2026-03-04", "2", "0"],
    ]
    by_week = json.loads(run("stats", "series", "visitors", *INTERVAL, "--by", "week", "--json").stdout)
    assert [row["value"] for row in by_week["rows"]] == [0, 2]


def test_a_channel_and_another_service(shop: Shop, run: Run) -> None:
    """SMS apart from the web; a service without history has none."""
    sms = json.loads(run("stats", "--channel", "sms", *INTERVAL, "--json").stdout)
    assert (sms["visits"], sms["page_views"]) == (1, 0)
    elsewhere = json.loads(run("stats", "summary", "--of", "nowhere", *INTERVAL, "--json").stdout)
    assert elsewhere["visitors"] == 0


def test_a_ranking_is_cut(shop: Shop, run: Run) -> None:
    """`--top` says where; a spreadsheet takes no page for a formula."""
    ranked = rows(run("stats", "pages", *INTERVAL, "--top", "1", "--csv").stdout)
    assert [line[:2] for line in ranked] == [["path", ranked[0][1]], ["/=sport", ranked[1][1]]]
    products = rows(run("stats", "products", *INTERVAL, "--csv").stdout)
    assert products[1][0] == "rt-42"


def test_a_visit_that_went_on_is_called_so(database: str, run: Run) -> None:
    """In a table: begun the day before it counts under 0, which says little; JSON and CSV keep the number."""
    tracker = Tracker(service="ringtones", storage=database, trusted_gateways=[], raise_errors=True)
    gap = Origin("ringtones", "ringtones", 1_800_000_000)
    days = [
        to_micros(datetime(2026, 3, day, hour, minute, tzinfo=UTC))
        for day, hour, minute in [(2, 23, 50), (3, 0, 5)]
    ]
    ordinals = [date(2026, 3, day).toordinal() for day in (2, 3)]
    views = [PageView(ALIAS, us, us, day, "web", "/") for us, day in zip(days, ordinals, strict=True)]
    tracker.storage.apply(Batch(entries=[Entry(gap, view, number) for number, view in enumerate(views, 1)]))
    tracker.close()
    asked = ["stats", "frequency", "--service=ringtones", "--zone=UTC", "--since=2026-03-03", "--until=2026-03-04"]
    lines = [line.split() for line in run(*asked).stdout.splitlines()]
    assert ["continued", "1", "1.0000"] in lines
    assert ["1", "0", "0.0000"] in lines
    assert json.loads(run(*asked, "--json").stdout)["rows"][0]["visits"] == "0"
    assert rows(run(*asked, "--csv").stdout)[1] == ["0", "1", "1.0000"]


def test_cohorts_begin_where_the_history_does(shop: Shop, run: Run) -> None:
    """Without an interval all of it."""
    cohorts = json.loads(run("stats", "cohorts", "--json").stdout)
    assert cohorts["since"] == "2026-03-02"
    assert (
        json.loads(run("stats", "cohorts", "--by", "week", "--days", "7", "--json").stdout)["since"] > "2026-03-02"
    )


def test_one_form_at_a_time(shop: Shop, run: Run) -> None:
    """JSON and CSV at once is a usage error."""
    assert run("stats", "pages", "--json", "--csv").exit_code == 2


def test_csv_of_the_summary_is_exact(shop: Shop, run: Run) -> None:
    """Money has a column for each currency."""
    header, values = rows(run("stats", *INTERVAL, "--csv").stdout)
    found = dict(zip(header, values, strict=True))
    assert (found["visitors"], found["revenue EUR"], found["orders"]) == ("2", "3.00", "1")
    assert set(SUMMARY) - {"revenue", "average_basket", "average_basket_per_client"} <= set(header)


def test_today_is_in_the_figures(database: str, run: Run) -> None:
    """Without an interval: the last 30 days, this one included."""
    today = datetime.now(UTC).date()
    document: dict[str, Any] = json.loads(
        run("stats", "series", "visitors", "--json", ALIAS_SERVICE="ringtones").stdout
    )
    assert document["rows"][-1]["until"] >= str(today)
    assert len(document["rows"]) == 30
    assert today - timedelta(days=31) < datetime.fromisoformat(document["since"]).date()


def test_no_option_of_a_command_is_taken_for_a_setting() -> None:
    """`--of` stood for `--service` as well, so that all services of the namespace were those of one named "*"."""

    def check(command: click.Command, path: str) -> None:
        names = [param.name for param in command.params]
        assert len(set(names)) == len(names), path
        for name, each in getattr(command, "commands", {}).items():
            check(each, f"{path} {name}")

    check(standalone(), "alias-middleware")


def test_all_services_are_those_of_the_namespace(shop: Shop, run: Run) -> None:
    """Of the one that --service names, whichever other --of asks for."""
    asked = ["stats", *INTERVAL, "--json", "--of"]
    found = {name: json.loads(run(*asked, name).stdout)["visitors"] for name in ("*", "sonneries", "nowhere")}
    assert found == {"*": 2, "sonneries": 2, "nowhere": 0}


def test_a_mistyped_service_is_noticed(shop: Shop, run: Run) -> None:
    """Noughts of a service that nobody ever came to are not taken for a quiet week."""
    for arguments in (["stats"], ["stats", "pages", "--of", "sonerie"]):
        told = run(*arguments, *INTERVAL, **({} if "--of" in arguments else {"ALIAS_SERVICE": "sonerie"}))
        assert told.exit_code == 0
        assert "no visitor of the service 'sonerie' was ever recorded; is that its name?" in told.stderr
    for arguments in (["stats"], ["stats", "pages", "--of", "*"]):
        assert "no visitor" not in run(*arguments, *INTERVAL).stderr
