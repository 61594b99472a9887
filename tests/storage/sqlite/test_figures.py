"""The file of roll-ups: used while its days have not changed, never in the way, and it keeps nobody erased."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from alias_middleware.rollups.model import SECTIONS
from alias_middleware.statistics.summary import Totals
from alias_middleware.storage.base import Batch, Difference, Question, Scope
from alias_middleware.storage.sqlite import SQLiteStorage, answers
from alias_middleware.storage.sqlite.days import roll_up_day
from alias_middleware.storage.sqlite.figures import Rolled
from alias_middleware.storage.sqlite.pages import ShownPages
from alias_middleware.testing._contract_case import counted
from alias_middleware.testing.histories import KEY, NEWS, Teller, local_day

SPACE = NEWS.namespace
DAY, NEXT = local_day("2026-03-02"), local_day("2026-03-03")
NOON = "2026-03-02T12:00"


@pytest.fixture
def storage(sqlite_storage: SQLiteStorage) -> SQLiteStorage:
    return sqlite_storage


@pytest.fixture
def path(storage: SQLiteStorage) -> Path:
    return storage.path.with_name(storage.path.name + "-figures")


def views(storage: SQLiteStorage) -> int:
    return counted(storage, "news", DAY, NEXT + 1).page_views


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The days that were rolled up from raw events."""
    days: list[int] = []
    original = roll_up_day

    def noting(sql: sqlite3.Connection, service: int, day: int, gap_us: int, pages: ShownPages) -> Rolled:
        days.append(day)
        return original(sql, service, day, gap_us, pages)

    monkeypatch.setattr(answers, "roll_up_day", noting)
    return days


def test_only_days_that_changed_are_made_anew(storage: SQLiteStorage, made: list[int]) -> None:
    """A question reads raw events once; a late event changes its day and the next: a visit may go on there."""
    tell = Teller()
    storage.apply(Batch(entries=[tell.view(NOON), tell.view("2026-03-03T12:00"), tell.view("2026-03-04T12:00")]))
    assert views(storage) == views(storage) == 2
    assert sorted(made) == [DAY, NEXT]
    made.clear()
    storage.apply(Batch(entries=[tell.view("2026-03-02T13:00")]))
    assert views(storage) == 3
    assert sorted(made) == [DAY, NEXT]
    made.clear()
    storage.apply(Batch(entries=[tell.purchase("2026-03-04T12:10", "A")]))
    assert views(storage) == 3
    assert made == []


def test_a_refund_changes_the_day_of_its_order(storage: SQLiteStorage, made: list[int]) -> None:
    """Whenever it comes."""
    tell = Teller()
    storage.apply(Batch(entries=[tell.purchase(NOON, "A")]))
    assert counted(storage, "news", DAY, NEXT).cancelled_orders == 0
    storage.apply(Batch(entries=[tell.refund("2026-03-09T12:00", "A")]))
    made.clear()
    assert counted(storage, "news", DAY, NEXT).cancelled_orders == 1
    assert made == [DAY]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


def test_it_is_never_in_the_way(storage: SQLiteStorage, path: Path) -> None:
    """Locked, deleted, damaged or no file at all: the figures are the same."""
    tell = Teller()
    storage.apply(Batch(entries=[tell.view(NOON)]))
    assert views(storage) == 1
    storage.apply(Batch(entries=[tell.view("2026-03-02T13:00")]))
    with locked(path):
        assert views(storage) == 2
    path.unlink()
    assert views(storage) == 2
    path.write_bytes(b"no database" * 1000)
    assert views(storage) == views(storage) == 2
    path.unlink(missing_ok=True)
    path.mkdir()
    assert views(storage) == 2


def test_a_damaged_roll_up_is_made_anew(storage: SQLiteStorage, path: Path) -> None:
    """A body that does not decode is no figure."""
    storage.apply(Batch(entries=[Teller().view(NOON)]))
    assert views(storage) == 1
    change(path, "UPDATE sections SET body = x'c1'")
    assert views(storage) == 1


def change(path: Path, statement: str) -> None:
    sql = sqlite3.connect(path, isolation_level=None)
    assert sql.execute(statement).rowcount > 0
    sql.close()


