"""The commands, as a publisher types them."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from contextlib import closing
from datetime import date
from pathlib import Path

import click
import pytest

from alias_middleware import Tracker
from alias_middleware.cli.commands import subscriber_of
from alias_middleware.cli.stats import interval
from alias_middleware.statistics.definitions import SUMMARY
from tests.cli.conftest import ALIAS, Run, another_writer, error_line, leave_in_spool

OTHER = "000000000002"
TODAY = date(2026, 3, 15)


@pytest.mark.parametrize(
    ("since", "until", "days", "expected"),
    [
        pytest.param(None, None, None, (date(2026, 2, 14), date(2026, 3, 16)), id="nothing: 30 days with today"),
        pytest.param(None, None, 1, (TODAY, date(2026, 3, 16)), id="one day: today"),
        pytest.param(date(2026, 3, 1), None, None, (date(2026, 3, 1), date(2026, 3, 16)), id="since: up to today"),
        pytest.param(date(2026, 3, 20), None, None, (date(2026, 3, 20), date(2026, 3, 21)), id="since the future"),
        pytest.param(date(2026, 3, 1), None, 7, (date(2026, 3, 1), date(2026, 3, 8)), id="a week from a day"),
        pytest.param(None, date(2026, 3, 1), 7, (date(2026, 2, 22), date(2026, 3, 1)), id="a week before a day"),
        pytest.param(date(2026, 3, 1), date(2026, 3, 1), None, (date(2026, 3, 1),) * 2, id="an empty interval"),
    ],
)
def test_interval_is_completed_from_what_is_said(
    since: date | None, until: date | None, days: int | None, expected: tuple[date, date]
) -> None:
    """Since, until and a number of days make a half-open interval, whichever of them are given."""
    assert interval(since, until, days, TODAY) == expected


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        pytest.param(date(2026, 3, 2), date(2026, 3, 1), None, id="ends before it begins"),
        pytest.param(date(2026, 3, 1), date(2026, 3, 2), 1, id="said twice"),
        pytest.param(date(9999, 12, 31), None, None, id="past the last date"),
        pytest.param(None, date(1, 1, 2), None, id="before the first date"),
    ],
)
def test_impossible_interval_is_refused(since: date | None, until: date | None, days: int | None) -> None:
    """What makes no interval of dates is a usage error."""
    with pytest.raises(click.UsageError):
        interval(since, until, days, TODAY)


def test_stats_prints_each_figure_with_its_definition(database: str, run: Run) -> None:
    """Every figure stands beside its definition, money with its currency."""
    result = run("stats", "--service", "ringtones", "--days", "2")
    assert result.exit_code == 0
    for definition in SUMMARY.values():
        assert definition in result.stdout
    lines = {line.split("  ")[1]: line for line in result.stdout.splitlines() if line.startswith("  ")}
    assert " 1  " in lines["page views"]
    assert " 3.00 EUR  " in lines["revenue"]


def test_stats_as_json_is_exact(database: str, run: Run) -> None:
    """The JSON has the figures, money as exact text, and the definitions."""
    figures = json.loads(run("stats", "--json", ALIAS_SERVICE="ringtones").stdout)
    assert (figures["visitors"], figures["orders"], figures["revenue"]) == (1, 1, {"EUR": "3.00"})
    assert figures["definitions"] == SUMMARY


def test_stats_drains_what_waits_first(database: str, run: Run, tmp_path: Path) -> None:
    """A page view that waits in the spool is in the figures."""
    leave_in_spool(tmp_path / "alias.db-spool")
    figures = json.loads(run("stats", "--json", "--service", "ringtones").stdout)
    assert figures["page_views"] == 2


def test_stats_says_when_something_still_waits(
    database: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another process is the writer and does not get on, the figures come with a note."""
    monkeypatch.setattr("alias_middleware.cli.commands._DRAIN_PATIENCE", 0.01)
    leave_in_spool(tmp_path / "alias.db-spool")
    with another_writer(tmp_path / "alias.db-spool"):
        result = run("stats", "--json", "--service", "ringtones")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["page_views"] == 1
    assert "still wait in the spool" in result.stderr


