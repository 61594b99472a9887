"""Counters over all processes: they add up at every moment, whoever moves what meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from alias_middleware import census, segments
from alias_middleware.profile import Operation, ProfileChange
from alias_middleware.records import Identified, Tally
from alias_middleware.storage.base import Ledger
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.writer import Writer
from tests.support.spools import ALIAS, event, make_spool, write_segment
from tests.support.storages import FailingStorage, down

NOTHING: dict[str, Any] = {
    "seen": 0,
    "stored": 0,
    "deduplicated": 0,
    "spooled": 0,
    "dropped": {},
    "identity": {},
}


def make_writer(folder: Path, storage: Any) -> Writer:
    return Writer.alone(folder, storage)


def balanced(counts: census.Counts) -> bool:
    numbers: dict[str, Any] = dict(counts)
    accounted = numbers["stored"] + numbers["deduplicated"] + numbers["spooled"]
    return bool(numbers["seen"] == accounted + sum(numbers["dropped"].values()))


@pytest.mark.parametrize("place", ["missing", "file"])
def test_without_a_folder_there_is_nothing(place: str, tmp_path: Path) -> None:
    """Nothing was recorded yet, or the folder is of no use; counting does not fail."""
    folder = tmp_path / "spool"
    if place == "file":
        folder.write_bytes(b"")
    assert census.count(folder, MemoryStorage(), {}) == NOTHING
    assert census.sizes(folder) == {}


def test_what_waits_counts_as_spooled(tmp_path: Path) -> None:
    """Events, tallies and what does not decode; changes are no events; the process's own counts on top."""
    journal = make_spool(tmp_path)
    journal.append(event())
    journal.append(Identified(77, event()))
    journal.append(Tally({"seen": 2, "dropped.no_alias": 2, "identity.ok": 5}, {1: 1}))
    journal.append(ProfileChange(ALIAS, 1, 1, (Operation("set", "preferences", "a", 1),)))
    write_segment(tmp_path / "ff.spool", [b"\xc1"])
    (tmp_path / "fe.spool").mkdir()
    counts = census.count(tmp_path, MemoryStorage(), {"seen": 1, "dropped.no_alias": 1, "errors": 1})
    assert counts == {
        "seen": 6,
        "stored": 0,
        "deduplicated": 0,
        "spooled": 3,
        "errors": 1,
        "dropped": {"no_alias": 3},
        "identity": {"ok": 5},
    }
    assert balanced(counts)


def test_a_storage_that_does_not_answer_is_told(tmp_path: Path) -> None:
    """What waits is counted all the same."""
    make_spool(tmp_path).append(event())
    counts = census.count(tmp_path, FailingStorage(down()), {})
    assert (counts["storage_unavailable"], counts["spooled"], balanced(counts)) == (1, 1, True)


class Removing(MemoryStorage):
    """Between its answer and the look into the folder, a segment goes."""

    def __init__(self, folder: Path, times: int) -> None:
        super().__init__()
        self.folder = folder
        self.times = times

    def go(self, name: str) -> None:
        if self.times:
            self.times -= 1
            raise FileNotFoundError(name)


@pytest.mark.parametrize(("times", "spooled"), [(1, 1), (1000, 0)], ids=["once", "each time"])
def test_a_segment_that_goes_meanwhile_is_asked_for_again(
    times: int, spooled: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few times; then what can be counted adds up without it."""
    storage = Removing(tmp_path, times)
    journal = make_spool(tmp_path)
    journal.append(event())
    read = segments.payloads

    def payloads(path: Path, position: int) -> Any:
        storage.go(path.name)
        return read(path, position)

    monkeypatch.setattr(segments, "payloads", payloads)
    counts = census.count(tmp_path, storage, {"seen": 1, "dropped.no_alias": 1})
    assert counts["spooled"] == spooled
    assert balanced(counts)


class OvertakenStorage(MemoryStorage):
    """Right after its first answer a writer moves everything to it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.drainer: Writer | None = make_writer(folder, self)

    def ledger(self) -> Ledger:
        ledger = super().ledger()
        drainer, self.drainer = self.drainer, None
        if drainer is not None:
            drainer.drain()
        return ledger


def test_what_is_stored_right_after_the_storage_was_asked_is_not_missed(tmp_path: Path) -> None:
    """What was recorded before is in the count, here or there."""
    journal = make_spool(tmp_path)
    journal.append(event())
    journal.close()
    counts = census.count(tmp_path, OvertakenStorage(tmp_path), {})
    assert (counts["seen"], counts["stored"], counts["spooled"]) == (1, 1, 0)


def test_counters_add_up_while_everything_moves(tmp_path: Path) -> None:
    """Others record, a writer drains and removes; each count is of one moment and none goes back."""
    storage = MemoryStorage()
    ending = threading.Event()

    def record() -> None:
        for number in range(150):
            journal = make_spool(tmp_path, seed=number)
            journal.append(event(str(number), time_us=number + 1))
            journal.close()
        ending.set()

    def drain() -> None:
        drainer = make_writer(tmp_path, storage)
        while not ending.is_set():
            drainer.drain()
        drainer.drain()

    threads = [threading.Thread(target=work) for work in (record, drain)]
    for thread in threads:
        thread.start()
    seen = []
    while any(thread.is_alive() for thread in threads):
        counts = census.count(tmp_path, storage, {})
        assert balanced(counts)
        seen.append(counts["seen"])
    counts = census.count(tmp_path, storage, {})
    assert [*seen, counts["seen"]] == sorted([*seen, 150])  # type: ignore[type-var]
    assert (counts["stored"], counts["spooled"]) == (150, 0)


def test_whether_others_have_drained_what_was_there(tmp_path: Path) -> None:
    """Up to the sizes of then; a segment that is gone was drained."""
    storage = MemoryStorage()
    journal, left = make_spool(tmp_path, seed=1), make_spool(tmp_path, seed=2)
    journal.append(event("a"))
    left.append(event("b"))
    left.close()
    waiting = census.sizes(tmp_path)
    assert len(waiting) == 2
    assert not census.is_drained(tmp_path, storage, waiting)
    make_writer(tmp_path, storage).drain()
    journal.append(event("later"))
    assert census.is_drained(tmp_path, storage, waiting)
