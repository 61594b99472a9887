"""The truth that a simulated life tells of itself, and what its log says: they must be of one mind."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from alias_middleware.cli.commands import standalone
from alias_middleware.testing.simulated_log import FIRST_DAY, log_lines, truth_lines
from alias_middleware.testing.simulation import RHYTHMS, WEEK, Life, busyness

_LINE = re.compile(r'\[(?P<time>[^\]]+)\] "GET (?P<path>\S+) .*"mUserAlias:(?P<alias>\d{12})"')
_YEARS = 2 * 364
OFTEN = 20

Lines = dict[str, list[dict[str, Any]]]
Views = list[tuple[str, datetime, str]]


def simulate(*arguments: str) -> str:
    result = CliRunner().invoke(standalone(), ["simulate", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def by_kind(lines: Iterable[str]) -> Lines:
    found: Lines = defaultdict(list)
    for line in lines:
        told = json.loads(line)
        found[told.pop("kind")].append(told)
    return found


def views_of(lines: Iterable[str]) -> Views:
    """Alias, local time and category ("" for the front page) of each line of a log."""
    found = []
    for line in lines:
        match = _LINE.search(line)
        assert match, line
        time = datetime.strptime(match["time"], "%d/%b/%Y:%H:%M:%S %z")
        found.append((match["alias"], time, match["path"].strip("/").partition("/")[0]))
    return found


@pytest.fixture(scope="module")
def life() -> Life:
    """Two years of many, so that chance evens out."""
    return Life(subscribers=1500, days=_YEARS, seed=11, first_day=FIRST_DAY, visits_a_day=0.06)


@pytest.fixture(scope="module")
def truth(life: Life) -> Lines:
    return by_kind(truth_lines(life))


@pytest.fixture(scope="module")
def views(life: Life) -> Views:
    return views_of(log_lines(life))


def test_the_command_writes_it_beside_log_and_orders(tmp_path: Path) -> None:
    """One life in three files: who is in the log is in the truth, and each order is in both."""
    log, orders, truth = (tmp_path / name for name in ("life.log", "life.csv", "life.jsonl"))
    small = ["--subscribers", "80", "--days", "30", "--visits", "0.4", "--seed", "4"]
    simulate(*small, "--log", str(log), "--purchases", str(orders), "--truth", str(truth))
    told = by_kind(truth.read_text().splitlines())
    assert {kind: len(found) for kind, found in told.items() if kind in ("subscriber", "day", "rhythm")} == {
        "subscriber": 80,
        "day": 30,
        "rhythm": len(RHYTHMS),
    }
    assert {alias for alias, *_ in views_of(log.read_text().splitlines())} <= {
        each["alias"] for each in told["subscriber"]
    }
    with orders.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("alias", "order_id", "amount", "currency", "category")
    assert [[row[name] for name in names] for row in rows] == [
        [each[name] for name in names] for each in told["purchase"]
    ]
    assert len(rows) > 5


def test_truth_alone_records_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs no log and no storage; with a storage the life is recorded there as without it."""
    truth = tmp_path / "life.jsonl"
    small = ["--subscribers", "5", "--days", "2", "--truth", str(truth)]
    monkeypatch.delenv("ALIAS_STORAGE", raising=False)
    assert "events" not in simulate(*small)
    assert truth.exists()
    assert re.search(r"events +\d+ +the storage", simulate(*small, "--storage", f"sqlite:///{tmp_path}/a.db"))


def test_planted_interests_are_what_is_looked_at_most(truth: Lines, views: Views) -> None:
    """Of those who came often nearly everybody looked most at a category that was planted."""
    favoured = {each["alias"]: each["favoured"] for each in truth["subscriber"]}
    looked: dict[str, Counter[str]] = defaultdict(Counter)
    for alias, _, category in views:
        looked[alias][category] += bool(category)
    often = {alias: counts for alias, counts in looked.items() if counts.total() >= OFTEN}
    found = [counts.most_common(1)[0][0] in favoured[alias] for alias, counts in often.items()]
    assert len(found) > 500
    assert sum(found) >= 0.95 * len(found)


def test_nobody_comes_before_his_time_or_after(truth: Lines, views: Views) -> None:
    """A visit may go on a little after the last midnight."""
    stays = {each["alias"]: (each["since"], each["until"]) for each in truth["subscriber"]}
    for alias, time, _ in views:
        since, until = (date.fromisoformat(day) for day in stays[alias])
        assert since <= time.date(), alias
        assert (time - timedelta(hours=1)).date() < until, alias


def test_refunds_are_of_orders(truth: Lines) -> None:
    """Of the same subscriber's, and later."""
    orders = {each["order_id"]: each for each in truth["purchase"]}
    assert truth["refund"]
    for each in truth["refund"]:
        assert each["alias"] == orders[each["order_id"]]["alias"]
        assert each["time_us"] > orders[each["order_id"]]["time_us"]


@pytest.mark.parametrize(
    "group",
    [pytest.param(lambda day: day.weekday(), id="weekdays"), pytest.param(lambda day: day.month, id="seasons")],
)
def test_days_are_as_busy_as_they_are_said_to_be(truth: Lines, views: Views, group: Any) -> None:
    """Pages of each group of days are in proportion to who is there and to how busy the days are."""
    said = {date.fromisoformat(each["day"]): each["busyness"] for each in truth["day"]}
    there: Counter[date] = Counter()
    for each in truth["subscriber"]:
        since, until = date.fromisoformat(each["since"]), date.fromisoformat(each["until"])
        there.update(since + timedelta(days=number) for number in range((until - since).days))
    expected: Counter[int] = Counter()
    seen: Counter[int] = Counter(group(time.date()) for _, time, _ in views if time.date() in said)
    for day, factor in said.items():
        expected[group(day)] += there[day] * factor
    pages = seen.total() / sum(expected.values())
    strayed = {place: seen[place] / (number * pages) - 1 for place, number in expected.items()}
    assert all(abs(part) < 0.06 for part in strayed.values()), strayed


def test_the_shape_of_the_week_and_of_the_year() -> None:
    """The weekend brings more than Monday, the winter more than the summer; a year has neither gained nor lost."""
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(364)]
    factors = {day: busyness(day) for day in days}
    of_week = [sum(factors[day] for day in days if day.weekday() == number) / 52 for number in range(7)]
    assert of_week == pytest.approx(list(WEEK), rel=0.01)
    winter, summer = (sum(factors[day] for day in days if day.month == month) / 31 for month in (1, 7))
    assert winter / summer == pytest.approx(1.2 / 0.8, rel=0.03)
    assert sum(factors.values()) / len(days) == pytest.approx(sum(WEEK) / 7, rel=0.01)


def test_hours_are_those_of_the_rhythm(truth: Lines, views: Views) -> None:
    """Each rhythm's pages by the hour; a visit that goes on into the next hour moves a few."""
    rhythm = {each["alias"]: each["rhythm"] for each in truth["subscriber"]}
    seen = [Counter[int]() for _ in RHYTHMS]
    for alias, time, _ in views:
        seen[rhythm[alias]][time.hour] += 1
    assert [each["hours"] for each in truth["rhythm"]] == [list(hours) for hours in RHYTHMS]
    for number, hours in enumerate(RHYTHMS):
        shares = [seen[number][hour] / seen[number].total() - hours[hour] / sum(hours) for hour in range(24)]
        assert max(map(abs, shares)) < 0.015, (number, shares)
