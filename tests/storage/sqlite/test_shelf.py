"""What is kept of profiles never outlives a change, whoever made it and wherever he died in it."""

from __future__ import annotations

import os
import pickle
import sqlite3
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import deepcopy
from itertools import combinations, count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware.errors import StorageUnavailable
from alias_middleware.profile import StoredProfile
from alias_middleware.storage.base import Batch, LateChange
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.storage.sqlite.shelf import LOOK_EVERY
from alias_middleware.storage.sqlite.versions import Versions
from alias_middleware.testing._contract_profiles import op, preferences
from alias_middleware.testing.histories import KEY, NEWS, change
from tests.storage.sqlite.changer import STEPS, changer
from tests.support.disks import tiny_disk

SPACE = NEWS.namespace


def fill(disk: Path, left: int) -> Path:
    """Fill a disk but for so many bytes."""
    filler = disk / "filler"
    room = os.statvfs(disk)
    filler.write_bytes(bytes(room.f_bavail * room.f_bsize - left))
    return filler


def colliding() -> tuple[str, str]:
    """Two visitors who share their versions."""
    first: dict[int, str] = {}
    for number in count(300_000_000_000):
        other = first.setdefault(Versions.place(SPACE, str(number)), str(number))
        if other != str(number):
            return other, str(number)
    raise AssertionError


