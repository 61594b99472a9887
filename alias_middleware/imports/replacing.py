"""Which time a log stands for, where it is to replace what was recorded live."""

from __future__ import annotations

from collections.abc import Callable

from alias_middleware.imports.lines import Lines
from alias_middleware.imports.records import Reader
from alias_middleware.storage.base import Entry

_SECOND_US = 1_000_000
_TOLD_EVERY = 20_000


def time_of(
    lines: Lines, reader: Reader, *, progress: Callable[[int], None] = lambda done: None
) -> tuple[int, int] | None:
    """Give the time from a log's first page view to the end of its last one's second; None where it has none.

    Microseconds. The whole log is read; a log tells whole seconds, in which more may have been recorded live.
    """
    first, last = None, 0
    for number, line in enumerate(lines):
        found = reader.read(number, line)
        if isinstance(found, Entry):
            moment_us = found.event.time_us
            first = moment_us if first is None else min(first, moment_us)
            last = max(last, moment_us)
        if not number % _TOLD_EVERY:
            progress(lines.read_bytes)
    return None if first is None else (first, last - last % _SECOND_US + _SECOND_US)
