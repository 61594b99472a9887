"""Reading the spool: the segments of a folder, whoever left them, and the lock that elects one writer."""

from __future__ import annotations

import fcntl
import os
import threading
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from alias_middleware.records import FORMAT, FRAME, LARGEST_RECORD, Header, decode_header
from alias_middleware.spool import DRAFT_SUFFIX, SUFFIX

DONE_SUFFIX = ".done"
UNREADABLE_SUFFIX = ".unreadable"
_LOCK_NAME = "writer.lock"
_ALL = 1 << 62


class Part(NamedTuple):
    """What was read of a segment.

    `records`: place and payload of each whole record. `end`: where reading goes on. `torn`: stretches that a
    crash or a bad disk left unreadable. `more`: the file holds more than was read. `ended`: it was read to
    its end, and nobody appends to it any more. `newer`: a later version of this library wrote it.
    """

    header: Header | None
    records: list[tuple[int, bytes]]
    end: int
    torn: int = 0
    more: bool = False
    ended: bool = False
    newer: bool = False


class _Version(msgspec.Struct):
    """What every version of a segment's header has."""

    format: int


_decode_version = msgspec.msgpack.Decoder(_Version).decode

# A fork between opening the lock and remembering it would leave the child a lock that it does not know of.
_opening = threading.Lock()
os.register_at_fork(before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_opening.release)


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
        with _opening:
            descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except OSError:
                os.close(descriptor)
                raise
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
    return _names(folder, SUFFIX)


def done(folder: Path) -> list[str]:
    """Give the names that a folder's drained segments had."""
    return [name.removesuffix(DONE_SUFFIX) + SUFFIX for name in _names(folder, DONE_SUFFIX)]


def _names(folder: Path, suffix: str) -> list[str]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.name.endswith(suffix))
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


def read(path: Path, position: int, most: int, records: int = _ALL) -> Part:
    """Read whole records from `position` on, about `most` bytes or `records` of them.

    What is damaged is passed over, up to the next whole record; of an abandoned segment up to its end.
    Only a record that is being written looks damaged in a segment in use, and has none behind it.

    Raises:
        OSError: the file cannot be read.
    """
    with _opened(path) as (descriptor, abandoned):
        size = os.fstat(descriptor).st_size
        header, first, newer = _read_header(descriptor)
        if header is None:
            given_up = abandoned and not newer
            torn = int(given_up and position < size)
            return Part(None, [], max(position, size) if given_up else position, torn, ended=given_up, newer=newer)
        start = max(position, first)
        data = os.pread(descriptor, most, start)
        found, at = _whole_records(data, start, header.seed, records)
        if not found and start + len(data) < size:
            data = os.pread(descriptor, size - start, start)
            found, at = _whole_records(data, start, header.seed, 1)
        torn = 0
        if not found and data:
            beyond = _next_record(data, header.seed)
            if beyond is None and abandoned:
                beyond = len(data)
            if beyond is not None and (abandoned or os.pread(descriptor, len(data), start) == data):
                torn, at = 1, beyond
    end = start + at
    moved = bool(found) or torn > 0
    return Part(header, found, end, torn, more=moved and end < size, ended=abandoned and end >= size)


def _whole_records(data: bytes, start: int, seed: int, most: int) -> tuple[list[tuple[int, bytes]], int]:
    """Give the whole records that `data` begins with, by their places in the file, and where they end."""
    records: list[tuple[int, bytes]] = []
    unpack, checksum_of, size, end = FRAME.unpack_from, zlib.crc32, FRAME.size, len(data)
    at = 0
    for _ in range(most):
        body = at + size
        if body >= end:
            break
        length, checksum = unpack(data, at)
        behind = body + length
        payload = data[body:behind]
        if behind > end or checksum_of(payload, seed) != checksum or not length:
            break
        records.append((start + at, payload))
        at = behind
    return records, at


def _next_record(data: bytes, seed: int) -> int | None:
    """Give the place in `data` of the next whole record, None when there is none.

    The highest byte of a record's length, the fourth, is always 0.
    """
    zero = 3
    while (zero := data.find(0, zero + 1)) != -1:
        at = zero - 3
        if len(data) - at <= FRAME.size:
            return None
        length, _ = FRAME.unpack_from(data, at)
        if 0 < length <= LARGEST_RECORD and _whole_records(data[at : at + FRAME.size + length], 0, seed, 1)[0]:
            return at
    return None


def _read_header(descriptor: int) -> tuple[Header | None, int, bool]:
    """Give a segment's header, where its records begin, and whether a newer version wrote it.

    Without a header that can be read there are no records.
    """
    frame = os.pread(descriptor, FRAME.size, 0)
    if len(frame) < FRAME.size:
        return None, 0, False
    length, checksum = FRAME.unpack(frame)
    payload = os.pread(descriptor, min(length, LARGEST_RECORD), FRAME.size)
    if zlib.crc32(payload) != checksum:
        return None, 0, False
    try:
        newer = _decode_version(payload).format > FORMAT
        return None if newer else decode_header(payload), FRAME.size + length, newer
    except msgspec.DecodeError:
        return None, 0, False


def payloads(path: Path, position: int) -> Iterator[bytes]:
    """Give the whole records from `position` on.

    Raises:
        OSError: the file cannot be read.
    """
    more = True
    while more:
        part = read(path, position, 1 << 20)
        yield from (payload for _, payload in part.records)
        position, more = part.end, part.more


def set_aside(path: Path) -> None:
    """Keep an abandoned segment whose header cannot be read for somebody to look at, out of the way."""
    with suppress(FileNotFoundError):
        os.rename(path, path.with_suffix(UNREADABLE_SUFFIX))


def finish(path: Path) -> None:
    """Note that a segment was drained to its end: its position can be forgotten, then the file removed.

    The note is in the folder and not in the storage, which may take the segments of other folders too.
    """
    with suppress(FileNotFoundError):
        os.rename(path, path.with_suffix(DONE_SUFFIX))


def remove(path: Path) -> None:
    """Delete a segment that was finished and whose position is forgotten."""
    with suppress(FileNotFoundError):
        os.unlink(path.with_suffix(DONE_SUFFIX))


def remove_drafts(folder: Path) -> None:
    """Delete segments that a crash left unnamed: nothing was appended to them."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(DRAFT_SUFFIX):
                with suppress(FileNotFoundError), _opened(Path(entry.path)) as (_, abandoned):
                    if abandoned:
                        os.unlink(entry.path)
