"""The reading end of the spool: every whole record once, whatever became of the file."""

from __future__ import annotations

import fcntl
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alias_middleware import segments
from alias_middleware.records import FORMAT, FRAME, encode_record
from tests.support.spools import event, make_spool, names_of, read_all, records_in, write_segment

payload_lists = st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=8)


@contextmanager
def segment(payloads: list[bytes]) -> Iterator[tuple[Path, bytes, list[int]]]:
    """Write a segment to a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "0000000000000007.spool"
        data, places = write_segment(path, payloads)
        yield path, data, places


def untouched(payloads: list[bytes], places: list[int], start: int, end: int) -> list[bytes]:
    """The records that lie outside the bytes from `start` to `end`."""
    return [
        payload
        for payload, begin, behind in zip(payloads, places, places[1:], strict=False)
        if behind <= start or begin >= end
    ]


@given(payload_lists, st.data())
def test_a_truncated_segment_gives_what_is_whole(payloads: list[bytes], data: st.DataObject) -> None:
    """The record that was cut counts as torn, once."""
    with segment(payloads) as (path, whole, places):
        cut = data.draw(st.integers(places[0], len(whole)))
        path.write_bytes(whole[:cut])
        assert read_all(path) == (untouched(payloads, places, cut, len(whole)), int(cut not in places))


@given(payload_lists, st.data())
def test_a_damaged_segment_gives_all_that_is_undamaged(payloads: list[bytes], data: st.DataObject) -> None:
    """A flipped bit, or bytes overwritten, cost the records they are in and no other."""
    with segment(payloads) as (path, whole, places):
        start = data.draw(st.integers(places[0], len(whole) - 1))
        end = data.draw(st.integers(start + 1, len(whole)))
        flip = data.draw(st.integers(1, 255))
        path.write_bytes(whole[:start] + bytes(byte ^ flip for byte in whole[start:end]) + whole[end:])
        assert read_all(path) == (untouched(payloads, places, start, end), 1)


@given(payload_lists, st.data())
def test_zeros_after_a_loss_of_power_are_one_torn_stretch(payloads: list[bytes], data: st.DataObject) -> None:
    """The file system may keep a file's length and lose what was in it."""
    with segment(payloads) as (path, whole, places):
        start = data.draw(st.sampled_from(places))
        path.write_bytes(whole[:start] + b"\0" * data.draw(st.integers(1, 5000)))
        assert read_all(path) == (untouched(payloads, places, start, len(whole)), 1)


def test_zeros_are_no_record_where_the_checksum_of_nothing_is_zero(tmp_path: Path) -> None:
    """One segment in four thousand million begins its checksums with 0."""
    data, _ = write_segment(tmp_path / "a.spool", [b"one"], base=1 << 32)
    (tmp_path / "a.spool").write_bytes(data + b"\0" * 100)
    assert read_all(tmp_path / "a.spool") == ([b"one"], 1)


@given(payload_lists, st.integers(1, 200), st.integers(1, 5))
def test_steps_of_any_size_give_every_record_once(payloads: list[bytes], most: int, records: int) -> None:
    """However little is read at a time."""
    with segment(payloads) as (path, _, _):
        assert read_all(path, most, records) == (payloads, 0)


@given(st.binary(max_size=300))
def test_rubbish_never_raises(rubbish: bytes) -> None:
    """A file that is no segment is given up, and counts once if anything is in it."""
    with segment([]) as (path, _, _):
        path.write_bytes(rubbish)
        part = segments.read(path, 0, 1 << 20)
        assert (part.header, part.records, part.torn, part.ended) == (None, [], int(bool(rubbish)), True)
        assert segments.read(path, part.end, 1 << 20).torn == 0
        assert list(segments.payloads(path, 0)) == []


@given(st.binary(max_size=100), st.data())
def test_rubbish_behind_the_header_never_raises(rubbish: bytes, data: st.DataObject) -> None:
    """Nor does any frame that was never written."""
    with segment([]) as (path, whole, _):
        length = data.draw(st.integers(0, 2**32 - 1))
        path.write_bytes(whole + FRAME.pack(length, zlib.crc32(rubbish)) + rubbish)
        assert read_all(path) == ([], 1)


@settings(max_examples=30)
@given(st.integers(min_value=1))
def test_a_damaged_length_does_not_hide_what_is_far_behind(seed: int) -> None:
    """Not even when more is unreadable than is read at a time."""
    payloads = [bytes([number]) * 50_000 for number in range(1, 40)]
    with segment(payloads) as (path, whole, places):
        at = places[seed % 38]
        path.write_bytes(whole[:at] + b"\xff\xff\xff\x7f" + whole[at + 4 :])
        assert read_all(path, 4096) == (untouched(payloads, places, at, at + 1), 1)


def test_what_a_visitor_put_into_a_damaged_record_is_no_record(tmp_path: Path) -> None:
    """A checksum begins with a number that nobody outside knows."""
    forged = encode_record(event("forged"))
    inside = FRAME.pack(len(forged), zlib.crc32(forged)) + forged
    data, places = write_segment(tmp_path / "a.spool", [b"path=" + inside + b"...", b"next"])
    (tmp_path / "a.spool").write_bytes(data[: places[0]] + b"\xff" + data[places[0] + 1 :])
    assert read_all(tmp_path / "a.spool") == ([b"next"], 1)


def test_a_segment_in_use_is_read_as_far_as_it_is_written(tmp_path: Path) -> None:
    """A record on its way into the file is waited for, byte by byte; then it is read."""
    journal = make_spool(tmp_path)
    journal.append(event("first"))
    (name,) = segments.names(tmp_path)
    before = segments.read(tmp_path / name, 0, 1 << 20)
    journal.append(event("second"))
    data = (tmp_path / name).read_bytes()
    for length in range(before.end, len(data)):
        os.truncate(tmp_path / name, length)
        part = segments.read(tmp_path / name, before.end, 1 << 20)
        assert (part.records, part.end, part.torn, part.more, part.ended) == ([], before.end, 0, False, False)
        (tmp_path / name).write_bytes(data)
    assert len(segments.read(tmp_path / name, before.end, 1 << 20).records) == 1


