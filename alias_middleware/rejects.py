"""The file of records that could not be stored: a line of JSON each, for somebody to look at.

Whoever changes it holds its lock, so that nobody writes to a file that another has just replaced.
"""

from __future__ import annotations

import base64
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import msgspec


def keep(path: Path, line: bytes) -> None:
    """Append a line for good; the file is its owner's only.

    Raises:
        OSError: it is not kept.
    """
    with _locked(path, os.O_CREAT | os.O_RDWR | os.O_APPEND) as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def forget(path: Path, key: str) -> int:
    """Take out the lines that hold a visitor key, and give their number; none where there is no file.

    The file is overwritten where it stands, so that nothing of them is left on the disk beside it.

    Raises:
        OSError: it cannot be read or changed.
    """
    if not path.exists():
        return 0
    with _locked(path, os.O_RDWR) as file:
        lines = file.read().splitlines(keepends=True)
        left = [line for line in lines if not _holds(line, key.encode())]
        if len(left) < len(lines):
            file.seek(0)
            file.write(b"".join(left))
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
    return len(lines) - len(left)


@contextmanager
def _locked(path: Path, flags: int) -> Iterator[IO[bytes]]:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield file


def _holds(line: bytes, key: bytes) -> bool:
    """Tell whether a record is of a visitor: by its text, or by the bytes of one that did not decode."""
    if key in line:
        return True
    with suppress(msgspec.DecodeError, ValueError):
        said: dict[str, Any] = msgspec.json.decode(line)
        return key in base64.b64decode(str(said.get("payload", "")))
    return False