def test_option_wins_over_environment(database: str, run: Run) -> None:
    """An option is stronger than its environment variable."""
    arguments = ("stats", "--json", "--service", "ringtones", "--zone", "UTC")
    figures = json.loads(run(*arguments, ALIAS_SERVICE="other", ALIAS_ZONE="Asia/Tokyo").stdout)
    assert (figures["service"], figures["zone"]) == ("ringtones", "UTC")


def test_visitor_shows_profile_consents_and_history(database: str, run: Run) -> None:
    """What is stored of one visitor is shown, what he typed without its control characters."""
    result = run("visitor", ALIAS, "--service", "ringtones")
    assert result.exit_code == 0
    for part in ("large", "Zoé \\x1b[31m", "settings page", "/welcome", "CMD-1", "1 × rt-1 at 3.00", "sku=rt-1"):
        assert part in result.stdout


def test_visitor_as_json_cuts_the_history(database: str, run: Run) -> None:
    """The JSON is the export, with the latest events only."""
    document = json.loads(run("visitor", ALIAS, "--service", "ringtones", "--limit", "1", "--json").stdout)
    assert document["preferences"] == {"font": "large"}
    assert len(document["history"]) == 1


def test_visitor_under_pseudonym_keys_is_found_by_the_environments_keys(database: str, run: Run) -> None:
    """With ALIAS_PSEUDONYM_KEYS the visitor is looked up under the key that the site keeps him under."""
    keys = ["a pseudonym key of some length"]
    tracker = Tracker(service="games", storage=database, trusted_gateways=[], pseudonym_keys=keys)
    tracker.visitor(ALIAS).profile["font"] = "small"
    tracker.close()
    document = json.loads(run("visitor", ALIAS, "--service=games", "--json", ALIAS_PSEUDONYM_KEYS=keys[0]).stdout)
    assert document["preferences"] == {"font": "small"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["stats"], 2, "service", id="no service"),
        pytest.param(["stats", "--service=x", "--zone=Mars/Olympus"], 2, "zone", id="unknown time zone"),
        pytest.param(["stats", "--service=x", "--storage=nosuch://"], 2, "storage", id="unknown storage"),
        pytest.param(["stats", "--service=x", "--storage=memory://"], 2, "own process", id="storage in memory"),
        pytest.param(["stats", "--service=x", "--days=0"], 2, "--days", id="no days"),
        pytest.param(["stats", "--service=x", "--since=yesterday"], 2, "--since", id="no date"),
        pytest.param(
            ["stats", "--service=x", "--storage=sqlite:////proc/no.db"], 1, "no /proc/no.db", id="no such file"
        ),
        pytest.param(["visitor", "--service=x", "33612345678"], 2, "no alias", id="no alias"),
        pytest.param(["keys", "--count=0"], 2, "--count", id="no keys"),
        pytest.param(["drain", "--once", "--storage=sqlite:////proc/x.db"], 1, "/proc", id="spool not writable"),
        pytest.param(["gateway", "--upstream=http://a", "--alias=12"], 2, "12 digits", id="gateway: no alias"),
        pytest.param(["gateway", "--upstream=ftp://a", f"--alias={ALIAS}"], 2, "--upstream", id="no site"),
        pytest.param(
            ["gateway", "--upstream=http://a", f"--alias={ALIAS}", "--listen=8080"], 2, "--listen", id="no address"
        ),
        pytest.param(
            ["gateway", "--upstream=http://a", f"--alias={ALIAS}", "--listen=192.0.2.1:0"],
            1,
            "address",
            id="gateway: not our address",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    database: str, run: Run, arguments: list[str], code: int, said: str
) -> None:
    """A wrong command or setting exits with 2, a failure with 1; a line on stderr says why, without alias."""
    result = run(*arguments)
    assert result.exit_code == code
    assert said in error_line(result)
    assert "33612345678" not in result.output
    assert result.stdout == ""


def test_corrupt_database_is_a_failure(database: str, run: Run, tmp_path: Path) -> None:
    """A database that is none exits with 1 and one line."""
    (tmp_path / "alias.db").write_bytes(b"no database" * 1000)
    result = run("stats", "--service", "ringtones")
    assert result.exit_code == 1
    assert "SQLite" in error_line(result)
    assert len(result.stderr.splitlines()) == 1


def test_looking_at_a_mistyped_path_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    """`stats` on a path without a database creates none."""
    run("stats", "--service", "ringtones", "--storage", f"sqlite:///{tmp_path}/typo.db")
    assert os.listdir(tmp_path) == []


