"""The write that keeps the interpreter: the same bytes as `os.write`, and no thread in between."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alias_middleware.syscalls import Write, keeping_write
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def without_ctypes(monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    return keeping_write()


def test_it_writes_every_byte(tmp_path: Path) -> None:
    """Also a NUL, at which a C string would end."""
    with opened(tmp_path / "file") as descriptor:
        assert keeping_write()(descriptor, b"one\0two", 7) == 7
        assert keeping_write()(descriptor, b"three", 5) == 5
    assert (tmp_path / "file").read_bytes() == b"one\0twothree"


def test_it_tells_that_nothing_was_written(tmp_path: Path) -> None:
    with opened(tmp_path / "file") as descriptor:
        pass
    assert keeping_write()(descriptor, b"one", 3) < 0


def test_a_python_without_ctypes_writes_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path / "file") as descriptor:
        assert without_ctypes(monkeypatch)(descriptor, b"one\0two", 7) == 7
    assert (tmp_path / "file").read_bytes() == b"one\0two"


def test_a_python_that_may_not_use_ctypes_writes_as_well(tmp_path: Path) -> None:
    """An audit hook may refuse what it likes, by what it likes; one is there until its process ends."""
    script = """
import os, sys
def refuse(event, _):
    if event == "ctypes.dlopen":
        raise RuntimeError("not here")
sys.addaudithook(refuse)
from alias_middleware.syscalls import keeping_write
descriptor = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
assert keeping_write()(descriptor, b"one", 3) == 3
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "file")], check=True, cwd=ROOT, timeout=30)
    assert (tmp_path / "file").read_bytes() == b"one"


def test_no_other_thread_runs_while_it_writes(tmp_path: Path) -> None:
    """A thread that waits for the interpreter gets it during many an `os.write`, and during none of these."""
    with opened(tmp_path / "file") as descriptor:
        assert _interruptions(keeping_write(), descriptor) == 0
        wait_until(
            lambda: _interruptions(lambda file, data, _: os.write(file, data), descriptor) > 0,
            "another thread runs during os.write",
        )


def _interruptions(write: Write, descriptor: int) -> int:
    """Count in how many of a thousand writes another thread, which would always run, ran."""
    turns = [0]
    ends = threading.Event()

    def run() -> None:
        while not ends.is_set():
            turns[0] += 1
            time.sleep(0)  # lets go of the interpreter, and waits for it again

    before = sys.getswitchinterval()
    sys.setswitchinterval(10.0)  # nobody is made to let go: who lets go does so of his own
    other = threading.Thread(target=run)
    try:
        other.start()
        interruptions = 0
        for _ in range(1000):
            seen = turns[0]
            write(descriptor, b"x", 1)
            interruptions += turns[0] != seen
        return interruptions
    finally:
        ends.set()
        sys.setswitchinterval(before)
        other.join()
