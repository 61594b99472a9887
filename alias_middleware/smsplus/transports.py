"""Transports for trials: what they are handed goes into a file or onto a screen, and to nobody's phone."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TextIO

import msgspec

from alias_middleware import gsm
from alias_middleware.errors import NotAccepted
from alias_middleware.transport import Outgoing


class FileTransport:
    """For trials: appends each message as a line of JSON to a file that only its owner reads."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def send(self, message: Outgoing) -> None:
        """Write a message down. Raises `NotAccepted` where the file cannot be written."""
        line = msgspec.json.encode(message) + b"\n"
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with open(descriptor, "ab", buffering=0) as file:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    os.fchmod(descriptor, 0o600)  # it may have been there, for everybody to read
                file.write(line)
        except OSError:
            written = False
        else:
            written = True
        if not written:
            raise NotAccepted(reason="unwritable", temporary=True)


class ConsoleTransport:
    """For trials: shows each message on a stream, without the alias."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def send(self, message: Outgoing) -> None:
        """Show a message: its id, its sender, what it is charged for, and its text."""
        segments = len(gsm.segments(message.text))
        self._stream.write(f"{message.message_id} from {message.sender}, segments: {segments}\n  {message.text}\n")
