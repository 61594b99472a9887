"""`import log --replace-live`: the log stands for its time, and whatever is no page view stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from alias_middleware import Item, Tracker
from alias_middleware.cli.commands import standalone
from alias_middleware.imports.logs import Times
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.testing.histories import instant
from alias_middleware.testing.simulated_log import FIRST_DAY, GATEWAY, log_lines
from alias_middleware.testing.simulation import PATTERNS, Life

SPAN = date(2026, 1, 1), date(2026, 4, 1)
LINE = '10.12.0.1 - - [02/Mar/2026:{} +0100] "GET {} HTTP/1.1" 200 1 "-" "Phone/1" "mUserAlias:314522927347"\n'


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SQLiteStorage]:
    opened = SQLiteStorage(f"sqlite:///{tmp_path}/alias.db")
    yield opened
    opened.close()


def command(tmp_path: Path, path: Path, *more: str, storage: str = "alias.db") -> list[str]:
    named = ["--storage", f"sqlite:///{tmp_path}/{storage}", "--service", "simulated"]
    categories = [f"--category={pattern}={name}" for pattern, name in PATTERNS.items()]
    return ["import", "log", str(path), *named, "--trusted-gateway", "10.12.0.0/16", *categories, *more]


def imported(tmp_path: Path, path: Path, *more: str) -> dict[str, int]:
    result: Result = CliRunner().invoke(standalone(), command(tmp_path, path, *more), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = [text.split() for text in result.stdout.splitlines()[2:]]
    return {" ".join(cells[1:-1]): int(cells[-1]) for cells in rows}


def tracker_on(storage: SQLiteStorage) -> Tracker:
    return Tracker(
        service="simulated", storage=storage, trusted_gateways=[GATEWAY], categories=PATTERNS, writer="external"
    )


def recorded(tracker: Tracker, times: list[str]) -> None:
    """Have page views recorded live; they wait in the spool."""
    for time in times:
        visitor = tracker.visitor("314522927347")
        visitor.begun_us = instant(f"2026-03-02T{time}")
        visitor.show("/live")


def test_the_log_stands_for_its_time(tmp_path: Path, storage: SQLiteStorage) -> None:
    """From its first page view to the end of its last second; orders stay, what waits in a spool goes."""
    path = tmp_path / "access.log"
    path.write_text(LINE.format("12:00:00", "/sport/1") + LINE.format("12:10:00", "/sport/2"))
    tracker = tracker_on(storage)
    recorded(tracker, ["11:59:59.9", "12:00:00.2", "12:05:00", "12:10:00.9", "12:10:01"])
    with tracker.visitor("314522927347") as visitor:
        visitor.begun_us = instant("2026-03-02T12:05:00")
        visitor.purchase("CMD-1", [Item("rt-1", "Ringtone", price=Decimal(3))], currency="EUR")
    assert tracker.flush()
    recorded(tracker, ["12:00:30"])
    found = imported(tmp_path, path, "--replace-live")
    assert (found["live page views replaced"], found["stored"]) == (3, 2)
    assert tracker.flush()
    knowledge = tracker.visitor("314522927347").profile
    assert (knowledge.page_views, knowledge.orders) == (4, 1)
    assert [row.path for row in tracker.statistics.pages(*SPAN).rows] == ["/live", "/sport/1", "/sport/2"]
    counters: dict[str, Any] = tracker.counters()
    assert counters["dropped"] == {"replaced": 1}
    assert counters["seen"] == counters["stored"] + counters["deduplicated"] + 1
    again = imported(tmp_path, path, "--replace-live")
    assert (again["live page views replaced"], again["read"]) == (0, 0)
    tracker.close()


def test_a_spool_that_comes_after_the_log(tmp_path: Path, storage: SQLiteStorage) -> None:
    """Another machine was live before the first: its page views count, and not the log's lines of them."""
    path = tmp_path / "access.log"
    times = ["11:00:00", "12:00:00", "12:05:00", "12:10:00"]
    path.write_text("".join(LINE.format(time, f"/sport/{time}") for time in times))
    tracker = tracker_on(storage)
    recorded(tracker, ["12:10:00.7"])
    assert tracker.flush()
    found = imported(tmp_path, path)
    assert (found["stored"], found["left out: live"]) == (3, 1)  # a log tells whole seconds
    recorded(tracker, ["12:00:00.4", "12:05:00.1"])
    assert tracker.flush()
    rows = tracker.statistics.pages(*SPAN).rows
    assert [(row.path, row.page_views) for row in rows] == [("/live", 3), ("/sport/11:00:00", 1)]
    counters: dict[str, Any] = tracker.counters()
    assert (counters["seen"], counters["stored"], counters["dropped"]) == (6, 4, {"live": 2})
    assert tracker.statistics.verify(*SPAN) == []
    again = imported(tmp_path, path, "--replace-live")
    assert (again["live page views replaced"], again["known already"], again["stored"]) == (3, 1, 3)
    tracker.close()


