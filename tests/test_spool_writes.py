"""Writes of the spool that fail, fall short or take several goes: a record is there whole, or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from alias_middleware import segments
from alias_middleware.errors import SpoolError
from alias_middleware.spool import Spool
from tests.support.processes import ROOT
from tests.support.spools import event, make_spool, names_of, records_in


def test_a_write_cut_short_is_taken_back(tmp_path: Path) -> None:
    """A file that may not grow (RLIMIT_FSIZE) takes the beginning of a record; the spool removes it."""
    script = """
import resource, sys
from pathlib import Path
from alias_middleware.errors import SpoolError
from alias_middleware.records import decode_record
from tests.support.spools import event, make_spool, names_of, read_all, records_in
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
folder, taken, refused = Path(sys.argv[1]), [], 0
journal = make_spool(folder)
for number in range(20):
    try:
        journal.append(event(str(number), filler="x" * 700))
        taken.append(str(number))
    except SpoolError:
        refused += 1
journal.close()
assert sorted(names_of(records_in(folder)), key=int) == taken, (taken, records_in(folder))
assert 0 < refused < 10 < len(taken), (refused, taken)  # it goes on in new segments
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "spool")], check=True, cwd=ROOT, timeout=30)


def test_taking_back_knows_nothing_but_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal handler that raised between two steps of an append does not make a later one cut a record."""
    journal = make_spool(tmp_path)
    journal.append(event("first"))
    journal._size -= 30  # as if the append had been left before it had noted what it wrote
    with monkeypatch.context() as patch:
        HalfWrite().take_over(journal, patch)
        with pytest.raises(SpoolError):
            journal.append(event("cut short"))
    journal.append(event("last"))
    assert names_of(records_in(tmp_path)) == ["first", "last"]


class HalfWrite:
    """Writes some of a record; then the disk is full."""

    def __init__(self) -> None:
        self._write = os.write
        self._left = 20

    def take_over(self, journal: Spool, patch: pytest.MonkeyPatch) -> None:
        """Write for a spool, at its first try and at the next."""
        patch.setattr(journal, "_write", lambda descriptor, frame, _: self(descriptor, frame))
        patch.setattr(os, "write", self)

    def __call__(self, descriptor: int, frame: bytes) -> int:
        if not self._left:
            raise OSError(errno.ENOSPC, "full")
        written = self._write(descriptor, frame[: self._left])
        self._left = 0
        return written


def test_a_write_that_takes_several_goes_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may write less than it was asked to."""
    write = os.write
    journal = make_spool(tmp_path)
    journal.append(event("first"))
    with monkeypatch.context() as patch:
        patch.setattr(journal, "_write", lambda descriptor, frame, _: write(descriptor, frame[:20]))
        patch.setattr(os, "write", lambda descriptor, frame: write(descriptor, frame[:20]))
        journal.append(event("second"))
    assert names_of(records_in(tmp_path)) == ["first", "second"]


def test_a_write_that_succeeds_at_the_second_try_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first says only that nothing was written; why, the second tells, or it writes."""
    journal = make_spool(tmp_path)
    journal.append(event("first"))
    with monkeypatch.context() as patch:
        patch.setattr(journal, "_write", lambda *_: -1)
        journal.append(event("second"))
    journal.append(event("third"))
    assert names_of(records_in(tmp_path)) == ["first", "second", "third"]


def test_a_write_that_fails_twice_leaves_the_segment_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make_spool(tmp_path)
    journal.append(event("first"))
    (segment,) = tmp_path.glob("*.spool")
    before = segment.read_bytes()

    def refuse(descriptor: int, frame: bytes) -> int:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "_write", lambda *_: -1)
        patch.setattr(os, "write", refuse)
        with pytest.raises(SpoolError) as refusal:
            journal.append(event("refused"))
    assert refusal.value.reason == "disk_full"
    assert segment.read_bytes() == before


def test_a_segment_that_cannot_be_cut_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be taken back stays as a torn end; events go on in a new segment."""
    journal = make_spool(tmp_path)
    journal.append(event("first"))

    def refuse(descriptor: int, length: int) -> None:
        raise OSError(errno.EIO, "it does not")

    with monkeypatch.context() as patch:
        HalfWrite().take_over(journal, patch)
        patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(SpoolError):
            journal.append(event("torn"))
    journal.append(event("last"))
    read = [segments.read(tmp_path / name, 0, 1 << 20) for name in segments.names(tmp_path)]
    assert sorted(len(part.records) for part in read) == [1, 1]
    assert len(read) == 2
