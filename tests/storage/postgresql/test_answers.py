"""Questions that have many days to make."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from itertools import count
from pathlib import Path

import pytest

from alias_middleware.errors import StorageUnavailable
from alias_middleware.storage.base import Batch, Question, Scope
from alias_middleware.storage.postgresql import PostgreSQLStorage, answers
from alias_middleware.storage.postgresql.days import roll_up_day
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.postgresql.sections import Rolled
from alias_middleware.testing.histories import NEWS, Teller
from tests.storage.postgresql.test_schema import opened
from tests.support.postgresql import PostgreSQLServer

_DAYS = range(1, 8)
_FIRST = date(2026, 3, 1).toordinal()
_ASKED = Question(Scope(NEWS.namespace, NEWS.service), [(_FIRST, _FIRST + 7)], ["presence"])


@pytest.fixture
def storage(debian_postgresql: PostgreSQLServer, tmp_path: Path) -> Iterator[PostgreSQLStorage]:
    """A week's history: each day somebody comes for the first time, and once more after he was counted."""
    people = [Teller(key=f"3145229273{day:02}", ids=count(day * 10)) for day in _DAYS]
    with closing(opened(debian_postgresql, tmp_path)) as storage:
        for hour in (12, 13):
            views = [tell.view(f"2026-03-{day:02}T{hour}:00") for day, tell in zip(_DAYS, people, strict=True)]
            storage.apply(Batch(entries=views))
            if hour == 12:
                storage.rollups([_ASKED])
        yield storage


def test_what_was_made_is_kept_when_a_question_is_cut_short(
    storage: PostgreSQLStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks again goes on from there: a year that nobody asked for may take longer than a question has."""
    made: list[int] = []
    most = 5

    def noting(connection: Connection, service: int, day: int, gap_us: int) -> Rolled:
        if len(made) == most:
            raise StorageUnavailable("cut short", reason="timeout")
        rolled = roll_up_day(connection, service, day, gap_us)
        made.append(day - _FIRST)
        return rolled

    monkeypatch.setattr(answers, "_AT_ONCE", 2)
    monkeypatch.setattr(answers, "roll_up_day", noting)
    with pytest.raises(StorageUnavailable):
        storage.rollups([_ASKED])
    assert made == [0, 1, 2, 3, 4]
    made.clear()
    (answer,) = storage.rollups([_ASKED])
    assert sorted(set(made)) == [4, 5, 6]
    assert answer.rollups[0].presence.page_views == 2 * len(_DAYS)


def test_days_in_their_order_need_no_look_at_events_for_numbers(
    storage: PostgreSQLStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes is numbered on the day of his arrival."""
    ids = count(1000)
    later = [Teller(key=f"314522928{day:03}", ids=ids).view(f"2026-03-{day:02}T14:00") for day in _DAYS]
    storage.apply(Batch(entries=later))
    monkeypatch.delattr(answers, "give_numbers")
    (answer,) = storage.rollups([_ASKED])
    assert len(answer.rollups[0].presence.visitors) == 2 * len(_DAYS)


def test_who_came_on_a_day_that_nobody_asked_for_is_counted_too(storage: PostgreSQLStorage) -> None:
    """He is no newcomer of the day that is rolled up first."""
    tell = Teller(key="314522929001", ids=count(2000))
    storage.apply(Batch(entries=[tell.view("2026-02-20T12:00"), tell.view("2026-03-02T15:00")]))
    newcomer = Teller(key="314522929002", ids=count(3000))
    storage.apply(Batch(entries=[newcomer.view("2026-03-02T15:00")]))
    (answer,) = storage.rollups([_ASKED])
    assert len(answer.rollups[0].presence.visitors) == len(_DAYS) + 2


def test_a_long_question_about_people_who_came_before_it_is_answered_at_once(
    storage: PostgreSQLStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part of it has newcomers, and others who came on days that nobody asked for."""
    for day in _DAYS:
        known = Teller(key=f"3145229290{day:02}", ids=count(2000 + 10 * day))
        newcomer = Teller(key=f"3145229291{day:02}", ids=count(3000 + 10 * day))
        views = [known.view("2026-02-20T12:00"), known.view(f"2026-03-{day:02}T15:00")]
        storage.apply(Batch(entries=[*views, newcomer.view(f"2026-03-{day:02}T15:00")]))
    monkeypatch.setattr(answers, "_AT_ONCE", 1)
    (answer,) = storage.rollups([_ASKED])
    assert len(answer.rollups[0].presence.visitors) == 3 * len(_DAYS)


def test_a_question_about_days_that_never_rest_is_answered(
    storage: PostgreSQLStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many services' today: each changes again while the others are rolled up. What was kept is no use then."""
    made: list[int] = []
    tell = Teller(key="314522927301", ids=count(4000))

    def going_on(connection: Connection, service: int, day: int, gap_us: int) -> Rolled:
        made.append(day)
        assert len(made) < 10 * len(_DAYS)
        rolled = roll_up_day(connection, service, day, gap_us)
        second = f"{len(made) // 60:02}:{len(made) % 60:02}"
        storage.apply(Batch(entries=[tell.view(f"{date.fromordinal(day)}T20:{second}")]))
        return rolled

    monkeypatch.setattr(answers, "_AT_ONCE", 2)
    monkeypatch.setattr(answers, "roll_up_day", going_on)
    (answer,) = storage.rollups([_ASKED])
    assert answer.rollups[0].presence.page_views >= 2 * len(_DAYS)
