"""The spool: the crash-safe local journal that every event reaches before the response ends.

A folder of segments. Each process appends to a segment of its own, with one write(2) a record, and holds a
lock on it as long as it lives. `records` says what is written; `segments` reads it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from zlib import crc32

from alias_middleware.errors import SpoolError
from alias_middleware.records import FORMAT, FRAME, LARGEST_RECORD, Header, Record, encode_record, framed
from alias_middleware.storage.base import Origin
from alias_middleware.syscalls import keeping_write

SUFFIX = ".spool"
DRAFT_SUFFIX = ".draft"

_SEGMENT_BYTES = 8 << 20
_LOOK_EVERY_BYTES = 1 << 20
_ATTEMPTS = 3
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FRAME_BYTES, _pack = FRAME.size, FRAME.pack


class Spool:
    """This process's end of the spool: append, and make durable."""

    def __init__(self, folder: Path, origin: Origin, *, limit: int, entropy: Callable[[int], bytes]) -> None:
        """Append to segments in `folder`, which together take at most about `limit` bytes.

        `entropy(n)` gives n random bytes. Nothing is created before the first event.
        """
        self.folder = folder
        self._origin = origin
        self._limit = limit
        self._most = min(_SEGMENT_BYTES, limit)
        self._look_every = min(_LOOK_EVERY_BYTES, max(limit // 8, 1))
        self._entropy = entropy
        self._write = keeping_write()
        self._begin()
        # At the fork itself: later, the numbers of our descriptors may be those of somebody else's files.
        os.register_at_fork(after_in_child=partial(_begin_anew, weakref.ref(self)))

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        self._descriptor: int | None = None
        self._retired: list[int] = []
        self._seed = 0
        self._size = 0
        self._next_look = 0
        self._unsynced = False
        self._unnamed = False

    def append(self, record: Record) -> None:
        """Write one record; when this returns it survives the death of the process.

        Raises:
            SpoolError: nothing of it was written.
        """
        payload = encode_record(record)
        more = _FRAME_BYTES + len(payload)
        if more > LARGEST_RECORD:
            raise SpoolError(f"a record takes at most {LARGEST_RECORD} bytes", reason="too_large")
        with self._lock:
            try:
                descriptor, write = self._descriptor, self._write
                if descriptor is None or self._size >= self._next_look:
                    descriptor = self._ready(more)
                frame = _pack(len(payload), crc32(payload, self._seed)) + payload  # `framed`, less its call
                written = write(descriptor, frame, more)
                if written != more:
                    self._write_rest(descriptor, frame, max(written, 0))
                self._size += more
                self._unsynced = True
            except OSError as error:
                if error.errno not in _FULL:
                    self._leave()
                raise _spool_error(error) from error
            except SpoolError:  # no room: nothing was begun
                raise
            except BaseException:  # a signal's handler, amid a record: what there is of it ends the segment
                self._retire()
                raise

    def sync(self) -> None:
        """Make what was appended survive the loss of power. Nobody who appends waits for it.

        Raises:
            SpoolError: the disk did not take it.
        """
        with self._syncing:
            try:
                self._sync()
            except OSError as error:
                self._unsynced = True
                raise _spool_error(error) from error

    def look(self) -> None:
        """Leave a segment whose file was deleted under us: what follows goes to a new one."""
        with self._lock:
            if self._descriptor is not None and self._is_deleted(self._descriptor):
                self._leave()

    def settle(self) -> None:
        """Let go of a full segment that was kept until it is durable."""
        with self._syncing:
            with self._lock:
                retired, self._retired = self._retired, []
            for descriptor in retired:
                with suppress(OSError):
                    os.fdatasync(descriptor)
                _close(descriptor)

    def close(self) -> None:
        """Leave the segment to the writer."""
        with self._lock:
            self._leave()
            while self._retired:
                _close(self._retired.pop())

    def __del__(self) -> None:
        """Leave the segment of a spool that nobody closed, else it stays locked as long as the process lives."""
        if hasattr(self, "_lock"):
            self.close()

    def begin_anew(self) -> None:
        """In a child, right after the fork: let go of the parent's segment, whatever its threads were doing."""
        inherited = [*self._retired, *([] if self._descriptor is None else [self._descriptor])]
        self._begin()
        for descriptor in inherited:
            _close(descriptor)

    def _write_rest(self, descriptor: int, frame: bytes, written: int) -> None:
        """Write the rest of a record, or take its beginning back; an error has its name from here."""
        try:
            while written < len(frame):
                written += os.write(descriptor, frame[written:])
        except OSError:
            self._take_back(descriptor, written)
            raise

    def _take_back(self, descriptor: int, written: int) -> None:
        """Take away the beginning of a record that did not fit, or leave the segment with it."""
        try:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
        except OSError:
            self._leave()

    def _sync(self) -> None:
        with self._lock:
            descriptors, self._retired = self._retired, []
            if self._unsynced and self._descriptor is not None:
                descriptors.append(os.dup(self._descriptor))
            self._unsynced = False
            unnamed, self._unnamed = self._unnamed, False
        try:
            for descriptor in descriptors:
                os.fdatasync(descriptor)
            if unnamed:
                _sync_folder(self.folder)
                _sync_folder(self.folder.parent)
        except OSError:
            self._unnamed = unnamed
            raise
        finally:
            for descriptor in descriptors:
                _close(descriptor)

    def _ready(self, more: int) -> int:
        """Give the descriptor of a segment with room for `more` bytes."""
        if self._descriptor is not None and self._size >= self._most:
            self._retire()
        if self._descriptor is not None and self._size >= self._next_look:
            if self._is_deleted(self._descriptor):
                self._leave()
            else:
                self._check_room(more)
                self._plan_look()
        if self._descriptor is None:
            self._descriptor = self._create(more)
        return self._descriptor

    @staticmethod
    def _is_deleted(descriptor: int) -> bool:
        try:
            return os.fstat(descriptor).st_nlink == 0
        except OSError:
            return True

    def _plan_look(self) -> None:
        """Say at what size it is looked again whether there is room; at the latest when the segment is full."""
        self._next_look = min(self._size + self._look_every, self._most)

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
        header = Header(FORMAT, base, self._origin)
        draft = self.folder / f"{base:016x}{DRAFT_SUFFIX}"
        named = draft.with_suffix(SUFFIX)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(draft, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            frame = framed(encode_record(header))
            if os.write(descriptor, frame) != len(frame):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if named.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            os.rename(draft, named)
        except OSError:
            os.close(descriptor)
            with suppress(OSError):
                os.unlink(draft)
            raise
        self._seed = header.seed
        self._size = len(frame)
        self._plan_look()
        self._unnamed = True
        return descriptor

    def _retire(self) -> None:
        """Leave a full segment, but not before what `sync` has still to make durable in it."""
        if self._unsynced and self._descriptor is not None:
            while self._retired:
                _close(self._retired.pop())
            self._retired.append(self._descriptor)
            self._descriptor = None
            self._unsynced = False
        self._leave()

    def _leave(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            self._unsynced = False
            _close(descriptor)


def _begin_anew(spool: weakref.ref[Spool]) -> None:
    if (inherited := spool()) is not None:
        inherited.begin_anew()


def _close(descriptor: int) -> None:
    with suppress(OSError):
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a file that fdatasync saved is of no use without its name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def folder_size(folder: Path) -> int:
    """Give the bytes that the files of a folder take, those set aside included."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                total += entry.stat().st_size
    return total


def _spool_error(error: OSError) -> SpoolError:
    return SpoolError(error.strerror or "", reason="disk_full" if error.errno in _FULL else "unwritable")
