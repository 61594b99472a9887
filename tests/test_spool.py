"""The writing end of the spool: every record whole or not at all, whatever the disk does."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from alias_middleware import segments, spool
from alias_middleware.errors import SpoolError
from alias_middleware.records import decode_record
from alias_middleware.spool import Spool
from tests.support.disks import tiny_disk
from tests.support.processes import finish, process
from tests.support.spools import event, make_spool, names_of, read_all, records_in


def fill(journal: Spool, *, most: int = 10_000) -> list[str]:
    """Append until the spool refuses; give the names of what it took."""
    taken: list[str] = []
    for number in range(most):
        try:
            journal.append(event(f"event-{number}", filler="x" * 700))
        except SpoolError:
            return taken
        taken.append(f"event-{number}")
    raise AssertionError("it refuses nothing")


def test_nothing_is_created_before_the_first_event(tmp_path: Path) -> None:
    """A process that records nothing leaves no file."""
    journal = make_spool(tmp_path / "spool")
    journal.sync()
    journal.look()
    journal.close()
    assert not (tmp_path / "spool").exists()


def test_what_is_appended_can_be_read_at_once(tmp_path: Path) -> None:
    """A record is in the file when `append` returns, readable by its owner alone."""
    journal = make_spool(tmp_path / "spool")
    for number in range(3):
        journal.append(event(str(number)))
        assert names_of(records_in(tmp_path / "spool")) == [str(each) for each in range(number + 1)]
    (name,) = segments.names(tmp_path / "spool")
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "spool" / name).stat().st_mode & 0o777 == 0o600


def test_a_full_segment_is_left_for_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events go on in the next segment; none is split between two."""
    monkeypatch.setattr(spool, "_SEGMENT_BYTES", 1000)
    journal = make_spool(tmp_path)
    for number in range(100):
        journal.append(event(str(number)))
    assert len(segments.names(tmp_path)) > 3
    assert sorted(names_of(records_in(tmp_path)), key=int) == [str(number) for number in range(100)]


