"""Files that are missing, foreign, locked or newer: what is said, and that recovery needs no new object."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from alias_middleware.errors import StorageCorrupt, StorageUnavailable
from alias_middleware.profile import StoredProfile
from alias_middleware.storage.base import Batch
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.testing._contract_case import counted
from alias_middleware.testing._contract_profiles import op, preferences
from alias_middleware.testing.histories import KEY, NEWS, Teller, change, local_day

NOON = "2026-03-02T12:00"
SPACE = NEWS.namespace


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alias.db"


@pytest.fixture
def storage(path: Path) -> Iterator[SQLiteStorage]:
    storage = SQLiteStorage(f"sqlite:///{path}")
    yield storage
    storage.close()


def set_field(storage: SQLiteStorage, value: int = 1, *, timeout: float = 5) -> None:
    storage.change_profile(SPACE, change(op("set", "f", value), at=NOON), timeout=timeout)


USES: list[Callable[[SQLiteStorage], object]] = [
    set_field,
    lambda storage: storage.apply(Batch(entries=[Teller().view(NOON)])),
    lambda storage: storage.ledger(),
    lambda storage: storage.history(SPACE, KEY, 1),
    lambda storage: counted(storage, "news", 1, 2),
    lambda storage: storage.erase(SPACE, KEY, 1),
]
"""Every way to the files that looks whether they are still the same; a read of a profile looks now and then."""


def test_only_the_owner_may_read(storage: SQLiteStorage, path: Path) -> None:
    """Every file holds personal data or a key, the logs too."""
    set_field(storage)
    storage.apply(Batch(entries=[Teller().view(NOON)]))
    storage.erase(SPACE, "nobody", 1)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert {"alias.db", "alias.db-preferences", "alias.db-key", "alias.db-wal"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_deleted_files_are_made_anew(storage: SQLiteStorage, path: Path) -> None:
    """The site goes on with an empty database, and what it writes is in the new files."""
    set_field(storage)
    for each in path.parent.iterdir():
        each.unlink()
    set_field(storage, 2)
    storage.close()
    again = SQLiteStorage(f"sqlite:///{path}")
    assert preferences(again) == {"f": 2}
    again.close()


def test_reads_notice_within_64(storage: SQLiteStorage, path: Path) -> None:
    """A profile read does not look at the files each time, but soon."""
    set_field(storage)
    for each in path.parent.iterdir():
        each.unlink()
    found = [storage.read_profile(SPACE, KEY) for _ in range(64)]
    assert found[-1] == StoredProfile()


@pytest.mark.parametrize("which", ["alias.db", "alias.db-preferences"])
@pytest.mark.parametrize("use", USES)
def test_garbage_is_corrupt_until_it_is_gone(
    storage: SQLiteStorage, path: Path, tmp_path: Path, which: str, use: Callable[[SQLiteStorage], object]
) -> None:
    """A file that is no database says so at every use; the same object works once a good one is back."""
    set_field(storage)
    storage.close()
    good = tmp_path / "good"
    shutil.copy(path.with_name(which), good)
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"no database at all " * 400)
    garbage.replace(path.with_name(which))
    for _ in range(2):
        with pytest.raises(StorageCorrupt):
            use(storage)
        with pytest.raises(StorageCorrupt):
            storage.read_profile(SPACE, KEY)
    good.replace(path.with_name(which))
    assert preferences(storage) == {"f": 1}
    use(storage)


def test_a_row_that_does_not_decode_holds_up_nobody_else(storage: SQLiteStorage, path: Path) -> None:
    """A batch with that visitor is refused as one that no retry helps, so that the writer finds the record."""
    storage.apply(Batch(entries=[Teller().view(NOON)]))
    sql = sqlite3.connect(path)
    sql.execute("UPDATE chronicles SET knowledge = '{'")
    sql.execute("DELETE FROM turns")  # what the writer remembers of visitors holds no more
    sql.commit()
    sql.close()
    with pytest.raises(ValueError, match="does not decode"):
        storage.apply(Batch(entries=[Teller(ids=iter([9])).view(NOON)]))
    other = Teller(key="690000000001", ids=iter([10])).view(NOON)
    assert storage.apply(Batch(entries=[other])).stored == 1


def test_a_page_that_is_lost_is_damage(storage: SQLiteStorage, path: Path) -> None:
    """Several visitors' rows have its number: whoever reads them is told so as of any other row."""
    tell = Teller()
    storage.apply(Batch(entries=[each.view(NOON, path="/news") for each in (tell, tell.of(key="690000000001"))]))
    with closing(sqlite3.connect(path, isolation_level=None)) as sql:
        assert sql.execute("DELETE FROM pages").rowcount == 1
    with pytest.raises(StorageCorrupt):
        storage.verify(0, local_day("2027-01-01"))
    with pytest.raises(StorageCorrupt):
        storage.history(SPACE, "690000000001", 1)


