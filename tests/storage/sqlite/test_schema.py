"""Files that earlier versions made: brought up to date when they are opened, with everything that is in them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from alias_middleware.storage.base import Batch
from alias_middleware.storage.chronicle import Chronicle, encode_chronicle
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.storage.sqlite.schema import HISTORY, migrate
from alias_middleware.testing._contract_case import known
from alias_middleware.testing.histories import KEY, NEWS, Teller, instant

_BEFORE_CHRONICLES = 5
_BEFORE_LIVE_TIMES = 11


def test_visitors_of_an_older_file_keep_what_is_known_of_them(tmp_path: Path) -> None:
    """Their numbers too; whoever comes next gets another."""
    sql = sqlite3.connect(tmp_path / "alias.db", isolation_level=None)
    migrate(sql, "main", HISTORY[:_BEFORE_CHRONICLES])
    knowledge = encode_chronicle(Chronicle(first_seen=1, last_seen=2, visits=3, page_views=4))
    sql.execute("INSERT INTO visitors VALUES (?, ?, 7, 0, ?, x'')", (NEWS.namespace, KEY, knowledge))
    sql.close()
    storage, tell = SQLiteStorage(f"sqlite:///{tmp_path}/alias.db"), Teller()
    assert known(storage, NEWS.namespace, KEY).visits == 3
    other = tell.of(key="200000000002")
    storage.apply(Batch(entries=[tell.view("2026-03-02T12:00"), other.view("2026-03-02T12:00")]))
    assert known(storage, NEWS.namespace, KEY).page_views == 5
    storage.close()
    sql = sqlite3.connect(tmp_path / "alias.db")
    assert sql.execute("SELECT key, id FROM visitors ORDER BY id").fetchall() == [(KEY, 7), (other.key, 8)]
    assert sql.execute("SELECT visitor FROM chronicles").fetchall() == [(7,), (8,)]
    sql.close()


def test_live_page_views_of_an_older_file_are_never_taken_for_a_log(tmp_path: Path) -> None:
    """Live recording was said to begin with the first that came: those stored from before may be live as well."""
    sql = sqlite3.connect(tmp_path / "alias.db", isolation_level=None)
    migrate(sql, "main", HISTORY[:_BEFORE_LIVE_TIMES])
    sql.execute("INSERT INTO live VALUES (?, ?)", (NEWS.service, instant("2026-03-02T14:00")))
    sql.close()
    with closing(SQLiteStorage(f"sqlite:///{tmp_path}/alias.db")) as storage:
        for hour in (12, 11):
            outcome = storage.apply(Batch(entries=[Teller().view(f"2026-03-02T{hour}:00")]))
            assert (outcome.stored, outcome.taken_back) == (1, 0)
        assert storage.live_since(NEWS.service) == instant("2026-03-02T14:00")