def test_drain_once_moves_what_waits(database: str, run: Run, tmp_path: Path) -> None:
    """After `drain --once` the storage has every event; no service need be named."""
    leave_in_spool(tmp_path / "alias.db-spool")
    counters = json.loads(run("drain", "--once", "--json").stdout)
    assert (counters["stored"], counters["spooled"]) == (4, 0)
    with closing(sqlite3.connect(tmp_path / "alias.db")) as sql:
        assert sql.execute("SELECT service FROM services").fetchall() == [("ringtones",)]


def test_drain_once_waits_for_the_writer_there_is(
    database: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another process is the writer, `drain --once` gives it time, and fails when it does not get on."""
    monkeypatch.setattr("alias_middleware.cli.commands._ONCE_PATIENCE", 0.01)
    leave_in_spool(tmp_path / "alias.db-spool")
    with another_writer(tmp_path / "alias.db-spool"):
        result = run("drain", "--once")
    assert result.exit_code == 1
    assert "another process" in error_line(result)


def test_drain_takes_a_spool_of_its_own_folder(run: Run, tmp_path: Path) -> None:
    """--spool names the folder that is drained."""
    leave_in_spool(tmp_path / "elsewhere")
    result = run(
        "drain", "--once", f"--storage=sqlite:///{tmp_path}/a.db", f"--spool={tmp_path}/elsewhere", "--json"
    )
    assert json.loads(result.stdout)["stored"] == 1


def test_keys_are_fresh_and_long_enough(run: Run) -> None:
    """Each key is another, and good as a secret."""
    made = run("keys", "--count", "3").stdout.split()
    made += json.loads(run("keys", "--count", "2", "--json").stdout)
    assert len(set(made)) == 5
    assert all(len(key) >= 43 for key in made)
    Tracker(service="x", trusted_gateways=[], secret_keys=made)


@pytest.mark.parametrize(
    ("aliases", "named", "expected"),
    [
        pytest.param((ALIAS,), None, ALIAS, id="the only one"),
        pytest.param((ALIAS,), OTHER, ALIAS, id="the only one, whatever is said"),
        pytest.param((ALIAS, OTHER), None, ALIAS, id="the first, when nothing is said"),
        pytest.param((ALIAS, OTHER), OTHER, OTHER, id="the one named"),
        pytest.param((ALIAS, OTHER), "1", None, id="nobody of that name"),
    ],
)
def test_gateway_names_the_subscriber(aliases: tuple[str, ...], named: str | None, expected: str | None) -> None:
    """With one alias every phone is it; with several the request says which, and the first is the default."""
    headers = {} if named is None else {"x-simulated-subscriber": named}
    assert subscriber_of(aliases)("127.0.0.1", headers) == expected


def test_help_names_exit_codes_and_environment(run: Run) -> None:
    """The help tells the exit codes, and each option's environment variable and default."""
    assert "Exit codes: 0 done; 1" in run("--help").stdout
    text = " ".join(run("stats", "--help").stdout.split())
    for name in ("STORAGE", "SERVICE", "REFERENCE", "SPOOL", "ZONE"):
        assert f"ALIAS_{name}" in text
    assert "sqlite:///alias.db" in text


def test_commands_leave_no_thread_behind(database: str, run: Run) -> None:
    """A command starts no writer of its own accord."""
    before = threading.active_count()
    run("stats", "--service", "ringtones")
    assert threading.active_count() == before


def test_verify_names_every_difference(database: str, run: Run) -> None:
    """All is well with code 0; what does not equal the raw events is named, with code 1."""
    assert "Everything equals the raw events" in run("verify", "--service", "ringtones").stdout
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as sql, sql:
        sql.execute("UPDATE arrivals SET day = day + 1")
        sql.execute("INSERT INTO category_sums VALUES ('ringtones', 'knitting', 1, 1)")
    found = run("verify", "--service", "ringtones", "--json")
    named = json.loads(found.stdout)
    assert (found.exit_code, named[0]["what"]) == (1, "arrivals")
    assert (named[-1]["what"], named[-1]["category"]) == ("category sums", "knitting")
    shown = run("verify", "--service", "ringtones").stdout
    assert "Differences from the raw events" in shown
    assert ALIAS not in shown
