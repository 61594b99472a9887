"""What the writer remembers from batch to batch is never older than what the files say."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from alias_middleware.storage.base import Batch
from alias_middleware.storage.sqlite import SQLiteStorage, fold, pages, recollection
from alias_middleware.testing._contract_case import known
from alias_middleware.testing.histories import KEY, NEWS, Teller

SPACE = NEWS.namespace


def opened(folder: Path) -> SQLiteStorage:
    return SQLiteStorage(f"sqlite:///{folder}/alias.db")


def test_two_writers_take_turns(tmp_path: Path) -> None:
    """Each sees what the other wrote since its own last batch."""
    one, other = opened(tmp_path), opened(tmp_path)
    tell = Teller()
    for number, storage in enumerate([one, other, one, one, other]):
        storage.apply(Batch(entries=[tell.view(f"2026-03-02T12:{number:02}", path="/same")]))
    assert known(one, SPACE, KEY).page_views == 5
    for number, storage in enumerate([other, one, other]):
        visitor = tell.of(key=f"{number:012}")
        storage.apply(Batch(entries=[visitor.view("2026-03-02T12:00", path="/same")]))
    assert one.verify(1, 10**6) == []
    assert [event.path for event in one.history(SPACE, f"{2:012}", 9)] == ["/same"]  # type: ignore[attr-defined]
    one.close()
    other.close()


def test_a_batch_that_failed_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its visitors nor the numbers it gave to pages."""
    storage, tell = opened(tmp_path), Teller()
    storage.apply(Batch(entries=[tell.view("2026-03-02T12:00", path="/a")]))
    entries = [tell.view("2026-03-02T12:01", path="/b"), tell.of(key="b").view("2026-03-02T12:01", path="/b")]
    with monkeypatch.context() as broken:
        broken.setattr(fold, "mark_changed", _fail)
        with pytest.raises(RuntimeError, match="at the end"):
            storage.apply(Batch(entries=entries))
    assert storage.apply(Batch(entries=entries)).stored == 2
    assert known(storage, SPACE, KEY).page_views == 2
    assert [event.path for event in storage.history(SPACE, "b", 9)] == ["/b"]  # type: ignore[attr-defined]
    assert storage.verify(1, 10**6) == []
    storage.close()


def _fail(*arguments: object) -> None:
    raise RuntimeError("at the end")


def test_an_erased_visitor_is_forgotten(tmp_path: Path) -> None:
    """His next page begins a new row."""
    storage, tell = opened(tmp_path), Teller()
    storage.apply(Batch(entries=[tell.view("2026-03-02T12:00")]))
    storage.erase(SPACE, KEY, tell.view("2026-03-02T12:30").event.time_us)
    storage.apply(Batch(entries=[tell.view("2026-03-02T13:00")]))
    assert known(storage, SPACE, KEY).page_views == 1
    storage.close()


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many visitors and pages come, the figures are the same."""
    monkeypatch.setattr(recollection, "_MOST_VISITORS", 3)
    monkeypatch.setattr(pages, "_MOST_NUMBERED", 2)
    monkeypatch.setattr(pages, "_MOST_SEEN_ONCE", 10)
    storage, tell = opened(tmp_path), Teller()
    for number in range(12):
        visitors = [tell.of(key=f"{(number + each) % 7:012}") for each in range(4)]
        moment = f"2026-03-02T12:{number:02}"
        entries = [visitor.view(moment, path=f"/{each}") for each, visitor in enumerate(visitors)]
        storage.apply(Batch(entries=entries))
    assert storage.verify(1, 10**6) == []
    assert sum(known(storage, SPACE, f"{each:012}").page_views for each in range(7)) == 48
    assert len(storage._recollection.visitors[SPACE]) <= 3
    storage.close()
    sql = sqlite3.connect(tmp_path / "alias.db")
    assert sql.execute("SELECT count(*) FROM pages").fetchone() == (2,)
    sql.close()


def test_what_one_person_alone_saw_gets_no_number(tmp_path: Path) -> None:
    """It stays in his own rows, which go with him."""
    storage, tell = opened(tmp_path), Teller()
    entries = [tell.view(f"2026-03-02T12:{number:02}", path="/orders/his-own") for number in range(9)]
    storage.apply(Batch(entries=entries))
    storage.close()
    sql = sqlite3.connect(tmp_path / "alias.db")
    assert sql.execute("SELECT count(*) FROM pages").fetchone() == (0,)
    sql.close()