@pytest.mark.parametrize(
    ("which", "use"),
    [
        pytest.param(
            "alias.db-preferences", lambda storage: set_field(storage, 2, timeout=0.01), id="preferences"
        ),
        pytest.param("alias.db", lambda storage: storage.apply(Batch(finished=["s"])), id="history"),
    ],
)
def test_a_lock_is_waited_for_and_told(
    storage: SQLiteStorage,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    which: str,
    use: Callable[[SQLiteStorage], object],
) -> None:
    """Another program's open transaction makes it unavailable; reads go on; afterwards all is well."""
    monkeypatch.setattr("alias_middleware.storage.sqlite._BATCH_TIMEOUT_SECONDS", 0.01)
    set_field(storage)
    other = sqlite3.connect(path.with_name(which), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable) as raised:
        use(storage)
    assert raised.value.reason == "locked"
    assert preferences(storage) == {"f": 1}
    other.execute("ROLLBACK")
    other.close()
    use(storage)


@pytest.mark.parametrize("use", USES)
def test_a_file_that_cannot_be_written(
    path: Path, monkeypatch: pytest.MonkeyPatch, use: Callable[[SQLiteStorage], object]
) -> None:
    """A folder without permission is named as such; recovery needs no new object."""
    storage = SQLiteStorage(f"sqlite:///{path}")

    def refuse(*arguments: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("alias_middleware.storage.sqlite.files.os.open", refuse)
        with pytest.raises(StorageUnavailable) as raised:
            use(storage)
    assert raised.value.reason == "read_only"
    use(storage)
    storage.close()


@pytest.mark.parametrize(
    "use",
    [set_field, lambda storage: storage.apply(Batch(entries=[Teller().view(NOON)]))],
    ids=["change", "batch"],
)
def test_a_database_that_became_read_only(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch, use: Callable[[SQLiteStorage], object]
) -> None:
    """What the driver calls read-only is named so, and the connection is not used again."""
    set_field(storage)
    held = storage._files.take(look=True)
    held.sql.execute("PRAGMA query_only = ON")
    storage._files.give(held)
    with pytest.raises(StorageUnavailable) as raised:
        use(storage)
    assert raised.value.reason == "read_only"
    use(storage)


def test_a_missing_folder(tmp_path: Path) -> None:
    """The folder is the publisher's to make; once it is there, everything works."""
    storage = SQLiteStorage(f"sqlite:///{tmp_path}/folder/alias.db")
    with pytest.raises(StorageUnavailable) as raised:
        storage.read_profile(SPACE, KEY)
    assert raised.value.reason == "cannot_open"
    (tmp_path / "folder").mkdir()
    set_field(storage)
    assert preferences(storage) == {"f": 1}
    storage.close()


@pytest.mark.parametrize("which", ["alias.db", "alias.db-preferences"])
def test_a_newer_schema_is_left_alone(storage: SQLiteStorage, path: Path, which: str) -> None:
    """After a downgrade nothing is touched that is not understood."""
    set_field(storage)
    storage.close()
    sql = sqlite3.connect(path.with_name(which))
    sql.execute("PRAGMA user_version = 99")
    sql.close()
    with pytest.raises(StorageUnavailable) as raised:
        storage.read_profile(SPACE, KEY)
    assert raised.value.reason == "newer"


def test_idle_connections_are_few(storage: SQLiteStorage) -> None:
    """More connections at once than are kept are closed when given back."""
    files = storage._files
    taken = [files.take() for _ in range(20)]
    for held in taken:
        files.give(held)
    assert len(files._idle) == 16
    before = len(os.listdir("/proc/self/fd"))
    storage.close()
    assert len(os.listdir("/proc/self/fd")) < before


def test_batches_have_a_connection_of_their_own(storage: SQLiteStorage) -> None:
    """What it remembers of the files would be forgotten with each batch that comes by another one."""
    files = storage._files
    for held in [files.take() for _ in range(3)]:
        files.give(held)
    storage.apply(Batch())
    (theirs,) = [held for held in files._idle if held.remembers]
    for _ in range(3):
        reading = files.take()
        assert reading is not theirs
        storage.apply(Batch())
        files.give(reading)
    assert [held for held in files._idle if held.remembers] == [theirs]


_TWO_BATCHES = """
import sys
from alias_middleware.storage.base import Batch
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.testing.histories import Teller

storage, tell = SQLiteStorage(f"sqlite:///{sys.argv[1]}"), Teller()
for day in (2, 3):
    storage.apply(Batch(entries=[
        tell.of(key=f"{number:012}").view(f"2026-03-0{day}T12:0{minute}", path="/" + "x" * 120)
        for number in range(400) for minute in range(3)
    ]))
storage.close()
"""


def test_batches_put_nothing_among_temporary_files(path: Path) -> None:
    """There a statement that changes many visitors' rows would keep them as they were, on who knows which disk."""
    temporary = path.parent / "temporary"
    temporary.mkdir()
    before = temporary.stat().st_mtime_ns
    environment = os.environ | {"SQLITE_TMPDIR": str(temporary)}
    subprocess.run([sys.executable, "-c", _TWO_BATCHES, str(path)], env=environment, check=True)
    assert temporary.stat().st_mtime_ns == before


@pytest.mark.parametrize("begin", ["transaction", "preferences_transaction"])
def test_every_change_keeps_what_it_may_undo_in_memory(storage: SQLiteStorage, begin: str) -> None:
    """Erasures and purges change many rows as well; a reader's large sort may take a temporary file again."""
    with storage._files.wrapped() as held:
        with getattr(held, begin)(1.0) as sql:
            during = sql.execute("PRAGMA temp_store").fetchone()
        assert (during, held.sql.execute("PRAGMA temp_store").fetchone()) == ((2,), (0,))


def test_what_batches_remember_grows_with_the_file(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the least there is to a share of the file as the batch finds it, and to no more than the most."""
    monkeypatch.setattr("alias_middleware.storage.sqlite.connection._CACHED_SHARE", 1)
    monkeypatch.setattr("alias_middleware.storage.sqlite.connection._LEAST_CACHE_PAGES", 70)
    monkeypatch.setattr("alias_middleware.storage.sqlite.connection._MOST_CACHE_PAGES", 90)
    tell = Teller()
    pages, cached = [0], []
    for day in range(1, 29):
        storage.apply(Batch(entries=[tell.view(f"2026-03-{day:02}T12:00", path="/" + "x" * 9_000)]))
        (held,) = [held for held in storage._files._idle if held.remembers]
        cached += held.sql.execute("PRAGMA main.cache_size").fetchone()
        pages += held.sql.execute("PRAGMA main.page_count").fetchone()
    assert cached[1:] == [min(max(each, 70), 90) for each in pages[1:-1]]
    assert len(set(cached)) > 5


def test_new_files_opened_by_several_at_once_are_waited_for(tmp_path: Path) -> None:
    """The workers of a new site come to its files in the same moment: each is answered, none finds them locked."""
    together = threading.Barrier(4)

    def read(path: Path) -> None:
        storage = SQLiteStorage(f"sqlite:///{path}")
        together.wait(10)
        storage.read_profile(SPACE, KEY)
        storage.close()

    with ThreadPoolExecutor(4) as workers:
        for number in range(40):
            list(workers.map(read, [tmp_path / f"{number}.db"] * 4))


def test_the_log_does_not_grow_for_ever(
    storage: SQLiteStorage, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches move a long write-ahead log into the file, so that the next ones begin it anew."""
    monkeypatch.setattr("alias_middleware.storage.sqlite.files._CHECKPOINT_PAGES", 25)
    tell = Teller()
    log = path.with_name("alias.db-wal")
    sizes = []
    for day in range(1, 29):
        storage.apply(Batch(entries=[tell.view(f"2026-03-{day:02}T12:00", path="/" + "x" * 500)]))
        sizes.append(log.stat().st_size)
    assert max(sizes) < 300_000
    assert sum(one == other for one, other in pairwise(sizes)) > 5


def test_batches_spare_requests_the_checkpoint_of_preferences(
    storage: SQLiteStorage, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their log is moved into the file by the writer before it is so long that whoever commits next has to."""
    monkeypatch.setattr("alias_middleware.storage.sqlite.files._LONG_LOG_BYTES", 10_000)
    file, log = path.with_name("alias.db-preferences"), path.with_name("alias.db-preferences-wal")
    for value in range(20):
        set_field(storage, value)
    before = file.stat().st_size
    assert log.stat().st_size > 10_000
    storage.apply(Batch(entries=[Teller().view(NOON)]))
    assert file.stat().st_size > before
