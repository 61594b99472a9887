"""What commands show as CSV, for a spreadsheet: exact values under the names of their columns."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import click
import pytest

from alias_middleware import Tracker
from alias_middleware.cli.commands import standalone
from tests.cli.conftest import ALIAS, Run

SERVICE = "--service=ringtones"
TABULAR = {"stats", "visitor", "verify", "import", "simulate"}


def records(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def commands_of(group: click.Command, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    found = [path] if path else []
    for name, each in getattr(group, "commands", {}).items():
        found += commands_of(each, (*path, name))
    return found


SHOWING = [path for path in commands_of(standalone(), ()) if path[0] in TABULAR and path != ("import",)]


@pytest.mark.parametrize("path", SHOWING, ids=" ".join)
def test_figures_and_history_come_in_every_form(path: tuple[str, ...]) -> None:
    """Each of these commands takes --json or --csv, and not both."""
    command: click.Command = standalone()
    for name in path:
        command = getattr(command, "commands", {})[name]
    assert {"--json", "--csv"} <= {option for param in command.params for option in param.opts}


def test_a_visitors_history_as_csv(database: str, run: Run) -> None:
    """A row for each event, the newest first; whatever an event has stands in a column of its own."""
    result = run("visitor", ALIAS, SERVICE, "--zone", "Europe/Paris", "--csv")
    assert (result.exit_code, result.stderr) == (0, "")
    rows = records(result.stdout)
    assert [row["time"] for row in rows] == sorted((row["time"] for row in rows), reverse=True)
    of_type = {row["type"]: row for row in rows}
    page, order, download = of_type["PageView"], of_type["Purchase"], of_type["TrackedEvent"]
    assert (page["path"], page["channel"], page["order_id"]) == ("/welcome", "web", "")
    assert (order["order_id"], order["currency"]) == ("CMD-1", "EUR")
    assert [(item["sku"], item["price"]) for item in json.loads(order["items"])] == [("rt-1", "3.00")]
    assert (download["name"], json.loads(download["properties"])) == ("download", {"sku": "rt-1"})
    moment = datetime.fromisoformat(page["time"])
    assert moment.utcoffset() is not None
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 300
    assert len(records(run("visitor", ALIAS, SERVICE, "--limit", "1", "--csv").stdout)) == 1


def test_a_refund_in_a_history_as_csv(database: str, run: Run) -> None:
    """Money in units of its currency; a refund of the whole order has no sum."""
    tracker = Tracker(service="ringtones", storage=database, trusted_gateways=[], raise_errors=True)
    with tracker.visitor(ALIAS) as visitor:
        visitor.refund("CMD-1", amount=Decimal("0.50"))
    tracker.close()
    newest, *_ = records(run("visitor", ALIAS, SERVICE, "--csv").stdout)
    assert (newest["type"], newest["order_id"], newest["refunded"]) == ("Refund", "CMD-1", "0.50")


def test_of_a_stranger_there_is_the_header(database: str, run: Run) -> None:
    """So that what reads it finds its columns; it is said on stderr that there is nothing."""
    result = run("visitor", "000000000042", SERVICE, "--csv")
    assert result.stdout.startswith("time,type,channel,path")
    assert len(result.stdout.splitlines()) == 1
    assert "Nothing is stored" in result.stderr


def test_a_spreadsheet_takes_no_title_for_a_formula(database: str, run: Run) -> None:
    """A page may be called anything, by anyone who links to it."""
    tracker = Tracker(service="ringtones", storage=database, trusted_gateways=[], raise_errors=True)
    with tracker.visitor(ALIAS) as visitor:
        visitor.page(title='=HYPERLINK("x")')
        visitor.show("/welcome")
    tracker.close()
    assert records(run("visitor", ALIAS, SERVICE, "--csv").stdout)[0]["title"] == '\'=HYPERLINK("x")'


def test_differences_as_csv(database: str, run: Run) -> None:
    """The header alone where all is well, a row for what differs where not; the exit code is 1 as ever."""
    well = run("verify", SERVICE, "--csv")
    assert (well.exit_code, well.stdout.splitlines()) == (
        0,
        ["what,service,day,channel,visitor,namespace,category"],
    )
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as sql, sql:
        sql.execute("UPDATE arrivals SET day = day + 1")
    found = run("verify", SERVICE, "--csv")
    rows = records(found.stdout)
    assert found.exit_code == 1
    assert [(row["what"], row["channel"]) for row in rows] == [("arrivals", "")]


def test_an_import_as_csv(database: str, run: Run, tmp_path: Path) -> None:
    """What became of each file's lines."""
    orders = tmp_path / "orders.csv"
    orders.write_text(
        "alias,order_id,time,currency,amount\n"
        f"{ALIAS},CMD-7,2026-03-02T12:00:00+01:00,EUR,1.00\n"
        f"{ALIAS},CMD-8,yesterday,EUR,1.00\n"
    )
    rows = records(run("import", "purchases", str(orders), SERVICE, "--csv").stdout)
    told = {row["what"]: int(row["lines"]) for row in rows}
    assert {row["file"] for row in rows} == {"orders.csv"}
    assert (told["read"], told["stored"], told["left out: unreadable"]) == (3, 1, 1)


def test_a_simulation_as_csv_and_json(run: Run, tmp_path: Path) -> None:
    """How much was made up, and where it is."""
    log, orders = tmp_path / "life.log", tmp_path / "life.csv"
    small = ["simulate", "--subscribers", "200", "--days", "5", "--visits", "0.3"]
    result = run(*small, "--log", str(log), "--purchases", str(orders), "--csv")
    found = {row["what"]: (int(row["number"]), row["where"]) for row in records(result.stdout)}
    assert found == {
        "page views": (len(log.read_text().splitlines()), str(log)),
        "orders": (len(records(orders.read_text())), str(orders)),
    }
    assert found["orders"][0] > 0
    document = json.loads(run(*small, "--log", str(log), "--json").stdout)
    assert document == [{"what": "page views", "number": found["page views"][0], "where": str(log)}]


def test_a_simulation_writes_no_file_twice(run: Run, tmp_path: Path) -> None:
    """The second would be written over the first."""
    file = str(tmp_path / "life")
    result = run("simulate", "--subscribers", "20", "--days", "2", "--log", file, "--truth", file)
    assert (result.exit_code, "a file of its own" in result.stderr) == (2, True)
    assert list(tmp_path.glob("life*")) == []
