"""The short way into the history file leaves there what the general way would."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alias_middleware.habits import decode_habits
from alias_middleware.storage.base import Batch, Entry
from alias_middleware.storage.chronicle import decode_chronicle
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.testing.histories import Teller
from tests.support.usual import batches, differing

_TABLES = ("visitors", "events", "pages", "arrivals", "orders", "refunds", "counters", "category_sums")


def applied(path: Path, history: list[Batch]) -> dict[str, Any]:
    """What the file holds after a history."""
    storage = SQLiteStorage(f"sqlite:///{path}")
    for batch in history:
        storage.apply(batch)
    storage.close()
    sql = sqlite3.connect(path)
    held: dict[str, Any] = {table: sql.execute(f"SELECT * FROM {table}").fetchall() for table in _TABLES}
    held["days"] = sql.execute("SELECT service, day FROM changes").fetchall()
    rows = sql.execute("SELECT visitor, knowledge, habits FROM chronicles").fetchall()
    sql.close()
    held["chronicles"] = {visitor: decode_chronicle(knowledge) for visitor, knowledge, _ in rows}
    held["habits"] = {visitor: msgspec.to_builtins(decode_habits(habits)) for visitor, _, habits in rows}
    return held


@pytest.mark.parametrize("seed", range(8))
def test_both_ways_give_the_same(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, knowledge, habits, counters and days to roll up anew, for events of every kind."""
    history = batches(seed)
    assert differing(monkeypatch, lambda way: applied(tmp_path / f"{way}.db", history)) == []


def test_what_is_in_order_goes_the_short_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of newcomers and of known visitors, orders among their pages too."""
    tell = Teller()
    storage = SQLiteStorage(f"sqlite:///{tmp_path}/alias.db")

    def general(*arguments: object) -> None:
        raise AssertionError("not the short way")

    monkeypatch.setattr("alias_middleware.storage.sqlite.fold.Fold._join", general)
    day: list[list[Entry]] = [
        [tell.view("2026-03-02T12:00"), tell.track("2026-03-02T12:01", "cart", category="music")],
        [tell.view("2026-03-02T12:02"), tell.purchase("2026-03-02T12:03", "A"), tell.view("2026-03-02T12:04")],
        [tell.message("2026-03-02T13:00")],
    ]
    assert [storage.apply(Batch(entries=entries)).stored for entries in day] == [2, 3, 1]
    storage.close()