def test_nothing_of_the_erased_is_kept(storage: SQLiteStorage, path: Path) -> None:
    """The roll-ups of his days go with him, at once; those of other days stay."""
    tell = Teller()
    other = tell.of(key="200000000002")
    storage.apply(Batch(entries=[tell.view(NOON, path="/only/his"), other.view("2026-03-03T12:00")]))
    assert views(storage) == 2
    storage.erase(SPACE, KEY, 1)
    sql = sqlite3.connect(path)
    assert sql.execute("SELECT DISTINCT day FROM sections").fetchall() == [(NEXT,)]
    sql.close()
    assert b"/only/his" not in path.read_bytes()
    assert b"/only/his" not in storage.path.read_bytes()
    assert counted(storage, "news", DAY, NEXT) == Totals(erased=1)


def test_differences_are_named(storage: SQLiteStorage, path: Path) -> None:
    """What was kept of a day, a visitor's row and arrivals are compared with the raw events."""
    storage.apply(Batch(entries=[Teller().view(NOON)]))
    assert views(storage) == 1
    assert storage.verify(DAY, NEXT) == []
    other = "SELECT body FROM sections WHERE section = 'hours' AND channel = 'sms'"
    change(path, f"UPDATE sections SET body = ({other}) WHERE section = 'hours' AND channel = 'web'")
    assert storage.verify(DAY, NEXT) == [Difference("hours", "news", DAY, "web")]
    assert storage.verify(NEXT, NEXT + 1) == []
    change(storage.path, "UPDATE chronicles SET knowledge = replace(knowledge, ',1,1,', ',2,1,')")
    change(storage.path, "UPDATE arrivals SET day = day + 1")
    found = storage.verify(NEXT, NEXT + 1)
    assert found == [Difference("knowledge.visits", visitor=1), Difference("arrivals", visitor=1)]
    change(storage.path, "DELETE FROM visitors")
    assert storage.verify(NEXT, NEXT + 1) == [Difference("visitors", visitor=1)]


def test_questions_of_one_call_see_one_moment(storage: SQLiteStorage) -> None:
    """Several questions, several periods, one answer each."""
    tell = Teller()
    storage.apply(Batch(entries=[tell.view(NOON), tell.message("2026-03-03T12:00")]))
    both, sms = (Scope(SPACE, None), Scope(SPACE, "news", "sms"))
    periods = [(DAY, NEXT), (NEXT, NEXT + 1), (DAY, NEXT + 1)]
    found = storage.rollups([Question(scope, periods, SECTIONS) for scope in (both, sms)])
    visitors = [[len(rolled.presence.visitors) for rolled in answer.rollups] for answer in found]
    assert visitors == [[1, 1, 1], [0, 1, 1]]


def test_one_of_a_newer_library_is_made_anew(storage: SQLiteStorage, path: Path) -> None:
    """After a step back to this version; an erasure leaves nothing of it behind."""
    tell = Teller()
    storage.apply(Batch(entries=[tell.view(NOON)]))
    for question in (lambda: views(storage), lambda: storage.erase(SPACE, KEY, 1)):
        with closing(sqlite3.connect(path)) as sql:
            sql.execute("PRAGMA user_version = 99")
        question()
    assert views(storage) == 0


@pytest.mark.parametrize("unusable", ["of another user", "no database", "a newer library's"])
def test_an_erasure_deletes_what_it_cannot_open(storage: SQLiteStorage, path: Path, unusable: str) -> None:
    """Whoever asked for figures as root must not stop the site's erasures, nor the batches that finish them."""
    storage.apply(Batch(entries=[Teller().view(NOON)]))
    assert views(storage) == 1
    if unusable == "of another user":
        path.unlink()
        path.symlink_to(path.parent)  # no mode refuses root, who may run the tests
    elif unusable == "no database":
        path.write_bytes(b"no database" * 1000)
    else:
        with closing(sqlite3.connect(path)) as sql:
            sql.execute("PRAGMA user_version = 99")
    assert storage.erase(SPACE, KEY, 1)["events"] == 1
    assert views(storage) == 0
    storage.apply(Batch())
