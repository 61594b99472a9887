"""Versions: a small file that every process maps, and so sees at once whose preferences any other has changed.

A visitor has two 64-bit words in it, `begun` and `done`; several visitors may share them. Who changes preferences
sets `begun` to one more inside the transaction (SQLite's write lock lets in one at a time), so before it commits,
and sets `done` to the same once the transaction has ended, either way. Who reads a row takes both words first.

- Where they were equal, nobody was between `begun` and the commit. The row holds as long as `begun` is what it
  was, for every change committed since has moved it first.
- Where they were not, or whoever moved `begun` died before `done`, the row is not to be kept.
- Aligned words of 8 bytes are loaded and stored whole, and between them and the row stand system calls (SQLite's
  locks, the commit), across which no processor moves a load or a store.

What the file holds need not survive a crash of the machine: it is compared with what living processes remember,
and with nothing else.
"""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from pathlib import Path
from zlib import crc32

_SLOTS = 1 << 15
_WORD = 8
_BYTES = _SLOTS * 2 * _WORD
"""512 KiB. With 10,000 visitors kept, one visitor's change makes another's be read again in one case of four."""


class Versions:
    """One file of versions, mapped into this process."""

    __slots__ = ("identity", "words")

    def __init__(self, descriptor: int) -> None:
        """Map the open file, which is whole and really allocated.

        Raises:
            OSError: it cannot be mapped.
        """
        status = os.fstat(descriptor)
        self.identity = status.st_dev, status.st_ino
        # The mapping lives as long as this view of it: a thread that still compares with it keeps it.
        self.words = memoryview(mmap.mmap(descriptor, _BYTES)).cast("Q")
        """`begun` of a visitor at his place, `done` behind it."""

    @staticmethod
    def place(namespace: str, key: str) -> int:
        """Give the index of a visitor's words, the same in every process."""
        return crc32(key.encode(), crc32(namespace.encode())) % _SLOTS * 2

    def settled(self, place: int) -> int | None:
        """Give `begun` before a read whose result may be kept; None where nothing may."""
        begun: int = self.words[place]
        return begun if begun == self.words[place + 1] else None

    def begin(self, place: int) -> int:
        """Say, inside the transaction, that it changes the visitor; gives what to `end` with."""
        begun: int = (self.words[place] + 1) % 2**64
        self.words[place] = begun
        return begun

    def end(self, place: int, begun: int) -> None:
        """Say that the transaction has ended."""
        self.words[place + 1] = begun


def open_versions(path: Path) -> Versions | None:
    """Map a file of versions that is there; None where it is not, or not whole.

    Raises:
        OSError: it is there and cannot be used.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if os.fstat(descriptor).st_size < _BYTES:
            return None
        os.posix_fallocate(descriptor, 0, _BYTES)  # a copy may have holes; storing into one on a full disk kills
        return Versions(descriptor)
    finally:
        os.close(descriptor)


def make_versions(path: Path, preferences: Path) -> Versions | None:
    """Map the file of versions, made where none is whole; for who holds the write lock.

    None where it cannot be made: then nobody has it, and nobody keeps rows.

    Raises:
        OSError: it is there and cannot be used: what one changes, those who can would not see.
    """
    descriptor = _opened(path, preferences)
    try:
        os.posix_fallocate(descriptor, 0, _BYTES)
        return Versions(descriptor)
    except OSError:
        if os.fstat(descriptor).st_size >= _BYTES:
            raise
        return None
    finally:
        os.close(descriptor)


def _opened(path: Path, preferences: Path) -> int:
    """Open the file, or make it for the owner of the preferences: whatever root left there he could not use.

    Only a new file is given away: what is there may be a link to anything.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    if os.geteuid() == 0:
        owner = os.stat(preferences)
        with suppress(PermissionError):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor
