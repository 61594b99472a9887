"""Upkeep: the oldest stale day is rolled up in quiet moments, for a small part of the time."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from alias_middleware import Tracker
from alias_middleware.errors import StorageUnavailable
from alias_middleware.rollups.model import Days
from alias_middleware.storage.base import Answer, Batch, Question, Scope
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.testing.histories import SHOP, Teller, local_day
from alias_middleware.upkeep import Upkeep
from tests.support.site import ALIAS, Clock
from tests.support.waiting import wait_until

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
FIRST = local_day("2026-03-02")


class Watched(SQLiteStorage):
    """A storage whose questions take a time that is set, or fail."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"sqlite:///{path}")
        self.now_us = 0
        self.takes_us = SECOND_US
        self.asked: list[int] = []
        self.looks = 0
        self.down = False

    def stale(self) -> Sequence[tuple[Scope, Days]]:
        self.looks += 1
        if self.down:
            raise StorageUnavailable("no answer", reason="down")
        return super().stale()

    def rollups(self, asked: Sequence[Question]) -> list[Answer]:
        self.now_us += self.takes_us
        self.asked += [first for each in asked for first, _ in each.periods]
        return super().rollups(asked)

    def see(self, *days: int) -> None:
        tell = Teller()
        self.apply(Batch(entries=[tell.view(f"2026-03-0{2 + day}T12:00") for day in days]))


@pytest.fixture
def storage(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "alias.db")


@pytest.fixture
def upkeep(storage: Watched) -> Upkeep:
    return Upkeep(storage, now=lambda: storage.now_us)


def test_the_oldest_first_for_a_twentieth_of_the_time(storage: Watched, upkeep: Upkeep) -> None:
    """While more is stale, what a day took is rested twenty times; then for a minute."""
    storage.see(0, 1, 2)
    upkeep.turn()
    assert storage.asked == [], "not in a process's first minute"
    storage.now_us += MINUTE_US
    upkeep.turn()
    assert storage.asked == [FIRST]
    storage.now_us += 20 * SECOND_US - 1
    upkeep.turn()
    assert storage.asked == [FIRST]
    storage.now_us += 1
    upkeep.turn()
    assert storage.asked == [FIRST, FIRST + 1]
    storage.now_us += 20 * SECOND_US
    upkeep.turn()
    storage.see(2)
    storage.now_us += MINUTE_US - 1
    upkeep.turn()
    assert storage.asked == [FIRST, FIRST + 1, FIRST + 2]
    storage.now_us += 1
    upkeep.turn()
    assert storage.asked == [FIRST, FIRST + 1, FIRST + 2, FIRST + 2]
    assert storage.stale() == []


def test_a_slow_day_is_rested_for_longer(storage: Watched, upkeep: Upkeep) -> None:
    """A day that takes ten seconds is not made again every minute."""
    storage.takes_us = 10 * SECOND_US
    storage.see(0)
    storage.now_us += MINUTE_US
    upkeep.turn()
    storage.see(0)
    storage.now_us += 200 * SECOND_US - 1
    upkeep.turn()
    assert storage.asked == [FIRST]


def test_a_clock_set_back_stops_nothing(storage: Watched, upkeep: Upkeep) -> None:
    """It is time at once then."""
    storage.see(0)
    storage.now_us = -1
    upkeep.turn()
    assert storage.asked == [FIRST]


def test_a_clock_set_forward_meanwhile_stops_nothing(storage: Watched, upkeep: Upkeep) -> None:
    """A roll-up that seems to have taken years is rested for an hour."""
    storage.takes_us = 20 * 365 * 24 * 60 * MINUTE_US
    storage.see(0, 1)
    storage.now_us += MINUTE_US
    upkeep.turn()
    storage.now_us += 60 * MINUTE_US - 1
    upkeep.turn()
    assert storage.asked == [FIRST]
    storage.now_us += 1
    upkeep.turn()
    assert storage.asked == [FIRST, FIRST + 1]


def test_where_nothing_can_be_kept_it_is_tried_once_a_minute(storage: Watched, upkeep: Upkeep) -> None:
    """A folder is in the place of the file: days stay stale, and are not made over and over."""
    storage.see(0, 1)
    storage.path.with_name(storage.path.name + "-figures").mkdir()
    storage.takes_us = 1
    storage.now_us += MINUTE_US
    upkeep.turn()
    storage.now_us += 20
    upkeep.turn()
    assert storage.asked == [FIRST, FIRST + 1]
    storage.now_us += MINUTE_US - 1
    upkeep.turn()
    assert storage.asked == [FIRST, FIRST + 1]


def test_what_changes_all_the_time_has_nobody_wait(storage: Watched, upkeep: Upkeep) -> None:
    """A site that is never without an event, and another whose same day comes behind the one that goes on."""
    tell = Teller()
    storage.apply(Batch(entries=[tell.view("2026-03-02T12:00"), tell.of(origin=SHOP).view("2026-03-02T12:00")]))
    for _ in range(10):
        storage.now_us += MINUTE_US
        storage.apply(Batch(entries=[tell.view("2026-03-02T12:00")]))
        upkeep.turn()
    assert [scope.service for scope, _ in storage.stale()] in ([], ["news"])
    assert storage.asked.count(FIRST) > 2, "it had its turns, too"


def test_a_day_that_cannot_be_made_has_nobody_wait(
    storage: Watched, upkeep: Upkeep, caplog: pytest.LogCaptureFixture
) -> None:
    """An order of the first day is damaged: that is said once for all rounds, and the days after it are made."""
    tell = Teller()
    storage.apply(Batch(entries=[tell.purchase("2026-03-02T12:00", "A")]))
    storage.see(1, 2)
    with closing(sqlite3.connect(storage.path)) as sql, sql:
        sql.execute("UPDATE events SET body = x'00' WHERE kind = 'p'")
    for _ in range(5):
        storage.now_us += MINUTE_US
        upkeep.turn()
    assert [days for _, days in storage.stale()] == [(FIRST, FIRST + 1)]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_failure_is_logged_once(storage: Watched, upkeep: Upkeep, caplog: pytest.LogCaptureFixture) -> None:
    """Until it works again; it is tried once a minute."""
    caplog.set_level(logging.WARNING)
    storage.see(0)
    storage.down = True
    for _ in range(3):
        storage.now_us += MINUTE_US
        upkeep.turn()
        upkeep.turn()
    assert (storage.looks, storage.asked) == (3, [])
    assert [record.getMessage() for record in caplog.records] == [
        "roll-ups are not kept up, so questions have more to do: "
        "StorageUnavailable: the storage is unavailable (down): no answer"
    ]
    storage.down = False
    storage.now_us += MINUTE_US
    upkeep.turn()
    assert storage.asked == [FIRST]


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., AbstractContextManager[Tracker]]:
    """Makes a site with a clock that stands still."""

    def make(**more: Any) -> AbstractContextManager[Tracker]:
        storage = SQLiteStorage(f"sqlite:///{tmp_path / 'alias.db'}")
        return closing(Tracker(service="s", storage=storage, trusted_gateways=[], **more))

    return make


def test_a_running_site_keeps_them_up(site: Callable[..., AbstractContextManager[Tracker]]) -> None:
    """Nobody asked, and the day is there."""
    clock = Clock()
    with site(writer_interval=0.01, clock=clock) as tracker:
        tracker.visitor(ALIAS).track("look")
        wait_until(tracker.storage.stale, "the event is stored")
        clock.advance(minutes=1)
        wait_until(lambda: not tracker.storage.stale(), "its day is rolled up")


def test_who_drains_beside_the_site_keeps_them_up(site: Callable[..., AbstractContextManager[Tracker]]) -> None:
    """As `alias-middleware drain` does; not after a drain that found much, for more will have come meanwhile."""
    clock = Clock()
    with site(writer="external", clock=clock) as tracker:
        for number, is_left in ((300, True), (100, False)):
            for _ in range(number):
                tracker.visitor(ALIAS).track("look")
            assert tracker.drain()
            clock.advance(minutes=1)
            tracker.rest()
            assert bool(tracker.storage.stale()) is is_left
