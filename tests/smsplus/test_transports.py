"""Transports for trials: what they are handed is written down or shown, and sent to nobody."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest

from alias_middleware.errors import NotAccepted
from alias_middleware.smsplus.transports import ConsoleTransport, FileTransport
from alias_middleware.transport import Outgoing, Transport

ALIAS = "314522927347"
MESSAGE = Outgoing("m1", ALIAS, "36123", "Été à 3 € STOP 36123")


def test_a_file_holds_what_would_be_sent(tmp_path: Path) -> None:
    """A line of JSON for each message, for its owner's eyes only: aliases are in it."""
    path = tmp_path / "sent.jsonl"
    transport: Transport = FileTransport(path)
    transport.send(MESSAGE)
    transport.send(MESSAGE)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines == [{"message_id": "m1", "receiver": ALIAS, "sender": "36123", "text": MESSAGE.text}] * 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_takes_nothing(tmp_path: Path) -> None:
    """The error says so, and no alias."""
    with pytest.raises(NotAccepted) as caught:
        FileTransport(tmp_path / "missing" / "sent.jsonl").send(MESSAGE)
    assert caught.value.reason == "unwritable"
    assert caught.value.__context__ is None


def test_the_console_shows_a_message_and_no_alias() -> None:
    """Whoever looks on sees the text and what it costs."""
    stream = io.StringIO()
    transport: Transport = ConsoleTransport(stream)
    transport.send(MESSAGE)
    assert stream.getvalue() == "m1 from 36123, segments: 1\n  Été à 3 € STOP 36123\n"


def test_a_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    """As one that an editor or a shell had made; a device or a pipe is left as it is."""
    path = tmp_path / "sent.jsonl"
    path.touch(0o644)
    path.chmod(0o644)
    FileTransport(path).send(MESSAGE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    FileTransport("/dev/null").send(MESSAGE)
    assert stat.S_IMODE(Path("/dev/null").stat().st_mode) == 0o666