def test_damage_in_a_segment_in_use_is_passed_over_when_more_follows(tmp_path: Path) -> None:
    """One bit does not hold up what a busy process records until it ends."""
    journal = make_spool(tmp_path)
    journal.append(event("first"))
    (name,) = segments.names(tmp_path)
    place = segments.read(tmp_path / name, 0, 1 << 20).end
    journal.append(event("damaged"))
    with (tmp_path / name).open("r+b") as file:
        file.seek(place + 1)
        file.write(b"\x40")
    assert segments.read(tmp_path / name, place, 1 << 20).end == place
    journal.append(event("last"))
    part = segments.read(tmp_path / name, place, 1 << 20)
    assert (part.torn, part.more) == (1, True)
    assert len(segments.read(tmp_path / name, part.end, 1 << 20).records) == 1


def test_a_segment_ends_when_nobody_holds_it(tmp_path: Path) -> None:
    """In use it never ends; left, it does when all of it was read."""
    journal = make_spool(tmp_path)
    journal.append(event("one"))
    journal.append(event("two"))
    (name,) = segments.names(tmp_path)
    assert not segments.read(tmp_path / name, 0, 1 << 20).ended
    journal.close()
    part = segments.read(tmp_path / name, 0, 1 << 20, 1)
    assert (part.more, part.ended) == (True, False)
    assert segments.read(tmp_path / name, part.end, 1 << 20).ended


def test_a_segment_cut_below_its_position_ends(tmp_path: Path) -> None:
    """After a loss of power a file may be shorter than what the storage took of it."""
    data, _ = write_segment(tmp_path / "a.spool", [b"one"])
    part = segments.read(tmp_path / "a.spool", len(data) + 10, 1 << 20)
    assert (part.records, part.torn, part.ended, part.more) == ([], 0, True, False)


@pytest.mark.parametrize("payloads", [pytest.param([], id="empty"), pytest.param([b"later"], id="with records")])
def test_a_newer_format_is_left_to_a_newer_version(payloads: list[bytes], tmp_path: Path) -> None:
    """It is neither read nor given up."""
    path = tmp_path / "a.spool"
    write_segment(path, payloads, version=FORMAT + 1)
    part = segments.read(path, 0, 1 << 20)
    assert part == segments.Part(None, [], 0, newer=True)
    assert list(segments.payloads(path, 0)) == []


def test_a_header_of_another_shape_is_unreadable(tmp_path: Path) -> None:
    """Whole by its checksum, but not a header of this format."""
    path = tmp_path / "a.spool"
    payload = encode_record({"format": FORMAT})
    path.write_bytes(FRAME.pack(len(payload), zlib.crc32(payload)) + payload)
    assert segments.read(path, 0, 1 << 20).torn == 1
    segments.set_aside(path)
    segments.set_aside(path)
    assert [left.name for left in tmp_path.iterdir()] == ["a.unreadable"]


def test_a_finished_segment_is_noted_in_the_folder_until_removed(tmp_path: Path) -> None:
    """Its name is known although it is no segment any more; each step may be done twice."""
    write_segment(tmp_path / "a.spool", [b"one"])
    for _ in range(2):
        segments.finish(tmp_path / "a.spool")
        assert (segments.names(tmp_path), segments.done(tmp_path)) == ([], ["a.spool"])
    for _ in range(2):
        segments.remove(tmp_path / "a.spool")
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    """Nobody has recorded anything yet."""
    assert segments.names(tmp_path / "none") == segments.done(tmp_path / "none") == []
    segments.remove_drafts(tmp_path / "none")


def test_only_drafts_without_an_owner_are_removed(tmp_path: Path) -> None:
    """One that is held is about to get its name."""
    journal = make_spool(tmp_path)
    journal.append(event())
    (name,) = segments.names(tmp_path)
    (tmp_path / name).rename(tmp_path / "held.draft")
    (tmp_path / "left.draft").write_bytes(b"")
    segments.remove_drafts(tmp_path)
    assert [left.name for left in tmp_path.iterdir()] == ["held.draft"]
    journal.close()
    segments.remove_drafts(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_of_several_is_the_writer(tmp_path: Path) -> None:
    """Who asks later gets the lock when it is released, or when its file was deleted."""
    first, second = (segments.WriterLock(tmp_path / "spool") for _ in range(2))
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    assert (first.held, second.held) == (True, False)
    first.release()
    assert second.acquire()
    (tmp_path / "spool" / "writer.lock").unlink()
    assert not second.held
    assert first.acquire()
    assert not second.acquire()
    first.release()


def test_a_lock_that_cannot_be_had_is_told_from_one_that_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system without locks is an error, not another writer."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError("no locks available")

    lock = segments.WriterLock(tmp_path)
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="no locks"):
        lock.acquire()
    assert not lock.held


@pytest.mark.parametrize("most", [1, 100, 1 << 20])
def test_what_was_appended_is_read_in_order(most: int, tmp_path: Path) -> None:
    """Whatever the sizes of records and steps."""
    journal = make_spool(tmp_path)
    for number in range(50):
        journal.append(event(str(number), filler="x" * (number * 37 % 500)))
    (name,) = segments.names(tmp_path)
    payloads, torn = read_all(tmp_path / name, most)
    assert (len(payloads), torn) == (50, 0)
    assert names_of(records_in(tmp_path)) == [str(number) for number in range(50)]
