"""The log of erasures beside the database: keyed hashes and times, so that a restored backup learns of them.

It is appended to before anything is erased. Keep it, and the keys, out of what a restore overwrites.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec


class Erased(msgspec.Struct, frozen=True, array_like=True):
    """One erasure: the namespace, the visitor's keyed hash in hexadecimal digits, microseconds since the epoch.

    `mark` tells the hash's key without giving it away, in hexadecimal digits, too.
    """

    namespace: str
    hash: str
    time_us: int
    mark: str = ""


_decoder = msgspec.json.Decoder(Erased)


class ErasureLog:
    """One line of JSON for each erasure."""

    def __init__(self, path: Path) -> None:
        """Keep the log in `path` (0600), made at the first erasure."""
        self._path = path

    def append(self, namespace: str, hash_: bytes, mark: bytes, time_us: int) -> None:
        """Keep an erasure durably, with the mark of the key that its hash was made with.

        Raises:
            OSError: it is not kept.
        """
        line = msgspec.json.encode(Erased(namespace, hash_.hex(), time_us, mark.hex())) + b"\n"
        descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # A line that a full disk cut short stays by itself: the next begins on a line of its own.
            os.write(descriptor, b"\n" + line if self._is_torn() else line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _is_torn(self) -> bool:
        with self._path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            return file.read(1) not in {b"\n", b""}

    def latest(self) -> dict[tuple[str, bytes], int]:
        """Give the time of the latest erasure of each (namespace, hash); torn lines tell nothing.

        Raises:
            OSError: it is there and cannot be read.
        """
        found: dict[tuple[str, bytes], int] = {}
        for one in self._lines():
            place = one.namespace, bytes.fromhex(one.hash)
            found[place] = max(one.time_us, found.get(place, 0))
        return found

    def marks(self) -> set[bytes]:
        """Give the marks of the keys that the log's hashes were made with.

        Raises:
            OSError: it is there and cannot be read.
        """
        return {bytes.fromhex(one.mark) for one in self._lines() if one.mark}

    def _lines(self) -> Iterator[Erased]:
        if not self._path.exists():
            return
        for line in self._path.read_bytes().splitlines():
            with suppress(msgspec.DecodeError, ValueError):
                one = _decoder.decode(line)
                bytes.fromhex(one.hash + one.mark)
                yield one