def test_the_folder_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its limit the spool refuses; it takes events again when the writer has made room."""
    monkeypatch.setattr(spool, "_SEGMENT_BYTES", 10_000)
    journal = make_spool(tmp_path, limit=50_000)
    taken = fill(journal)
    assert spool.folder_size(tmp_path) <= 50_000 * 9 // 8 + 1000
    with pytest.raises(SpoolError) as refusal:
        journal.append(event("refused", filler="x" * 700))
    assert refusal.value.reason == "full"
    assert sorted(names_of(records_in(tmp_path))) == sorted(taken)
    for name in segments.names(tmp_path)[:3]:
        (tmp_path / name).unlink()
    journal.append(event("taken"))


def test_a_record_too_large_is_refused_and_the_next_is_taken(tmp_path: Path) -> None:
    """One record takes at most a mebibyte."""
    journal = make_spool(tmp_path)
    with pytest.raises(SpoolError) as refusal:
        journal.append(event("large", filler="x" * (1 << 20)))
    assert refusal.value.reason == "too_large"
    journal.append(event("small"))
    assert names_of(records_in(tmp_path)) == ["small"]


def test_a_full_disk_takes_nothing_by_halves(tmp_path: Path) -> None:
    """On a disk that is full, what was taken stays whole; with room again, the spool goes on by itself."""
    with tiny_disk(tmp_path / "disk", kilobytes=64) as disk:
        (disk / "ballast").write_bytes(b"\0" * 20_000)
        journal = make_spool(disk / "spool")
        taken = fill(journal)
        with pytest.raises(SpoolError) as refusal:
            journal.append(event("refused", filler="x" * 5000))
        assert refusal.value.reason == "disk_full"
        assert names_of(records_in(disk / "spool")) == taken
        (disk / "ballast").unlink()
        journal.append(event("goes on", filler="x" * 5000))
        journal.close()
        assert names_of(records_in(disk / "spool")) == [*taken, "goes on"]


def test_a_disk_too_full_for_a_new_segment_leaves_no_file(tmp_path: Path) -> None:
    """What cannot even begin leaves nothing behind."""
    with tiny_disk(tmp_path / "disk", kilobytes=16) as disk:
        (disk / "spool").mkdir()
        with (disk / "ballast").open("wb", buffering=0) as ballast:
            assert ballast.write(b"\0" * (1 << 20)) < 1 << 20
        with pytest.raises(SpoolError) as refusal:
            make_spool(disk / "spool").append(event())
        assert refusal.value.reason == "disk_full"
        assert list((disk / "spool").iterdir()) == []


def test_a_full_folder_ends_no_segment(tmp_path: Path) -> None:
    """What is refused because the folder holds all it may leaves the open segment as it was."""
    journal = make_spool(tmp_path, limit=2_000)
    journal.append(event("taken", filler="x" * 700))
    held = journal._descriptor
    with pytest.raises(SpoolError) as refusal:
        journal.append(event("refused", filler="x" * 1_500))
    assert refusal.value.reason == "full"
    assert (journal._descriptor, journal._retired) == (held, [])


def test_a_handler_that_raises_amid_a_record_costs_no_other(tmp_path: Path, disk: Disk) -> None:
    """What was written of a record before Ctrl-C ends its segment; what was recorded is still made durable."""
    journal = make_spool(tmp_path)
    journal.append(event("first"))
    write = journal._write

    def interrupted(descriptor: int, frame: bytes, size: int) -> int:
        os.write(descriptor, frame[:20])
        raise KeyboardInterrupt

    journal._write = interrupted
    with pytest.raises(KeyboardInterrupt):
        journal.append(event("interrupted"))
    journal._write = write
    journal.sync()
    assert disk.synced.count(".spool") == 1
    journal.append(event("last"))
    read = [read_all(tmp_path / name) for name in segments.names(tmp_path)]
    records = [decode_record(each) for payloads, _ in read for each in payloads]
    assert sorted(names_of(records)) == ["first", "last"]
    assert sorted(torn for _, torn in read) == [0, 1]


def test_a_file_in_the_folders_place_is_waited_out(tmp_path: Path) -> None:
    """An unusable folder refuses events, by that name; when it can be used again, they are taken."""
    folder = tmp_path / "spool"
    folder.write_bytes(b"")
    journal = make_spool(folder)
    with pytest.raises(SpoolError) as refusal:
        journal.append(event())
    assert refusal.value.reason == "unwritable"
    folder.unlink()
    journal.append(event("taken"))
    assert names_of(records_in(folder)) == ["taken"]


def test_a_deleted_folder_is_noticed_and_made_again(tmp_path: Path) -> None:
    """`look` leaves a segment that was deleted; what follows goes to a new one."""
    folder = tmp_path / "spool"
    journal = make_spool(folder)
    journal.append(event("gone"))
    shutil.rmtree(folder)
    journal.look()
    journal.append(event("kept"))
    assert names_of(records_in(folder)) == ["kept"]


def test_a_deleted_folder_is_noticed_without_a_look(tmp_path: Path) -> None:
    """Nobody may ever call `look`: the spool looks itself after so many bytes."""
    folder = tmp_path / "spool"
    journal = make_spool(folder, limit=8000)
    journal.append(event("gone"))
    shutil.rmtree(folder)
    for number in range(5):
        journal.append(event(str(number), filler="x" * 700))
    assert names_of(records_in(folder))[-1] == "4"


def test_a_descriptor_closed_by_somebody_else_costs_one_event(tmp_path: Path) -> None:
    """A program that closes every file, as daemons do, gets its events into a new segment."""
    journal = make_spool(tmp_path)
    journal.append(event("first"))
    assert journal._descriptor is not None
    os.close(journal._descriptor)
    with pytest.raises(SpoolError):
        journal.append(event("lost"))
    journal.append(event("last"))
    assert sorted(names_of(records_in(tmp_path))) == ["first", "last"]


def test_a_draft_swept_away_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer may take a segment that has no lock yet for a crash's remains."""
    flock = fcntl.flock

    def swept(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        monkeypatch.setattr(fcntl, "flock", flock)
        segments_left = list(tmp_path.glob("*.draft"))
        assert len(segments_left) == 1
        segments_left[0].unlink()

    monkeypatch.setattr(fcntl, "flock", swept)
    journal = make_spool(tmp_path)
    journal.append(event("kept"))
    assert names_of(records_in(tmp_path)) == ["kept"]


def test_no_segment_replaces_another(tmp_path: Path) -> None:
    """Where randomness repeats itself, an event is refused before one that is waiting is overwritten."""
    first = Spool(tmp_path, make_spool(tmp_path)._origin, limit=1 << 30, entropy=bytes)
    first.append(event("first"))
    first.close()
    second = Spool(tmp_path, make_spool(tmp_path)._origin, limit=1 << 30, entropy=bytes)
    with pytest.raises(SpoolError):
        second.append(event("second"))
    assert names_of(records_in(tmp_path)) == ["first"]


class Disk:
    """Notes what is made durable; can refuse to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.synced: list[str] = []
        self.refuses = False
        monkeypatch.setattr(os, "fdatasync", self.sync)
        monkeypatch.setattr(os, "fsync", self.sync)

    def sync(self, descriptor: int) -> None:
        if self.refuses:
            raise OSError(errno.EIO, "it does not")
        self.synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).suffix)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_sync_makes_records_and_their_segments_name_durable(tmp_path: Path, disk: Disk) -> None:
    """The first time, the folder too; without anything new, nothing."""
    journal = make_spool(tmp_path / "a" / "spool")
    journal.append(event())
    journal.sync()
    assert disk.synced == [".spool", "", ""]
    journal.sync()
    journal.append(event())
    journal.sync()
    assert disk.synced == [".spool", "", "", ".spool"]


def test_sync_reaches_a_segment_that_was_left_meanwhile(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A purchase is durable after `sync` even if another thread filled its segment in between."""
    monkeypatch.setattr(spool, "_SEGMENT_BYTES", 1000)
    journal = make_spool(tmp_path)
    journal.append(event("purchase", filler="x" * 1000))
    journal.append(event("begins a new segment"))
    journal.sync()
    assert disk.synced.count(".spool") == 2
    journal.append(event("more", filler="x" * 1000))
    journal.append(event("begins another"))
    journal.settle()
    assert disk.synced.count(".spool") == 3
    parts = [segments.read(tmp_path / name, 0, 1 << 20) for name in segments.names(tmp_path)]
    assert sum(part.ended for part in parts) == 2


def test_a_failed_sync_is_made_up_for(tmp_path: Path, disk: Disk) -> None:
    """The error is told, and the next call tries again."""
    journal = make_spool(tmp_path)
    journal.append(event())
    disk.refuses = True
    with pytest.raises(SpoolError):
        journal.sync()
    disk.refuses = False
    journal.sync()
    assert disk.synced[0] == ".spool"


def test_nobody_who_appends_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one thread makes its purchase durable, the event loop goes on recording."""
    journal = make_spool(tmp_path)
    journal.append(event("purchase"))
    reached = threading.Event()

    def slow_disk(descriptor: int) -> None:
        other = threading.Thread(target=journal.append, args=(event("meanwhile"),))
        other.start()
        other.join(10)
        assert not other.is_alive()
        reached.set()

    monkeypatch.setattr(os, "fdatasync", slow_disk)
    journal.sync()
    assert reached.is_set()
    assert names_of(records_in(tmp_path)) == ["purchase", "meanwhile"]


def test_a_daemons_files_are_safe_from_us(tmp_path: Path) -> None:
    """A child that closes all files and opens its own keeps them: their numbers were the spool's once."""
    with process("daemonise", tmp_path / "alias.db", tmp_path / "own") as started:
        assert finish(started) == 0
    assert (tmp_path / "own").read_bytes() == b"mine"


@pytest.mark.parametrize("length", [0, 1, 4096])
def test_the_size_of_a_folder_is_that_of_its_files(length: int, tmp_path: Path) -> None:
    """Files set aside count: they fill the disk as well."""
    (tmp_path / "one.unreadable").write_bytes(b"x" * length)
    assert spool.folder_size(tmp_path) == length


def test_a_file_that_goes_while_sizes_are_added_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer removes segments at any time."""

    class Gone:
        def stat(self) -> Any:
            raise FileNotFoundError

    class Listing:
        def __enter__(self) -> list[Gone]:
            return [Gone()]

        def __exit__(self, *unused: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", lambda folder: Listing())
    assert spool.folder_size(tmp_path) == 0
