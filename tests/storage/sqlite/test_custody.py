"""Erasures replayed on a restored backup, and what is left in the files after erase and purge."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alias_middleware.errors import StorageCorrupt
from alias_middleware.profile import StoredProfile
from alias_middleware.storage.base import Batch
from alias_middleware.storage.custody import Cut
from alias_middleware.storage.erasure_log import ErasureLog
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.testing._contract_erasure import populate
from alias_middleware.testing.histories import KEY, NEWS, Teller, instant, local_day

SPACE = NEWS.namespace
ERASED = instant("2026-03-03T12:00")
OTHER = "200000000002"
_RESTORED = ("alias.db", "alias.db-preferences")


@contextmanager
def opened(folder: Path, *keys: bytes) -> Iterator[SQLiteStorage]:
    storage = SQLiteStorage(f"sqlite:///{folder}/alias.db", secret_keys=keys)
    yield storage
    storage.close()


def back_up(folder: Path, to: Path) -> None:
    """Copy the two files that hold data; everything is in them when the storage is closed."""
    to.mkdir(exist_ok=True)
    for name in _RESTORED:
        shutil.copy(folder / name, to / name)


def restore(backup: Path, folder: Path) -> None:
    """Put the two files back, without the logs of those that they replace."""
    for name in _RESTORED:
        for suffix in ("-wal", "-shm"):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)
        shutil.copy(backup / name, folder / name)


def test_a_restored_backup_is_brought_up_to_date(tmp_path: Path) -> None:
    """Who was erased since is erased again, also under a key that came since; everybody else stays."""
    site, backup = tmp_path / "site", tmp_path / "backup"
    site.mkdir()
    keys = [b"f" * 32, b"s" * 32]
    with opened(site, keys[0]) as storage:
        for key in (KEY, OTHER, "300000000003"):
            populate(storage, Teller(key=key, ids=iter(range(int(key), int(key) + 9))))
    back_up(site, backup)
    with opened(site, keys[0]) as storage:
        storage.erase(SPACE, KEY, ERASED)
    with opened(site, *keys) as storage:
        storage.erase(SPACE, OTHER, ERASED + 1)
        storage.erase(SPACE, "a stranger", ERASED + 2)
    restore(backup, site)
    with opened(site, *keys) as storage:
        custody = storage.custody()
        assert storage.history(SPACE, KEY, 9) != []
        assert custody.replay_erasures(dry_run=True) == {"logged": 3, "replayed": 3}
        assert storage.history(SPACE, KEY, 9) != []
        gone = custody.replay_erasures(dry_run=False)
        assert (gone["logged"], gone["replayed"], gone["visitors"], gone["profiles"]) == (3, 3, 2, 2)
        for number, key in enumerate([KEY, OTHER, "a stranger"]):
            assert storage.read_profile(SPACE, key) == StoredProfile()
            assert storage.erased_at(SPACE, key) == ERASED + number
            early = Teller(key=key, ids=iter([number])).view("2026-03-02T12:00")
            assert storage.apply(Batch(entries=[early])).dropped == {"erased": 1}
        assert storage.read_profile(SPACE, "300000000003") != StoredProfile()
        assert custody.replay_erasures(dry_run=False) == {"logged": 3, "replayed": 0}


def test_the_log_tells_nobodys_name(sqlite_storage: SQLiteStorage) -> None:
    """It is its owner's only, and has hashes, no keys."""
    sqlite_storage.erase(SPACE, KEY, ERASED)
    log = sqlite_storage.path.with_name("alias.db-erasures")
    assert log.stat().st_mode & 0o777 == 0o600
    assert KEY.encode() not in log.read_bytes()


def test_a_torn_line_spoils_no_other(tmp_path: Path) -> None:
    """Of a line that a full disk cut short nothing is read; the next stands by itself."""
    log = ErasureLog(tmp_path / "log")
    assert log.latest() == {}
    log.append("a", b"1", b"k", 1)
    with (tmp_path / "log").open("ab") as file:
        file.write(b'["a","3')
    log.append("a", b"2", b"l", 2)
    log.append("a", b"1", b"k", 3)
    assert log.latest() == {("a", b"1"): 3, ("a", b"2"): 2}
    assert log.marks() == {b"k", b"l"}


def test_a_replay_needs_the_keys_of_the_day(tmp_path: Path) -> None:
    """Without them nobody would be recognised, and never again be looked for."""
    site, backup = tmp_path / "site", tmp_path / "backup"
    site.mkdir()
    with opened(site, b"f" * 32) as storage:
        populate(storage, Teller())
    back_up(site, backup)
    with opened(site, b"f" * 32) as storage:
        storage.erase(SPACE, KEY, ERASED)
    restore(backup, site)
    for keys in ((), (b"another key of the same length..",)):
        with opened(site, *keys) as storage, pytest.raises(StorageCorrupt, match="ALIAS_SECRET_KEYS"):
            storage.custody().replay_erasures(dry_run=False)
    with opened(site, b"f" * 32) as storage:
        assert storage.custody().replay_erasures(dry_run=False)["visitors"] == 1


@pytest.mark.parametrize("rounds", [pytest.param(1, id="few visitors"), pytest.param(120, id="pages that split")])
def test_no_byte_is_left_after_erase_and_purge(tmp_path: Path, rounds: int) -> None:
    """Not in a table, a free page, a log or a figure: of neither who was erased nor who was forgotten."""
    with opened(tmp_path) as storage:
        for number in range(rounds):
            for key in (KEY, OTHER, f"4{number:011d}"):
                populate(
                    storage, Teller(key=key, ids=iter(range(number * 9 + int(key), number * 9 + int(key) + 9)))
                )
        storage.rollups([])
        storage.apply(Batch(entries=[Teller(key="5", ids=iter([1])).view("2026-05-02T12:00")]))
        storage.erase(SPACE, KEY, ERASED)
        idle = local_day("2026-04-01")
        cut = Cut(raw_before=idle, idle_since_day=idle, idle_since_us=instant("2026-04-01T00:00"))
        storage.custody().purge(SPACE, cut, dry_run=False)
        for key in (KEY, OTHER, "400000000000"):
            assert [path.name for path in tmp_path.iterdir() if key.encode() in path.read_bytes()] == []
        assert storage.history(SPACE, "5", 9) != []
