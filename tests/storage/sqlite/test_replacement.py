"""Sweeping in the SQLite files: purged and frozen days, crashes, and a writer at the same time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alias_middleware.habits import decode_habits
from alias_middleware.storage.base import Batch
from alias_middleware.storage.custody import Cut
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.testing._contract_case import counted, known
from alias_middleware.testing.histories import KEY, NEWS, Teller, instant, local_day

SPACE = NEWS.namespace
SINCE, UNTIL = instant("2026-03-01T00:00"), instant("2026-03-09T00:00")
DAYS = local_day("2026-02-01"), local_day("2026-04-01")


@pytest.fixture
def storage(sqlite_storage: SQLiteStorage) -> SQLiteStorage:
    return sqlite_storage


def purge(storage: SQLiteStorage, raw: str) -> None:
    cut = Cut(raw_before=local_day(raw), idle_since_day=0, idle_since_us=0)
    storage.custody().purge(SPACE, cut, dry_run=False)


def test_frozen_days_stay(storage: SQLiteStorage) -> None:
    """What a log could not be imported into is not taken out; later days are, and what was purged counts on."""
    tell = Teller()
    times = ["2026-02-01T12:00", "2026-03-02T12:00", "2026-03-03T12:00", "2026-03-06T12:00"]
    storage.apply(Batch(entries=[tell.view(at, category="sport", path="/sport") for at in times]))
    purge(storage, "2026-03-03")
    assert storage.replace_live("news", instant(times[0]), UNTIL) == 1
    left = known(storage, SPACE, KEY)
    assert (left.page_views, left.visits, left.first_seen) == (3, 3, instant(times[0]))
    assert counted(storage, "news", *DAYS).page_views == 3
    log = Batch(entries=[tell.view(times[2]), tell.view(times[3])], imported=True)
    assert storage.apply(log).dropped == {"too_old": 1}
    assert counted(storage, "news", *DAYS).page_views == 4
    assert storage.verify(*DAYS) == []


def test_habits_whose_events_were_purged_are_lessened(storage: SQLiteStorage) -> None:
    """Only what goes is taken out of them: they cannot be worked out anew."""
    tell = Teller()
    views = [
        tell.view("2026-02-01T12:00", category="sport", path="/sport"),
        tell.view("2026-03-06T12:00", category="sport", path="/sport"),
        tell.view("2026-03-06T12:01", category="music", path="/music"),
    ]
    storage.apply(Batch(entries=views))
    purge(storage, "2026-03-01")
    assert storage.replace_live("news", SINCE, UNTIL) == 2
    habits = decode_habits(storage.read_knowledge(SPACE, KEY).partition(b"\n")[2])
    assert {name: strength.pages for name, strength in habits.categories.items()} == {"sport": 1}
    assert habits.pages.keys() == {"/sport"}
    sums = storage.category_sums(SPACE)
    assert sums.keys() == {"sport"}
    assert sums["sport"].recent == pytest.approx(habits.categories["sport"].recent)


def test_many_visitors_are_taken_out_in_parts(storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between them the writer comes to its turn, and remembers nobody as he was."""
    monkeypatch.setattr("alias_middleware.storage.sqlite.replacement._AT_ONCE", 3)
    tell = Teller()
    everybody = [tell.of(key=f"{number:012d}") for number in range(10)]
    days = [f"2026-03-{day:02d}T12:00" for day in (2, 3, 4)]
    storage.apply(Batch(entries=[each.view(day) for each in everybody for day in days]))
    assert storage.replace_live("news", SINCE, UNTIL) == 30
    storage.apply(Batch(entries=[everybody[0].view("2026-03-03T12:00")], imported=True))
    assert counted(storage, "news", *DAYS).page_views == 1
    assert storage.verify(*DAYS) == []


KILLED = """
import os, sys
from alias_middleware.storage.sqlite import SQLiteStorage, replacement
replacement._AT_ONCE = 2
when, path = int(sys.argv[1]), sys.argv[2]
withdraw, done = replacement._Withdrawal._withdraw, 0
def kill_at(self, *row):
    global done
    done += 1
    if done == when:
        os.kill(os.getpid(), 9)
    return withdraw(self, *row)
replacement._Withdrawal._withdraw = kill_at
SQLiteStorage(f"sqlite:///{path}").replace_live("news", int(sys.argv[3]), int(sys.argv[4]))
"""


@pytest.mark.parametrize("when", [1, 4])
def test_a_killed_sweep_is_finished(storage: SQLiteStorage, tmp_path: Path, when: int) -> None:
    """Nothing is taken out by half; live page views stay out meanwhile."""
    tell = Teller()
    everybody = [tell.of(key=f"{number:012d}") for number in range(6)]
    storage.apply(Batch(entries=[each.view("2026-03-02T12:00") for each in everybody]))
    command = [sys.executable, "-c", KILLED, str(when), str(storage.path), str(SINCE), str(UNTIL)]
    killed = subprocess.run(command, check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    assert storage.verify(*DAYS) == []
    left = counted(storage, "news", *DAYS).page_views
    assert left == {1: 6, 4: 4}[when]
    assert storage.apply(Batch(entries=[everybody[0].view("2026-03-02T13:00")])).dropped == {"replaced": 1}
    assert storage.replace_live("news", SINCE, UNTIL) == left
    assert counted(storage, "news", *DAYS).page_views == 0
    assert storage.verify(*DAYS) == []