BYTES = 512 << 10
KEYS = [KEY, "200000000002", *colliding()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alias.db"


@pytest.fixture
def storages(path: Path) -> Iterator[Callable[[], SQLiteStorage]]:
    """Makes storages on the same files; each has a shelf of its own, as in processes of their own."""
    with ExitStack() as stack:

        def make() -> SQLiteStorage:
            storage = SQLiteStorage(f"sqlite:///{path}")
            stack.callback(storage.close)
            return storage

        yield make


def put(storage: SQLiteStorage, number: int, key: str = KEY) -> None:
    storage.change_profile(SPACE, change(op("set", "n", number), at=number, key=key), timeout=5)


def is_kept(storage: SQLiteStorage, key: str = KEY) -> bool:
    """Whether the next read needs no SQLite."""
    return storage._files.shelf.find(SPACE, key) is not None


def keep(storage: SQLiteStorage, key: str = KEY) -> None:
    """Have a profile on the shelf."""
    storage._files.shelf.look()
    storage.read_profile(SPACE, key)
    assert is_kept(storage, key)


def stored(path: Path, key: str = KEY) -> bytes:
    """What is in the file, asked of SQLite alone."""
    sql = sqlite3.connect(path.with_name("alias.db-preferences"))
    row = sql.execute("SELECT preferences FROM profiles WHERE namespace = ? AND key = ?", (SPACE, key)).fetchone()
    sql.close()
    return b"{}" if row is None else bytes(row[0])


def test_what_was_read_is_kept(storages: Callable[[], SQLiteStorage]) -> None:
    """Until the visitor, or one who shares his versions, is changed; also that there is nothing is kept."""
    storage = storages()
    one, twin = colliding()
    put(storage, 1)
    keep(storage)
    keep(storage, one)
    assert storage.read_profile(SPACE, one) == StoredProfile()
    put(storage, 2, twin)
    assert is_kept(storage)
    assert not is_kept(storage, one)
    put(storage, 3)
    assert not is_kept(storage)
    assert preferences(storage) == {"n": 3}
    assert is_kept(storage)


def test_what_is_kept_is_as_what_was_read(storages: Callable[[], SQLiteStorage]) -> None:
    """Whoever compares, copies or pickles it need not know of the shelf."""
    storage = storages()
    put(storage, 1)
    read = storage.read_profile(SPACE, KEY)
    kept = storage.read_profile(SPACE, KEY)
    assert type(read) is StoredProfile is not type(kept)
    assert (kept, read, hash(kept)) == (read, kept, hash(read))
    assert kept != StoredProfile() != kept
    assert repr(kept) == repr(read)
    for copied in (pickle.loads(pickle.dumps(kept)), deepcopy(kept)):
        assert (type(copied), copied) == (StoredProfile, read)


DEEDS = st.tuples(
    st.sampled_from(["put", "put", "late", "erase", "read", "read", "read", "close"]),
    st.integers(0, 2),
    st.sampled_from(KEYS),
)


@given(st.lists(DEEDS, max_size=40))
def test_every_storage_sees_every_change(
    tmp_path_factory: pytest.TempPathFactory, deeds: list[tuple[str, int, str]]
) -> None:
    """Whoever changes, late or now, and whoever erases: each read gives what was committed last."""
    folder = tmp_path_factory.mktemp("shelf")
    several = [SQLiteStorage(f"sqlite:///{folder}/alias.db") for _ in range(3)]
    expected: dict[str, bytes] = {}
    for number, (deed, which, key) in enumerate(deeds, start=1):
        storage = several[which]
        if deed == "put":
            put(storage, number, key)
            expected[key] = b'{"n":%d}' % number
        elif deed == "late":
            late = change(op("set", "n", number), at=number, key=key)
            storage.apply(Batch(changes=[LateChange(SPACE, late, number)]))
            expected[key] = b'{"n":%d}' % number
        elif deed == "erase":
            storage.erase(SPACE, key, number)
            expected[key] = b"{}"
        elif deed == "close":
            storage.close()
        assert storage.read_profile(SPACE, key).preferences == expected.get(key, b"{}")
    for storage in several:
        for key in KEYS:
            assert storage.read_profile(SPACE, key).preferences == expected.get(key, b"{}")
        storage.close()


def test_a_change_is_seen_in_every_process_as_soon_as_it_is_committed(
    storages: Callable[[], SQLiteStorage], path: Path
) -> None:
    """While several processes change one visitor, no read gives less than what was committed before it."""
    storage = storages()
    storage.change_profile(SPACE, change(op("set", "n", 0), at=1), timeout=5)
    rounds, committed, kept = 150, [0, 0], 0
    with changer(path) as first, changer(path) as second:

        def listen(who: int) -> None:
            for _ in range(rounds):
                committed[who] = int((first, second)[who].answer())

        ears = [threading.Thread(target=listen, args=(who,)) for who in (0, 1)]
        for number in range(1, rounds + 1):
            first.tell("set", number)
            second.tell("set", number)
        for ear in ears:
            ear.start()
        while min(committed) < rounds:
            before = min(committed)
            assert preferences(storage)["n"] >= before
            kept += is_kept(storage)
        for ear in ears:
            ear.join()
    assert preferences(storage) == {"n": rounds}
    assert kept


@pytest.mark.parametrize("step", STEPS)
def test_a_process_that_dies_in_a_change(step: str, storages: Callable[[], SQLiteStorage], path: Path) -> None:
    """What it left is read from the file; the visitor is kept again after his next change at the latest."""
    storage = storages()
    put(storage, 1)
    keep(storage)
    with changer(path) as other:
        other.set(2)
        assert preferences(storage) == {"n": 2}
        keep(storage)
        other.die(step, 3)
    for _ in range(3):
        assert storage.read_profile(SPACE, KEY).preferences == stored(path)
    assert preferences(storage) == {"n": 3 if step == "committed" else 2}
    assert is_kept(storage) == (step == "locked")
    put(storage, 4)
    assert preferences(storage) == {"n": 4}
    assert is_kept(storage)


def test_a_change_that_is_taken_back(
    storages: Callable[[], SQLiteStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves the versions settled, so that the visitor is kept."""
    storage = storages()
    put(storage, 1)
    encode = "alias_middleware.storage.sqlite.preferences.encode_json"
    with monkeypatch.context() as patch:
        patch.setattr(encode, lambda _: object())  # nothing that SQLite could take
        with pytest.raises(StorageUnavailable):
            put(storage, 2)
    assert preferences(storage) == {"n": 1}
    keep(storage)


def test_a_forked_child_and_its_parent_see_each_other(storages: Callable[[], SQLiteStorage]) -> None:
    """Both go on with what was kept before, and with the same versions."""
    storage = storages()
    put(storage, 1)
    keep(storage)
    to_child, to_parent = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        fine = preferences(storage) == {"n": 1}
        put(storage, 2)
        os.write(to_parent[1], b"2")
        os.read(to_child[0], 1)
        fine = fine and preferences(storage) == {"n": 3}
        os._exit(0 if fine else 1)
    os.read(to_parent[0], 1)
    assert preferences(storage) == {"n": 2}
    put(storage, 3)
    os.write(to_child[1], b"3")
    assert os.waitpid(pid, 0)[1] == 0
    for descriptor in (*to_child, *to_parent):
        os.close(descriptor)


class TestVersions:
    """The file of versions may be missing, in the way, deleted, or a copy."""

    def test_who_opens_the_files_makes_it(self, storages: Callable[[], SQLiteStorage], path: Path) -> None:
        """A site where nobody changes a preference keeps what it reads, too; also with files from a backup."""
        for _ in ("new files", "files from a backup"):
            storage = storages()
            storage.ledger()
            keep(storage)
            path.with_name("alias.db-preferences-versions").unlink()

    def test_who_opens_them_waits_for_nobody(self, storages: Callable[[], SQLiteStorage], path: Path) -> None:
        """Whoever holds the lock may have found no room for it, and renews nothing; the next change makes it."""
        versions = path.with_name("alias.db-preferences-versions")
        other, storage = storages(), storages()
        with other._files.wrapped() as connection, connection.preferences_transaction(5):
            versions.unlink()
            begun = time.monotonic()
            storage.read_profile(SPACE, KEY)
            assert time.monotonic() - begun < 1
            assert not versions.exists()
        put(other, 1)
        keep(storage)

    def test_another_user_makes_none(
        self, storages: Callable[[], SQLiteStorage], path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The site could not use his, and would change nothing."""
        storages().ledger()
        versions = path.with_name("alias.db-preferences-versions")
        versions.unlink()
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
        storages().read_profile(SPACE, KEY)
        assert not versions.exists()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
    def test_what_root_makes_is_the_sites(self, storages: Callable[[], SQLiteStorage], path: Path) -> None:
        """A restored site, say, whose erasures root replays: it could change no preference otherwise."""
        storages().ledger()
        versions = path.with_name("alias.db-preferences-versions")
        versions.unlink()
        for file in path.parent.glob("alias.db*"):
            os.chown(file, 65534, 65534)
        put(storages(), 1)
        assert (versions.stat().st_uid, versions.stat().st_gid) == (65534, 65534)

    def test_a_full_disk(self, tmp_path: Path) -> None:
        """Where it cannot be allocated nobody keeps anything; once there is room it is made."""
        with tiny_disk(tmp_path / "disk", 2048) as disk:
            several = [SQLiteStorage(f"sqlite:///{disk}/alias.db") for _ in range(2)]
            for storage in several:
                storage.ledger()
            (disk / "alias.db-preferences-versions").unlink()
            for storage in several:
                storage._files.shelf.look()  # a file that is mapped takes its room though it is deleted
            filler = fill(disk, 256 << 10)
            for number in range(1, 4):
                put(several[number % 2], number)
                for storage in several:
                    assert preferences(storage) == {"n": number}
                    assert not is_kept(storage)
            filler.unlink()
            put(several[0], 9)
            for storage in several:
                storage._files.shelf.look()
                assert preferences(storage) == {"n": 9}
                assert is_kept(storage)
                storage.close()

    def test_a_full_disk_and_a_copy_with_holes(self, tmp_path: Path) -> None:
        """Others may have it already, who would not see a change that renews no version: it is refused."""
        with tiny_disk(tmp_path / "disk", 2048) as disk:
            storage = SQLiteStorage(f"sqlite:///{disk}/alias.db")
            storage.ledger()
            versions = disk / "alias.db-preferences-versions"
            versions.unlink()
            storage._files.shelf.look()
            versions.touch(0o600)
            os.truncate(versions, BYTES)
            fill(disk, 256 << 10)
            with pytest.raises(StorageUnavailable) as raised:
                put(storage, 1)
            assert raised.value.reason == "disk_full"
            assert preferences(storage) == {}
            storage.close()

    def test_deleted_in_the_middle_of_a_change(self, storages: Callable[[], SQLiteStorage], path: Path) -> None:
        """It is the file that is there when a version is renewed that is used."""
        storage, other = storages(), storages()
        put(storage, 1)
        versions = path.with_name("alias.db-preferences-versions")
        with storage._files.wrapped() as connection, connection.profile_changes(5) as (_, renew):
            versions.unlink()
            renew(SPACE, KEY)
            assert versions.stat().st_size == BYTES
            other._files.shelf.look()
            other.read_profile(SPACE, KEY)
            assert not is_kept(other)
        keep(other)

    def test_where_it_cannot_be_used_nothing_is_changed(
        self, storages: Callable[[], SQLiteStorage], path: Path
    ) -> None:
        """Others may have it, who would not see the change; the request goes on by way of the spool."""
        storage, other = storages(), storages()
        versions = path.with_name("alias.db-preferences-versions")
        versions.mkdir()
        with pytest.raises(StorageUnavailable):
            put(storage, 1)
        assert storage.read_profile(SPACE, KEY) == StoredProfile()
        assert not is_kept(storage)
        versions.rmdir()
        put(other, 2)
        assert preferences(storage) == {"n": 2}

    @pytest.mark.parametrize(
        "use", [pytest.param(keep, id="read"), pytest.param(lambda one: put(one, 2), id="change")]
    )
    def test_a_copy_with_holes_is_filled(
        self, use: Callable[[SQLiteStorage], None], storages: Callable[[], SQLiteStorage], path: Path
    ) -> None:
        """Storing into a hole on a full disk would kill the process."""
        put(storages(), 1)
        versions = path.with_name("alias.db-preferences-versions")
        versions.unlink()
        versions.touch(0o600)
        os.truncate(versions, BYTES)
        use(storages())
        assert versions.stat().st_size == BYTES
        assert versions.stat().st_blocks * 512 >= BYTES

    def test_one_cut_short_is_used_when_a_change_made_it_whole(
        self, storages: Callable[[], SQLiteStorage], path: Path
    ) -> None:
        """Not before: whoever changes profiles may have found no room for it, and renews nothing."""
        storage, versions = storages(), path.with_name("alias.db-preferences-versions")
        storage.ledger()
        versions.unlink()
        versions.touch(0o600)
        storage._files.shelf.look()
        storage.read_profile(SPACE, KEY)
        assert not is_kept(storage)
        assert versions.stat().st_size == 0
        put(storage, 1)
        assert versions.stat().st_size == BYTES
        keep(storage)

    @pytest.mark.parametrize("soon", ["within 64 reads", "with the first read a second later"])
    @pytest.mark.parametrize("names", ["versions", "everything"])
    def test_deleted_files(self, soon: str, names: str, storages: Callable[[], SQLiteStorage], path: Path) -> None:
        """What was kept of them is not given any more."""
        storage, other = storages(), storages()
        put(storage, 1)
        keep(storage)
        shelf = storage._files.shelf
        now = shelf._clock()
        shelf._clock = lambda: now
        shelf.look()
        for each in path.parent.iterdir():
            if names == "everything" or each.name.endswith("-versions"):
                each.unlink()
        put(other, 2)
        if soon == "within 64 reads":
            found = [preferences(storage) for _ in range(LOOK_EVERY)]
        else:
            now += 1
            found = [preferences(storage)]
        assert found[-1] == {"n": 2}


class TestBounds:
    """What is kept is little, and not old."""

    def test_five_minutes_of_reading(self, storages: Callable[[], SQLiteStorage], path: Path) -> None:
        """By then what the sqlite3 shell changed is seen."""
        storage = storages()
        put(storage, 1)
        keep(storage)
        shelf = storage._files.shelf
        now = shelf._clock()
        shelf._clock = lambda: now
        sql = sqlite3.connect(path.with_name("alias.db-preferences"))
        with sql:
            sql.execute("""UPDATE profiles SET preferences = CAST('{"n":2}' AS BLOB)""")
        sql.close()
        for _ in range(301):
            now += 1
            storage.read_profile(SPACE, KEY)
        assert preferences(storage) == {"n": 2}

    def test_memory(self, storages: Callable[[], SQLiteStorage]) -> None:
        """However many visitors come, the shelf takes a few megabytes."""
        storage = storages()
        put(storage, 1)
        keep(storage)
        tracemalloc.start()
        for number in range(40_000):
            storage.read_profile(SPACE, f"{number:012}")
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert 1 << 20 < taken < 8 << 20
        assert sum(is_kept(storage, f"{number:012}") for number in range(30_000, 40_000)) >= 7_500

    def test_a_large_profile_is_not_kept(self, storages: Callable[[], SQLiteStorage]) -> None:
        """It would take the place of many."""
        storage = storages()
        storage.change_profile(SPACE, change(op("set", "text", "x" * 5000), at=1), timeout=5)
        storage.read_profile(SPACE, KEY)
        assert not is_kept(storage)


def test_the_marks_of_any_two_processes_agree() -> None:
    """The place depends on namespace and key alone, and every place is within the file."""
    places = {Versions.place(SPACE, str(number)) for number in range(1000)}
    assert len(places) > 950
    assert all(place % 2 == 0 and 0 <= place < 2 << 15 for place in places)
    assert Versions.place("portal", "314522927347") == Versions.place(SPACE, KEY) == 47470
    assert all(Versions.place(SPACE, one) != Versions.place("elsewhere", one) for one, _ in combinations(KEYS, 2))
