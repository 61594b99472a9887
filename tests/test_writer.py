"""The writer: everything in the spool reaches the storage once, whatever fails on the way."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alias_middleware import segments, writer
from alias_middleware.errors import StorageUnavailable
from alias_middleware.events import TrackedEvent
from alias_middleware.outage import Outage
from alias_middleware.profile import Operation, ProfileChange
from alias_middleware.records import FORMAT, Identified, Tally, encode_record
from alias_middleware.storage.base import Batch, Outcome
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.testing._contract_case import counted
from alias_middleware.writer import REJECTED, Writer
from tests.support.spools import ALIAS, ORIGIN, event, make_spool, write_segment
from tests.support.storages import FailingStorage, down

DAY = 738_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What is logged; never an alias."""
    caplog.set_level(logging.DEBUG)
    yield caplog
    assert ALIAS not in caplog.text


def make_writer(folder: Path, storage: Any) -> Writer:
    return Writer.alone(folder, storage, interval=0.01)


def stored(storage: Any) -> list[str]:
    """The names of the events that are stored, sorted."""
    events = storage.history(ORIGIN.namespace, ALIAS, 1_000_000)
    return sorted(event.name for event in events if isinstance(event, TrackedEvent))


def assert_balanced(counts: dict[str, int]) -> None:
    dropped = sum(number for name, number in counts.items() if name.startswith("dropped."))
    assert counts.get("seen", 0) == counts.get("stored", 0) + counts.get("deduplicated", 0) + dropped


def record(folder: Path, *names: str, seed: int = 0) -> None:
    """Leave a segment with events of these names."""
    journal = make_spool(folder, seed=seed)
    for number, name in enumerate(names):
        journal.append(event(name, time_us=number + 1))
    journal.close()


def test_everybodys_segments_are_drained_and_removed(folder: Path) -> None:
    """Of the living and of the dead; the storage forgets the positions of what is gone."""
    storage = MemoryStorage()
    record(folder, "a", "b", seed=1)
    record(folder, "c", seed=2)
    living = make_spool(folder, seed=3)
    living.append(event("d"))
    assert make_writer(folder, storage).drain()
    assert stored(storage) == ["a", "b", "c", "d"]
    assert segments.names(folder) == list(storage.ledger().positions)
    assert len(segments.names(folder)) == 1
    assert segments.done(folder) == []
    assert storage.ledger().counts == {"seen": 4, "stored": 4}


def test_tallies_and_changes_arrive_too(folder: Path) -> None:
    """Counts of a process, unidentified page views by day, and profile changes that waited."""
    storage = MemoryStorage()
    journal = make_spool(folder)
    journal.append(Tally({"errors": 2}, {DAY: 3}))
    journal.append(ProfileChange(ALIAS, 5, 5, (Operation("increment", "preferences", "visits", 2),)))
    make_writer(folder, storage).drain()
    assert storage.ledger().counts == {"errors": 2}
    assert counted(storage, ORIGIN.service, DAY, DAY + 1).unidentified_page_views == 3
    assert json.loads(storage.read_profile(ORIGIN.namespace, ALIAS).preferences) == {"visits": 2}


def test_an_event_that_brings_its_id_counts_once(folder: Path) -> None:
    """However often it is recorded, in one spool or in two: an SMS that the gateway delivers again."""
    storage = MemoryStorage()
    drainer = make_writer(folder, storage)
    for seed in (1, 2):
        journal = make_spool(folder, seed=seed)
        journal.append(Identified(77, event("a")))
        journal.append(Identified(77, event("a")))
        journal.append(Identified(78, event("b")))
        journal.close()
        assert drainer.drain()
    assert stored(storage) == ["a", "b"]
    assert storage.ledger().counts == {"seen": 6, "stored": 2, "deduplicated": 4}


