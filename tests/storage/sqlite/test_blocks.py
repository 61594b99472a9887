"""Blocks of days: what they cover, that figures made of them are the same, and that they keep nobody erased."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from alias_middleware.rollups.model import Days
from alias_middleware.storage.base import Batch, Difference
from alias_middleware.storage.sqlite import SQLiteStorage, blocks
from alias_middleware.storage.sqlite.blocks import BLOCK_DAYS, Cover, cover, marks_of
from alias_middleware.storage.sqlite.figures import FiguresFile, Rolled
from alias_middleware.storage.sqlite.marks import ServiceDay
from alias_middleware.testing._contract_case import counted
from alias_middleware.testing._contract_figures import FiguresContract
from alias_middleware.testing.histories import KEY, NEWS, Teller, local_day

FIRST = local_day("2026-03-02")
BEGIN = -(-FIRST // BLOCK_DAYS) * BLOCK_DAYS
"""The first day of a block after the first day."""

LATE = BEGIN + 2 * BLOCK_DAYS
NOON_US = 12 * 3600 * 1_000_000


def noon(day: int) -> int:
    return (day - local_day("1970-01-01")) * 24 * 3600 * 1_000_000 + NOON_US


def path_of(storage: SQLiteStorage) -> Path:
    return storage.path.with_name(storage.path.name + "-figures")


def kept(storage: SQLiteStorage) -> list[int]:
    """The numbers of days and blocks that are kept."""
    sql = sqlite3.connect(path_of(storage))
    numbers = [number for (number,) in sql.execute("SELECT day FROM days ORDER BY day")]
    sql.close()
    return numbers


@pytest.fixture
def told(sqlite_storage: SQLiteStorage) -> SQLiteStorage:
    """Two visitors over three blocks: one in the first only."""
    tell = Teller()
    other = tell.of(key="200000000002")
    days = [BEGIN, BEGIN + 3, BEGIN + BLOCK_DAYS, LATE]
    entries = [tell.view(noon(days[0]), path="/only/his", category="music"), tell.purchase(noon(days[1]), "A")]
    entries += [other.view(noon(day), category="news") for day in days]
    sqlite_storage.apply(Batch(entries=entries))
    return sqlite_storage


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        pytest.param((0, 3), Cover([], [1, 2]), id="within one block"),
        pytest.param((32, 96), Cover([-3, -2], []), id="whole blocks"),
        pytest.param((0, 64), Cover([-2, -1], []), id="from the first day of all on"),
        pytest.param((2, 65), Cover([-2], [2, 64]), id="days before and after"),
        pytest.param((64, 200), Cover([-4, -3], [130]), id="but for the block of the last day"),
        pytest.param((500, 600), Cover([], []), id="nothing there"),
    ],
)
def test_a_period_is_covered_once(period: Days, expected: Cover) -> None:
    """By whole blocks that have ended, and by the days besides."""
    assert cover(period, [1, 2, 33, 64, 99, 130]) == expected


def test_nothing_covers_nothing() -> None:
    """Where nothing was recorded."""
    assert cover((0, 1000), []) == Cover([], [])


def test_a_blocks_mark_is_of_its_days() -> None:
    """It changes with each of them, and with none of others."""
    held = {(1, 33): 5, (1, 34): 6, (2, 33): 5, (1, 70): 7}
    marks = marks_of(held)
    assert marks.keys() == {(1, -2), (2, -2), (1, -3)}
    changed = marks_of({**held, (1, 34): 8})
    assert {block for block in marks if marks[block] != changed[block]} == {(1, -2)}


def test_blocks_are_kept_and_used(told: SQLiteStorage) -> None:
    """Of the days before the last block only; a late event makes the block of its day anew."""
    assert counted(told, "news", BEGIN, LATE + 1).page_views == 5
    ended = {blocks.number_of(BEGIN), blocks.number_of(BEGIN + BLOCK_DAYS)}
    assert {number for number in kept(told) if number < 0} == ended
    sql = sqlite3.connect(path_of(told), isolation_level=None)
    sql.execute("DELETE FROM sections WHERE day >= 0 AND day < ?", (LATE,))
    sql.close()
    assert counted(told, "news", BEGIN, LATE + 1).page_views == 5
    told.apply(Batch(entries=[Teller(ids=iter([99])).view(noon(BEGIN + 5))]))
    assert counted(told, "news", BEGIN, LATE + 1).page_views == 6


def test_days_come_one_by_one_into_a_block(told: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """All their pages at once would be much for a worker of a site, whose writer makes blocks as well."""
    find = FiguresFile.find
    together: list[list[int]] = []

    def watched(self: FiguresFile, marks: Mapping[ServiceDay, int], *rest: Any) -> dict[ServiceDay, Rolled]:
        together.append([day for _, day in marks])
        return find(self, marks, *rest)

    monkeypatch.setattr(FiguresFile, "find", watched)
    assert counted(told, "news", BEGIN, BEGIN + BLOCK_DAYS + 1).page_views == 4
    one_by_one = [BEGIN + BLOCK_DAYS, blocks.number_of(BEGIN), BEGIN, BEGIN + 3]
    assert [days for days in together if days] == [[day] for day in one_by_one]


def test_nothing_of_the_erased_is_in_a_block(told: SQLiteStorage) -> None:
    """The blocks of his days go with him, at once; the others stay."""
    assert counted(told, "news", BEGIN, LATE + 1).visitors == 2
    told.erase(NEWS.namespace, KEY, 1)
    assert {number for number in kept(told) if number < 0} == {blocks.number_of(BEGIN + BLOCK_DAYS)}
    assert b"/only/his" not in path_of(told).read_bytes()
    assert counted(told, "news", BEGIN, LATE + 1).visitors == 1


def test_a_wrong_block_is_named(told: SQLiteStorage) -> None:
    """By its first day."""
    assert counted(told, "news", BEGIN, LATE + 1).visitors == 2
    assert told.verify(BEGIN, LATE + 1) == []
    sql = sqlite3.connect(path_of(told), isolation_level=None)
    other = "SELECT body FROM sections WHERE section = 'pages' AND channel = 'sms' AND day < 0"
    sql.execute(f"UPDATE sections SET body = ({other}) WHERE section = 'pages' AND channel = 'web' AND day < 0")
    sql.close()
    named = [Difference("pages", "news", day, "web") for day in (BEGIN, BEGIN + BLOCK_DAYS)]
    assert sorted(told.verify(BEGIN, LATE + 1)) == named
    assert told.verify(BEGIN + 1, LATE) == [named[1]]


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_the_same_by_blocks(
    seed: int, sqlite_storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random histories, whose days make many small blocks."""
    monkeypatch.setattr(blocks, "BLOCK_DAYS", 2)
    FiguresContract().test_random_histories_equal_the_reference(sqlite_storage, seed)
