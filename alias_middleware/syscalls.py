"""System calls that keep the interpreter: for calls so short that handing it to another thread costs more."""

from __future__ import annotations

import os
from collections.abc import Callable

Write = Callable[[int, bytes, int], int]
"""Writes, given a descriptor, bytes and how many they are; gives how many were written, or less than 0."""


def keeping_write() -> Write:
    """Give write(2) without the interpreter's lock let go.

    `os.write` lets go of it, and has to win it back when the bytes are written: where the writer's thread waits
    for it, a page view takes twice as long. A disk that hangs stops every thread of the process instead of those
    that record, which wait for each other anyway. Where Python has no ctypes, or may not use it, it is `os.write`.
    """
    try:
        from ctypes import PyDLL

        # Its arguments' types unsaid: checking them would take as long as writing.
        write: Write = PyDLL(None).write
    except Exception:  # noqa: BLE001 - an audit hook that forbids it raises what it likes
        return lambda descriptor, data, _: os.write(descriptor, data)
    return write
