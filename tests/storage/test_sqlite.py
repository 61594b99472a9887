"""The SQLite storage keeps the contract, in files named by its URL, whatever happens between two commits."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from alias_middleware.errors import SettingsError
from alias_middleware.storage.base import Batch, LateChange, Span, Storage
from alias_middleware.storage.sqlite import SQLiteStorage, fold
from alias_middleware.testing._contract_profiles import op, preferences
from alias_middleware.testing.histories import NEWS, Teller, change
from alias_middleware.testing.storage_contract import (
    CustodyContract,
    MovingContract,
    RotationContract,
    SharedOutboxContract,
    StorageContract,
)

NOON = "2026-03-02T12:00"


class TestSQLiteStorage(StorageContract, SharedOutboxContract, CustodyContract, MovingContract, RotationContract):
    """The whole contract."""

    def make_storage(self, tmp_path: Path, *, secret_keys: Sequence[bytes] = ()) -> Storage:
        return opened(tmp_path, secret_keys=secret_keys)


def opened(folder: Path, *, secret_keys: Sequence[bytes] = ()) -> SQLiteStorage:
    return SQLiteStorage(f"sqlite:///{folder}/alias.db", secret_keys=secret_keys)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        pytest.param("sqlite:///alias.db", "alias.db", id="relative"),
        pytest.param("sqlite:////var/lib/site/alias.db", "/var/lib/site/alias.db", id="absolute"),
        pytest.param("sqlite:///a%20b.db", "a b.db", id="quoted"),
    ],
)
def test_its_url_names_a_file(url: str, path: str) -> None:
    """Three slashes are relative, four absolute; the spool is beside the file."""
    storage = SQLiteStorage(url)
    assert storage.path == Path(path)
    assert storage.spool_folder == Path(path + "-spool")


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///", "sqlite://alias.db", "sqlite:///:memory:", "sqlite:///a/", "sqlite:///a?b=1"],
)
def test_a_url_without_file_is_refused(url: str) -> None:
    """The error shows both right forms."""
    with pytest.raises(SettingsError, match=r"sqlite:///alias\.db"):
        SQLiteStorage(url)


def test_nothing_is_made_before_it_is_used(tmp_path: Path) -> None:
    """Naming a storage in the settings touches no file."""
    opened(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_fails_in_the_middle_applies_late_changes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Preferences commit before history; what was between the two when it broke does not count twice."""
    storage = opened(tmp_path)
    late = LateChange(NEWS.namespace, change(op("increment", "f", 1), at=NOON), 1)
    batch = Batch(entries=[Teller().view(NOON)], changes=[late], spans={"s": Span(0, 9)})
    with monkeypatch.context() as broken:
        broken.setattr(fold.Fold, "fold", _fail)
        with pytest.raises(RuntimeError, match="in the middle"):
            storage.apply(batch)
    assert preferences(storage) == {"f": 1}
    assert storage.ledger().positions == {}
    assert storage.apply(batch).stored == 1
    assert preferences(storage) == {"f": 1}
    storage.close()


def _fail(*arguments: object) -> None:
    raise RuntimeError("in the middle")


def test_applied_changes_leave_no_trace(tmp_path: Path) -> None:
    """The ids of late changes are forgotten once their positions are committed."""
    storage = opened(tmp_path)
    late = LateChange(NEWS.namespace, change(op("increment", "f", 1), at=NOON), 1)
    storage.apply(Batch(changes=[late], spans={"s": Span(0, 9)}))
    storage.close()
    assert rows(tmp_path / "alias.db-preferences", "SELECT count(*) FROM applied") == [(0,)]


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    sql = sqlite3.connect(path)
    try:
        return sql.execute(query).fetchall()
    finally:
        sql.close()


def test_a_batch_does_not_hold_up_preferences(tmp_path: Path) -> None:
    """While the writer's transaction is open, requests change and read profiles."""
    storage = opened(tmp_path)
    storage.apply(Batch(entries=[Teller().view(NOON)]))
    writer = sqlite3.connect(tmp_path / "alias.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert storage.change_profile(NEWS.namespace, change(op("set", "f", 1), at=NOON), timeout=0) == 0
    assert preferences(storage) == {"f": 1}
    writer.execute("ROLLBACK")
    writer.close()
    storage.close()


def _increment(folder: Path, times: int) -> None:
    storage = opened(folder)
    for _ in range(times):
        storage.change_profile(NEWS.namespace, change(op("increment", "f", 1), at=NOON), timeout=60)
    storage.close()


def test_processes_that_begin_together_lose_nothing(tmp_path: Path) -> None:
    """The first use in several processes at once makes the files once, and every increment counts."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_increment, args=(tmp_path, 20)) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 6
    storage = opened(tmp_path)
    assert preferences(storage) == {"f": 120}
    storage.close()


def test_a_child_opens_its_own_connections(tmp_path: Path) -> None:
    """After a fork the parent's connections are left alone, and both go on."""
    storage = opened(tmp_path)
    storage.change_profile(NEWS.namespace, change(op("set", "f", 1), at=NOON), timeout=5)
    child = multiprocessing.get_context("fork").Process(target=_use_inherited, args=(storage,))
    child.start()
    storage.change_profile(NEWS.namespace, change(op("increment", "f", 1), at=NOON), timeout=60)
    child.join(60)
    assert child.exitcode == 0
    assert preferences(storage) == {"f": 3}
    storage.close()
    assert rows(tmp_path / "alias.db-preferences", "PRAGMA integrity_check") == [("ok",)]


def test_a_parent_that_closes_takes_nothing_from_its_child(tmp_path: Path) -> None:
    """What a child writes after its parent closed is in the files: it holds locks of its own."""
    storage = opened(tmp_path)
    storage.change_profile(NEWS.namespace, change(op("set", "f", 1), at=NOON), timeout=5)
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_outlive_the_parents_connection, args=(storage, there))
    child.start()
    assert here.recv() == "opened"
    storage.close()
    here.send("closed")
    child.join(60)
    assert child.exitcode == 0
    assert preferences(storage) == {"f": 3}
    storage.close()
    here.close()
    there.close()


def _outlive_the_parents_connection(storage: SQLiteStorage, pipe: Connection) -> None:
    storage.change_profile(NEWS.namespace, change(op("increment", "f", 1), at=NOON), timeout=5)
    pipe.send("opened")
    assert pipe.recv() == "closed"
    storage.change_profile(NEWS.namespace, change(op("increment", "f", 1), at=NOON), timeout=5)
    os._exit(0)


def _use_inherited(storage: SQLiteStorage) -> None:
    storage.change_profile(NEWS.namespace, change(op("increment", "f", 1), at=NOON), timeout=60)
    storage.close()
