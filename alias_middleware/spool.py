"""The spool: the crash-safe local journal that every event reaches before the response ends.

A folder of segments. Each process appends to a segment of its own, with one write(2) a record, and holds a
lock on it as long as it lives; `segments` reads them. A record is its length, a checksum and MessagePack, so
that the last one, torn by a crash, is recognised.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from alias_middleware.errors import SpoolError
from alias_middleware.events import PageView, Purchase, Refund, TrackedEvent
from alias_middleware.profile import ProfileChange
from alias_middleware.storage.base import Origin

SUFFIX = ".spool"
DRAFT_SUFFIX = ".draft"
FRAME = struct.Struct("<II")
FORMAT = 1
LARGEST_RECORD = 1 << 20

_SEGMENT_BYTES = 8 << 20
_LOOK_EVERY_BYTES = 1 << 20
_ATTEMPTS = 3
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Tally(msgspec.Struct, frozen=True, array_like=True, tag="n"):
    """Counts handed on by a process: what to add to the counters, and unidentified page views by local day."""

    counts: dict[str, int]
    unidentified: dict[int, int]


class Header(msgspec.Struct, frozen=True):
    """The first record of a segment: whose events follow.

    An event's id is `base` plus the place of its record in the file, modulo 2**63.
    """

    format: int
    base: int
    origin: Origin

    def event_id(self, place: int) -> int:
        """Give the id of the record at a place in the file."""
        return (self.base + place) % 2**63


Record = PageView | TrackedEvent | Purchase | Refund | ProfileChange | Tally

encode_record = msgspec.msgpack.Encoder().encode
decode_record = msgspec.msgpack.Decoder(Record).decode
decode_header = msgspec.msgpack.Decoder(Header).decode


def framed(payload: bytes) -> bytes:
    """Put length and checksum before a record."""
    return FRAME.pack(len(payload), zlib.crc32(payload)) + payload


class Spool:
    """This process's end of the spool: append, and make durable."""

    def __init__(self, folder: Path, origin: Origin, *, limit: int, entropy: Callable[[int], bytes]) -> None:
        """Append to segments in `folder`, which together take at most about `limit` bytes.

        `entropy(n)` gives n random bytes. Nothing is created before the first event.
        """
        self.folder = folder
        self._origin = origin
        self._limit = limit
        self._look_every = min(_LOOK_EVERY_BYTES, max(limit // 8, 1))
        self._entropy = entropy
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._size = 0
        self._next_look = 0
        self._unsynced = False

    def append(self, record: Record) -> None:
        """Write one record; when this returns it survives the death of the process.

        Raises:
            SpoolError: nothing of it was written.
        """
        frame = framed(encode_record(record))
        if len(frame) > LARGEST_RECORD:
            raise SpoolError(f"a record takes at most {LARGEST_RECORD} bytes", reason="too_large")
        with self._lock:
            try:
                descriptor = self._ready(len(frame))
                written = os.write(descriptor, frame)
                if written != len(frame):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as error:
                self._cut_back()
                raise _spool_error(error) from error
            self._size += written
            self._unsynced = True

    def sync(self) -> None:
        """Make what was appended survive the loss of power.

        Raises:
            SpoolError: the disk did not take it.
        """
        with self._lock:
            if self._unsynced and self._descriptor is not None:
                try:
                    os.fdatasync(self._descriptor)
                except OSError as error:
                    raise _spool_error(error) from error
                self._unsynced = False

    def look(self) -> None:
        """Leave a segment whose file was deleted under us: what follows goes to a new one."""
        with self._lock:
            if self._descriptor is not None and os.fstat(self._descriptor).st_nlink == 0:
                self._leave()

    def leave(self) -> None:
        """In a forked child: let go of the parent's segment, whatever another thread was doing with it."""
        self._leave()

    def close(self) -> None:
        """Leave the segment to the writer."""
        with self._lock:
            self._leave()

    def _ready(self, more: int) -> int:
        """Give the descriptor of a segment with room for `more` bytes."""
        if self._descriptor is not None and self._size >= min(_SEGMENT_BYTES, self._limit):
            self._leave()
        if self._descriptor is None:
            self._descriptor = self._create(more)
        elif self._size >= self._next_look:
            self._check_room(more)
            self._next_look = self._size + self._look_every
        return self._descriptor

    def _check_room(self, more: int) -> None:
        if folder_size(self.folder) + more > self._limit:
            raise SpoolError("its folder holds all it may", reason="full")

    def _create(self, more: int) -> int:
        """Make a new segment, again when a writer swept the draft away before it was locked."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check_room(more)
        for _ in range(_ATTEMPTS - 1):
            with suppress(FileNotFoundError, FileExistsError, BlockingIOError):
                return self._create_once()
        return self._create_once()

    def _create_once(self) -> int:
        """Make a segment under a name that readers ignore, lock it, then give it its name."""
        base = int.from_bytes(self._entropy(8), "big") % 2**63
        draft = self.folder / f"{base:016x}{DRAFT_SUFFIX}"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(draft, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            header = framed(encode_record(Header(FORMAT, base, self._origin)))
            if os.write(descriptor, header) != len(header):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.rename(draft, draft.with_suffix(SUFFIX))
        except OSError:
            os.close(descriptor)
            with suppress(OSError):
                os.unlink(draft)
            raise
        self._size = len(header)
        self._next_look = self._size + self._look_every
        return descriptor

    def _cut_back(self) -> None:
        """After a failed write: take away what was written of the record, or leave the segment."""
        if self._descriptor is not None:
            try:
                os.ftruncate(self._descriptor, self._size)
            except OSError:
                self._leave()

    def _leave(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            self._unsynced = False
            with suppress(OSError):
                os.close(descriptor)


def folder_size(folder: Path) -> int:
    """Give the bytes that the segments of a folder take."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                total += entry.stat().st_size
    return total


def _spool_error(error: OSError) -> SpoolError:
    return SpoolError(error.strerror or "", reason="disk_full" if error.errno in _FULL else "unwritable")
