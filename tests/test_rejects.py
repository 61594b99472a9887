"""The file of records that could not be stored, which holds what its visitors may have erased."""

from __future__ import annotations

import base64
import fcntl
import json
import threading
from pathlib import Path

import pytest

from alias_middleware import rejects

ALIAS, OTHER = "314522927347", "271828182845"


def line(**said: object) -> bytes:
    return json.dumps({"service": "sonneries", **said}).encode() + b"\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with two records of one visitor, one of them of bytes that did not decode, and one of another's."""
    path = tmp_path / "rejected.jsonl"
    unreadable = base64.b64encode(b"\x93\xac" + ALIAS.encode() + b"\xff").decode()
    for each in (line(event=["t", ALIAS]), line(event=["t", OTHER]), line(payload=unreadable), b"no JSON\n"):
        rejects.keep(path, each)
    return path


def test_an_erased_visitors_records_go(path: Path) -> None:
    """His, whatever became of their bytes; the others stay, and the file stays its owner's."""
    assert rejects.forget(path, ALIAS) == 2
    assert path.read_bytes() == line(event=["t", OTHER]) + b"no JSON\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert rejects.forget(path, ALIAS) == 0
    rejects.keep(path, line(event=["t", "new"]))
    assert path.read_bytes().count(b"\n") == 3


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Nothing is made of it."""
    assert rejects.forget(tmp_path / "rejected.jsonl", ALIAS) == 0
    assert list(tmp_path.iterdir()) == []


def test_who_writes_waits_for_who_forgets(path: Path) -> None:
    """Otherwise a record could go to where the file is about to be cut."""
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        writer = threading.Thread(target=rejects.keep, args=(path, line(event=["t", "late"])))
        writer.start()
        writer.join(0.1)
        assert writer.is_alive()
        assert b"late" not in path.read_bytes()
    writer.join(10)
    assert b"late" in path.read_bytes()
