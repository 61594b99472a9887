"""Reading the spool: the segments of a folder, whoever left them, and the lock that elects one writer."""

from __future__ import annotations

import fcntl
import os
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from alias_middleware.spool import (
    DRAFT_SUFFIX,
    FORMAT,
    FRAME,
    LARGEST_RECORD,
    SUFFIX,
    Header,
    decode_header,
)

UNREADABLE_SUFFIX = ".unreadable"
_LOCK_NAME = "writer.lock"


class Part(NamedTuple):
    """What was read of a segment.

    `records`: place and payload of each whole record. `end`: where reading goes on. `torn`: records that a
    crash or a bad disk left unreadable. `abandoned`: nobody appends to it any more.
    """

    header: Header | None
    records: list[tuple[int, bytes]]
    end: int
    torn: int
    abandoned: bool


class WriterLock:
    """The lock of a spool folder: who holds it is the writer."""

    def __init__(self, folder: Path) -> None:
        """Contend for the lock of a folder."""
        self._path = folder / _LOCK_NAME
        self._descriptor: int | None = None
        # A forked child shares the lock until it closes its copy; one that never asks must not keep it.
        os.register_at_fork(after_in_child=partial(_release, weakref.ref(self)))

    @property
    def held(self) -> bool:
        """Whether this object holds the lock on the file that is there now."""
        if self._descriptor is None:
            return False
        try:
            there, ours = os.stat(self._path), os.fstat(self._descriptor)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def acquire(self) -> bool:
        """Try to become the writer, without waiting; False when somebody else is.

        Raises:
            OSError: the folder cannot be used.
        """
        if self.held:
            return True
        self.release()
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let somebody else be the writer."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)


def _release(lock: weakref.ref[WriterLock]) -> None:
    if (held := lock()) is not None:
        held.release()


def names(folder: Path) -> list[str]:
    """Give the names of a folder's segments, in a stable order."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.name.endswith(SUFFIX))
    return []


@contextmanager
def _opened(path: Path) -> Iterator[tuple[int, bool]]:
    """Open a segment and tell whether it is abandoned: its owner's lock goes with the owner."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            abandoned = True
        except BlockingIOError:
            abandoned = False
        yield descriptor, abandoned
    finally:
        os.close(descriptor)


def read(path: Path, position: int, most: int) -> Part:
    """Read whole records from `position` on, about `most` bytes of them.

    Raises:
        OSError: the file cannot be read.
    """
    with _opened(path) as (descriptor, abandoned):
        header, first = _read_header(descriptor)
        start = max(position, first)
        data = os.pread(descriptor, most, start)
        whole = start + len(data) >= os.fstat(descriptor).st_size
    records: list[tuple[int, bytes]] = []
    torn, at = 0, 0
    while len(data) - at >= FRAME.size:
        length, checksum = FRAME.unpack_from(data, at)
        body = at + FRAME.size
        if not 0 < length <= LARGEST_RECORD or body + length > len(data):
            break
        payload = data[body : body + length]
        if zlib.crc32(payload) == checksum:
            records.append((start + at, payload))
        elif abandoned:
            torn += 1
        else:
            break
        at = body + length
    if abandoned and whole and at < len(data):
        torn, at = torn + 1, len(data)
    return Part(header, records, start + at, torn, abandoned and whole and at == len(data))


def _read_header(descriptor: int) -> tuple[Header | None, int]:
    """Give a segment's header and where its records begin; without a readable header nothing is."""
    frame = os.pread(descriptor, FRAME.size, 0)
    if len(frame) < FRAME.size:
        return None, 0
    length, checksum = FRAME.unpack(frame)
    payload = os.pread(descriptor, min(length, LARGEST_RECORD), FRAME.size)
    if zlib.crc32(payload) != checksum:
        return None, 0
    try:
        header = decode_header(payload)
    except msgspec.DecodeError:
        return None, 0
    return (header if header.format == FORMAT else None), FRAME.size + length


def payloads(path: Path, position: int) -> Iterator[bytes]:
    """Give the whole records from `position` on.

    Raises:
        OSError: the file cannot be read.
    """
    while True:
        part = read(path, position, 1 << 20)
        yield from (payload for _, payload in part.records)
        if not part.records:
            return
        position = part.end


def set_aside(path: Path) -> None:
    """Keep an abandoned segment whose header cannot be read for somebody to look at, out of the way."""
    with suppress(FileNotFoundError):
        os.rename(path, path.with_suffix(UNREADABLE_SUFFIX))


def remove(path: Path) -> None:
    """Delete a segment that was drained to its end."""
    with suppress(FileNotFoundError):
        os.unlink(path)


def remove_drafts(folder: Path) -> None:
    """Delete segments that a crash left unnamed: nothing was appended to them."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(DRAFT_SUFFIX):
                with suppress(FileNotFoundError), _opened(Path(entry.path)) as (_, abandoned):
                    if abandoned:
                        os.unlink(entry.path)