def test_a_long_spool_is_drained_in_batches(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch has a size, `drain` does as many as there are."""
    monkeypatch.setattr(writer, "_BATCH_BYTES", 300)
    storage = FailingStorage()
    names = [f"{number:03}" for number in range(60)]
    record(folder, *names[:30], seed=1)
    record(folder, *names[30:], seed=2)
    make_writer(folder, storage).drain()
    assert stored(storage) == names
    assert storage.asked > 5


class AppendingStorage(MemoryStorage):
    """While it takes a batch, others record more, for ever."""

    def __init__(self, more: Callable[[], None]) -> None:
        super().__init__()
        self.more = more

    def apply(self, batch: Batch) -> Outcome:
        self.more()
        return super().apply(batch)


def test_a_drain_ends_although_others_append_all_the_while(folder: Path) -> None:
    """It takes what is there now, in one large batch; what comes meanwhile waits for the next."""
    journal = make_spool(folder)
    journal.append(event("first"))
    storage = AppendingStorage(lambda: journal.append(event("meanwhile", time_us=2)))
    make_writer(folder, storage).drain()
    assert stored(storage) == ["first"]


def test_two_folders_may_share_a_storage(tmp_path: Path) -> None:
    """A writer leaves the positions of segments alone that are in another's folder."""
    storage = MemoryStorage()
    journals = [make_spool(tmp_path / name, seed=seed) for seed, name in enumerate(("one", "two"))]
    for journal in journals:
        journal.append(Tally({"errors": 1}, {}))
        make_writer(journal.folder, storage).drain()
    for journal in journals:
        make_writer(journal.folder, storage).drain()
    assert storage.ledger().counts == {"errors": 2}
    assert len(storage.ledger().positions) == 2


class CrashError(Exception):
    """The process ends here."""


@pytest.mark.parametrize("step", ["finish", "remove"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_between_two_steps_counts_nothing_twice(
    step: str, after: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment goes in steps; whoever comes next finds where the last one stood."""
    storage = MemoryStorage()
    record(folder, "a", "b")
    done = getattr(segments, step)

    def crash(path: Path) -> None:
        if after:
            done(path)
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(segments, step, crash)
        crashed = make_writer(folder, storage)
        with pytest.raises(CrashError):
            crashed.drain()
        crashed.abandon()
    make_writer(folder, storage).drain()
    assert storage.ledger() == ({"seen": 2, "stored": 2}, {})
    assert segments.names(folder) == segments.done(folder) == []


class LosingStorage(MemoryStorage):
    """Takes a batch, but its answer is lost once."""

    lost = False
    refused = 0

    def apply(self, batch: Batch) -> Outcome:
        try:
            outcome = super().apply(batch)
        except StorageUnavailable:
            self.refused += 1
            raise
        if not self.lost:
            self.lost = True
            raise StorageUnavailable(reason="io_error")
        return outcome


def test_a_batch_whose_answer_was_lost_is_not_taken_again(folder: Path) -> None:
    """The storage knows how far it is; the writer asks before it goes on."""
    storage = LosingStorage()
    record(folder, "a", "b")
    drainer = make_writer(folder, storage)
    with pytest.raises(StorageUnavailable):
        drainer.drain()
    drainer.drain()
    assert storage.ledger().counts == {"seen": 2, "stored": 2}
    assert storage.refused == 0


def test_a_replaced_database_gets_all_that_is_still_there(folder: Path, tmp_path: Path) -> None:
    """Positions that the writer remembers are another database's; it reads them again by itself."""
    storage = SQLiteStorage(f"sqlite:///{tmp_path}/alias.db")
    journal = make_spool(folder)
    journal.append(event("a"))
    drainer = make_writer(folder, storage)
    drainer.drain()
    for file in tmp_path.glob("alias.db*"):
        file.unlink()
    journal.append(event("b", time_us=2))
    assert drainer.drain()
    assert stored(storage) == ["a", "b"]
    assert_balanced(storage.ledger().counts)
    storage.close()


def test_a_batch_that_is_always_refused_is_given_up(folder: Path) -> None:
    """A storage that contradicts itself does not keep the writer busy for ever."""
    storage = MemoryStorage()
    record(folder, "a")
    ledger = storage.ledger()
    storage.ledger = lambda: ledger  # type: ignore[method-assign]
    storage._positions = dict.fromkeys(segments.names(folder), 3)
    with pytest.raises(StorageUnavailable) as refusal:
        make_writer(folder, storage).drain()
    assert refusal.value.reason == "stale_position"


def test_an_outage_is_one_line_in_the_log_each_way(folder: Path, log: pytest.LogCaptureFixture) -> None:
    """However often it is tried; events wait, and are stored without a restart."""
    storage = FailingStorage(down())
    record(folder, "a")
    drainer = make_writer(folder, storage)
    for _ in range(3):
        with pytest.raises(StorageUnavailable):
            drainer.drain()
    record(folder, "b", seed=2)
    storage.failure = None
    for _ in range(2):
        drainer.drain()
    assert [line.levelname for line in log.records] == ["ERROR", "WARNING"]
    assert stored(storage) == ["a", "b"]


class ChokingStorage(MemoryStorage):
    """Chokes on one event, and on one field."""

    def apply(self, batch: Batch) -> Outcome:
        if any(getattr(entry.event, "name", "") == "poison" for entry in batch.entries):
            raise RuntimeError(f"cannot swallow {ALIAS}")
        if any(operation.field == "poison" for late in batch.changes for operation in late.change.operations):
            raise RuntimeError(f"cannot swallow {ALIAS}")
        return super().apply(batch)


def rejected(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / REJECTED).read_text().splitlines()]


@pytest.mark.parametrize("place", [0, 1, 57, 99])
def test_an_event_that_the_storage_chokes_on_is_kept_aside(
    place: int, folder: Path, log: pytest.LogCaptureFixture
) -> None:
    """All others are stored, and nothing counts twice on the way to find it."""
    storage = ChokingStorage()
    names = [f"{number:02}" for number in range(99)]
    record(folder, *names[:place], "poison", *names[place:])
    make_writer(folder, storage).drain()
    assert stored(storage) == names
    assert storage.ledger() == ({"seen": 100, "stored": 99, "dropped.rejected": 1}, {})
    (line,) = rejected(folder)
    assert (line["service"], line["reason"]) == ("sonneries", "RuntimeError")
    assert line["event"][:2] == ["t", ALIAS]
    assert (folder / REJECTED).stat().st_mode & 0o777 == 0o600
    assert [entry.levelname for entry in log.records] == ["ERROR"]


def test_a_change_that_the_storage_chokes_on_does_not_stop_the_spool(folder: Path) -> None:
    """It is kept aside and counts as lost; what comes before and after takes effect."""
    storage = ChokingStorage()
    journal = make_spool(folder)
    for field in ("before", "poison", "after"):
        journal.append(ProfileChange(ALIAS, 5, 5, (Operation("set", "preferences", field, 1),)))
    make_writer(folder, storage).drain()
    assert json.loads(storage.read_profile(ORIGIN.namespace, ALIAS).preferences) == {"before": 1, "after": 1}
    assert storage.ledger().counts == {"preferences_lost": 1}
    assert len(rejected(folder)) == 1


def test_a_storage_that_chokes_on_nothing_at_all_is_down(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a record to blame, the failure is the storage's."""
    storage = MemoryStorage()
    record(folder, "a")
    for name in segments.names(folder):
        segments.finish(folder / name)
    batches: list[Batch] = []

    def choke(batch: Batch) -> Outcome:
        batches.append(batch)
        raise ZeroDivisionError

    monkeypatch.setattr(storage, "apply", choke)
    with pytest.raises(ZeroDivisionError):
        make_writer(folder, storage).drain()
    assert len(batches) == 1


@pytest.mark.parametrize(
    ("payload", "kept"),
    [
        pytest.param(b"\xc1\xc1", {"payload": base64.b64encode(b"\xc1\xc1").decode()}, id="rubbish"),
        pytest.param(encode_record(["future", 1]), {"event": ["future", 1]}, id="unknown"),
    ],
)
def test_a_record_that_does_not_decode_is_kept_aside_once(
    payload: bytes, kept: dict[str, Any], folder: Path
) -> None:
    """Even if the storage is down meanwhile and its batch is tried again and again."""
    storage = FailingStorage()
    write_segment(folder.with_name("spool") / "00.spool", [encode_record(event("a")), payload])
    drainer = make_writer(folder, storage)
    storage.apply, apply = refuse, storage.apply  # type: ignore[method-assign]
    for _ in range(3):
        with pytest.raises(StorageUnavailable):
            drainer.drain()
    storage.apply = apply  # type: ignore[method-assign]
    drainer.drain()
    assert storage.ledger().counts == {"seen": 2, "stored": 1, "dropped.undecodable": 1}
    (line,) = rejected(folder)
    assert line["reason"] == "undecodable"
    assert kept.items() <= line.items()


def refuse(batch: Batch) -> Outcome:
    raise down()


def test_damage_is_counted_once(folder: Path) -> None:
    """A torn end, and a segment that is nothing but damage, which is set aside."""
    storage = MemoryStorage()
    data, _ = write_segment(folder / "00.spool", [encode_record(event("a")), encode_record(event("b"))])
    (folder / "00.spool").write_bytes(data[:-3])
    (folder / "01.spool").write_bytes(b"\0" * 100)
    for _ in range(2):
        make_writer(folder, storage).drain()
    assert storage.ledger() == ({"seen": 1, "stored": 1, "torn": 2}, {})
    assert sorted(left.name for left in folder.iterdir()) == ["01.unreadable", "writer.lock"]


def test_a_segment_that_cannot_be_read_stops_no_other(folder: Path, log: pytest.LogCaptureFixture) -> None:
    """It is named in the log once."""
    storage = MemoryStorage()
    (folder / "00.spool").mkdir(parents=True)
    record(folder, "a")
    drainer = make_writer(folder, storage)
    for _ in range(3):
        drainer.drain()
    assert stored(storage) == ["a"]
    assert [line.getMessage().split(":")[0] for line in log.records] == ["spool segment 00.spool cannot be read"]


def test_a_segment_of_a_newer_version_is_left_alone(folder: Path, log: pytest.LogCaptureFixture) -> None:
    """Whoever understands it will drain it."""
    storage = MemoryStorage()
    data, _ = write_segment(folder / "00.spool", [b"from the future"], version=FORMAT + 1)
    drainer = make_writer(folder, storage)
    for _ in range(2):
        drainer.drain()
    assert (folder / "00.spool").read_bytes() == data
    assert storage.ledger() == ({}, {})
    assert len(log.records) == 1


def test_one_writer_a_folder(folder: Path) -> None:
    """The others stand by until it stands down."""
    storage = MemoryStorage()
    record(folder, "a")
    first, second = make_writer(folder, storage), make_writer(folder, storage)
    assert first.drain()
    record(folder, "b", seed=2)
    assert not second.drain()
    assert stored(storage) == ["a"]
    first.stand_down()
    assert second.drain()
    assert stored(storage) == ["a", "b"]


def test_a_folder_deleted_while_draining_is_made_again(folder: Path) -> None:
    """The lock went with it; what is recorded next is drained."""
    storage = MemoryStorage()
    drainer = make_writer(folder, storage)
    for name in ("a", "b"):
        record(folder, name, seed=ord(name))
        assert drainer.drain()
        (folder / "writer.lock").unlink()
        folder.rmdir()
    assert stored(storage) == ["a", "b"]


def test_an_unusable_folder_is_an_outage(folder: Path, log: pytest.LogCaptureFixture) -> None:
    """It ends when the folder can be used."""
    folder.write_bytes(b"")
    drainer = make_writer(folder, MemoryStorage())
    for _ in range(2):
        with pytest.raises(OSError, match="spool"):
            drainer.drain()
    folder.unlink()
    assert drainer.drain()
    assert [line.levelname for line in log.records] == ["ERROR", "WARNING"]


def test_much_is_followed_by_more_soon(folder: Path) -> None:
    """The pause is the interval after up to 200 records, and shorter in proportion after more."""
    drainer = make_writer(folder, MemoryStorage())
    paused = []
    for number in (0, 200, 400, 1):
        record(folder, *map(str, range(number)), seed=number)
        drainer.drain()
        paused.append(drainer.rest())
    assert paused == [0.01, 0.01, 0.005, 0.01]


def test_who_stands_by_does_not_hurry(folder: Path) -> None:
    """A writer that drained much, and finds another in its place, asks for the lock no oftener than others."""
    drainer, other = make_writer(folder, MemoryStorage()), make_writer(folder, MemoryStorage())
    record(folder, *map(str, range(1000)))
    assert drainer.drain()
    drainer.stand_down()
    assert other.drain()
    assert not drainer.drain()
    assert drainer.rest() == 0.01


def test_the_thread_drains_until_it_is_stopped(folder: Path) -> None:
    """It ticks before each time, survives whatever is raised, and is started once."""
    ticked = threading.Event()
    threads: set[threading.Thread] = set()

    def tick() -> None:
        threads.add(threading.current_thread())
        if len(threads) == 1 and not ticked.is_set():
            ticked.set()
            raise RuntimeError("once")

    drained = threading.Event()
    storage = AppendingStorage(drained.set)
    record(folder, "a")
    drainer = Writer(
        folder,
        storage,
        interval=0.001,
        tick=tick,
        quiet=lambda: None,
        replaced=lambda: None,
        outage=Outage(now=lambda: 0),
    )
    for _ in range(2):
        drainer.start()
    assert drainer.started
    assert drained.wait(10)
    drainer.stop(10)
    assert stored(storage) == ["a"]
    assert len(threads) == 1
    other = make_writer(folder, storage)
    assert other.drain()
    other.stop(1)
    other.start()
    assert not other.started
