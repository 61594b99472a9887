"""The lines of a file, plain, gzip or zstd, one at a time and each of bounded length."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from alias_middleware.errors import SettingsError

Damaged = tuple[type[Exception], ...]
"""What unpacking raises."""

LINE_LIMIT = 64 * 1024
"""Bytes of one line. Of a longer one only the beginning is handed out, so that it will not parse."""

_SHOWN = 256
_DAMAGED: Damaged = (EOFError, zlib.error)
_DAMAGED_SAYS = "packed data are damaged or cut off"
_FINGERPRINTED = 64 * 1024
_BUFFER = 1 << 20
_ZSTD = b"\x28\xb5\x2f\xfd"
_GZIP = b"\x1f\x8b"


class Lines:
    """An open file: iterate for its lines without their ends. `read_bytes`: how much of the file was read."""

    def __init__(self, raw: IO[bytes], plain: IO[bytes], damaged: Damaged) -> None:
        """Read `plain`, which unpacks `raw` and raises one of `damaged` where it cannot."""
        self._raw = raw
        self._damaged = damaged
        self._plain = plain
        self.unfinished = False
        """Whether the last line handed out had no end: somebody may still be writing it."""

    @property
    def read_bytes(self) -> int:
        """How far the reading has come in the file itself, packed or not."""
        return self._raw.tell()

    def __iter__(self) -> Iterator[bytes]:
        readline = self._plain.readline
        try:
            while line := readline(LINE_LIMIT):
                if len(line) == LINE_LIMIT and not line.endswith(b"\n"):
                    line = self._too_long(line)
                self.unfinished = not line.endswith(b"\n")
                yield line.rstrip(b"\r\n")
        except self._damaged as error:
            raise OSError(errno.EIO, _DAMAGED_SAYS) from error

    def _too_long(self, line: bytes) -> bytes:
        """Pass over the rest of an endless line: no part of it may be taken for a line of its own."""
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = self._plain.readline(LINE_LIMIT)
        return b"too long: " + line[:_SHOWN] + b"\n"


@contextmanager
def opened(path: Path) -> Iterator[Lines]:
    """Open a file for its lines, unpacking what begins as gzip or zstd does.

    A zstd file that was cut off reads as if it ended there.

    Raises:
        OSError: it cannot be read; packed data may be damaged.
        SettingsError: it is zstd, and the package for it is missing.
    """
    with path.open("rb") as raw:
        plain, damaged = _unpacked(raw)
        with plain:
            yield Lines(raw, plain, damaged)


def _unpacked(raw: IO[bytes]) -> tuple[IO[bytes], Damaged]:
    """Give the plain content, and what reading it raises where it is damaged."""
    head = raw.read(4)
    raw.seek(0)
    if head.startswith(_GZIP):
        return cast(IO[bytes], io.BufferedReader(gzip.GzipFile(fileobj=raw), _BUFFER)), _DAMAGED
    if head == _ZSTD:
        try:
            import zstandard
        except ModuleNotFoundError as error:
            raise SettingsError('zstd files need it: pip install "zstandard"', setting="zstandard") from error
        reader: Any = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True, closefd=False)
        return cast(IO[bytes], io.BufferedReader(reader, _BUFFER)), (*_DAMAGED, zstandard.ZstdError)
    return cast(IO[bytes], io.BufferedReader(raw, _BUFFER)), _DAMAGED


def fingerprint(path: Path) -> str:
    """Name a file by how its unpacked content begins: packed, renamed or grown longer, it is the same file.

    One of less than 64 KiB is another when it has grown: its lines are known by their ids then.
    """
    with path.open("rb") as raw:
        plain, damaged = _unpacked(raw)
        try:
            begins = plain.read(_FINGERPRINTED)
        except damaged as error:
            raise OSError(errno.EIO, _DAMAGED_SAYS) from error
    return hashlib.blake2b(begins, digest_size=12).hexdigest()