def test_lines_refused_before_are_read_again(tmp_path: Path, storage: SQLiteStorage) -> None:
    """A log that was imported without the option had its lines of the live time left out."""
    path = tmp_path / "access.log"
    path.write_text(LINE.format("11:00:00", "/sport/1") + LINE.format("12:10:00", "/sport/2"))
    tracker = tracker_on(storage)
    recorded(tracker, ["12:00:00"])
    assert tracker.flush()
    assert imported(tmp_path, path)["left out: live"] == 1
    found = imported(tmp_path, path, "--replace-live")
    assert (found["live page views replaced"], found["known already"], found["stored"]) == (1, 1, 1)
    tracker.close()


def test_logs_of_two_servers(tmp_path: Path, storage: SQLiteStorage) -> None:
    """The second log takes away nothing of the first one's."""
    tracker = tracker_on(storage)
    recorded(tracker, ["12:00:00", "12:01:00"])
    assert tracker.flush()
    for name, times in (("one", ["12:00:00", "12:20:00"]), ("other", ["12:01:00", "12:30:00"])):
        (tmp_path / name).write_text("".join(LINE.format(time, "/sport/1") for time in times))
    assert imported(tmp_path, tmp_path / "one", "--replace-live")["live page views replaced"] == 2
    assert imported(tmp_path, tmp_path / "other", "--replace-live")["live page views replaced"] == 0
    assert tracker.visitor("314522927347").profile.page_views == 4
    tracker.close()


def test_a_log_without_pages_replaces_nothing(tmp_path: Path, storage: SQLiteStorage) -> None:
    """It stands for no time."""
    path = tmp_path / "access.log"
    path.write_text("nonsense\n")
    assert imported(tmp_path, path, "--replace-live")["live page views replaced"] == 0


KILLED = """
import os, sys
from alias_middleware.cli.commands import standalone
from alias_middleware.imports import run
from alias_middleware.storage.sqlite import SQLiteStorage, replacement
run.BATCH_LINES, replacement._AT_ONCE = 50, 10
where, left = sys.argv.pop(1), 3
def killing(verb):
    def kill_at_third(*arguments):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), 9)
        return verb(*arguments)
    return kill_at_third
if where == "sweeping":
    replacement._Withdrawal.carry_out = killing(replacement._Withdrawal.carry_out)
else:
    SQLiteStorage.apply = killing(SQLiteStorage.apply)
standalone().main(prog_name="alias-middleware")
"""


@pytest.mark.parametrize("where", ["sweeping", "importing"])
def test_killed_and_begun_again(tmp_path: Path, storage: SQLiteStorage, where: str) -> None:
    """Given again, it ends where one that nobody killed does: at the log, no more and no less."""
    path = tmp_path / "access.log"
    lines = list(log_lines(Life(subscribers=60, days=20, seed=3, first_day=FIRST_DAY)))
    path.write_text("".join(lines))
    tracker = tracker_on(storage)
    for line in lines[::2]:
        visitor = tracker.visitor(line.rpartition(":")[2][:12])
        visitor.begun_us = _time_of(line)
        visitor.show(line.split('"')[1].split()[1])
    assert tracker.flush()
    arguments = command(tmp_path, path, "--replace-live")
    killed = subprocess.run([sys.executable, "-c", KILLED, where, *arguments], check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    imported(tmp_path, path, "--replace-live")
    alone = CliRunner().invoke(standalone(), command(tmp_path, path, storage="alone.db"), catch_exceptions=False)
    assert alone.exit_code == 0
    other = SQLiteStorage(f"sqlite:///{tmp_path}/alone.db")
    expected = tracker_on(other)
    assert tracker.statistics.summary(*SPAN) == expected.statistics.summary(*SPAN)
    assert tracker.statistics.pages(*SPAN, top=None) == expected.statistics.pages(*SPAN, top=None)
    assert tracker.statistics.visitors(limit=99) == expected.statistics.visitors(limit=99)
    assert storage.verify(SPAN[0].toordinal(), SPAN[1].toordinal()) == []
    for each in (tracker, expected):
        each.close()
    other.close()


def _time_of(line: str) -> int:
    moment = Times().clf(line.partition("[")[2].partition("]")[0].encode())
    assert moment is not None
    return moment


def test_a_storage_that_cannot_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is read."""
    monkeypatch.setattr(SQLiteStorage, "abilities", SQLiteStorage.abilities._replace(replaces=False))
    path = tmp_path / "access.log"
    path.write_text(LINE.format("12:00:00", "/sport/1"))
    result = CliRunner().invoke(standalone(), command(tmp_path, path, "--replace-live"))
    assert (result.exit_code, "replaces nothing" in result.stderr) == (2, True)
