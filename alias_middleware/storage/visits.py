"""How many visits begin as events join a stream or leave it: pure, over the moments around the change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from alias_middleware.history import visit_starts
from alias_middleware.storage.base import Entry

_DAY_US = 24 * 3600 * 1_000_000
_CLOCKS_FORWARD_US = 3 * 3600 * 1_000_000
"""More than clocks are ever put forward: an hour nearly everywhere, two at Troll station."""


def margin_days(gap_us: int) -> int:
    """Give the number of local days that a visit gap may reach over: one of them may be a short one."""
    return 1 + (gap_us + _CLOCKS_FORWARD_US) // _DAY_US


def begun_after(last_us: int | None, new: Sequence[Entry], gap_us: int) -> int:
    """Count the visits that begin in a stream's continuation after `last_us`."""
    begun = 0
    for entry in new:
        time_us = entry.event.time_us
        begun += last_us is None or time_us - last_us > gap_us
        last_us = time_us
    return begun


def begun_around(
    around: Sequence[tuple[int, int]], gap_us: int, new: Sequence[Entry], gone: Sequence[Entry]
) -> int:
    """Count by how many the visits of a stream change when events join and leave it.

    `around`: the (moment, id) of what is stored within the gap of the first and the last of them; `new` are not
    stored yet, `gone` still are.
    """
    changed = [entry.event.time_us for entry in (*new, *gone)]
    first, last = min(changed), max(changed) + gap_us
    before = Counter(time_us for time_us, _ in around)
    after = before.copy()
    after.update(entry.event.time_us for entry in new)
    after.subtract(entry.event.time_us for entry in gone)
    begun = 0
    for times, sign in ((after, 1), (before, -1)):
        starts = visit_starts(sorted(times.elements()), gap_us)
        begun += sign * sum(first <= start <= last for start in starts)
    return begun
