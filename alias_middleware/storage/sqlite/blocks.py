"""Blocks of 32 days, whose roll-ups are kept like days': a year is then a dozen to merge instead of 365.

A block stands among the days under a number below zero. Its mark is made of its days' marks, so it holds as long
as none of them has changed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from alias_middleware.rollups.model import Days, Rollup
from alias_middleware.storage.sqlite.days import CHANNELS, OF_THE_SERVICE
from alias_middleware.storage.sqlite.marks import ServiceDay

BLOCK_DAYS = 32


class Cover(NamedTuple):
    """What a period is put together from: whole blocks, by their numbers below zero, and days besides."""

    blocks: list[int]
    days: list[int]


def cover(period: Days, known: Sequence[int]) -> Cover:
    """Cover the `known` days of a period; they are ascending.

    The block of the last known day is not used: it may still change with every event.
    """
    since, until = period
    within = known[bisect_left(known, since) : bisect_left(known, until)]
    first, last = -(-since // BLOCK_DAYS), until // BLOCK_DAYS
    if known:
        last = min(last, known[-1] // BLOCK_DAYS)
    if last <= first:
        return Cover([], list(within))
    begin, end = bisect_left(within, first * BLOCK_DAYS), bisect_left(within, last * BLOCK_DAYS)
    return Cover(sorted({number_of(day) for day in within[begin:end]}), [*within[:begin], *within[end:]])


def number_of(day: int) -> int:
    """Give the number, below zero, of the block that a day is in."""
    return -1 - day // BLOCK_DAYS


def days_of(block: int) -> Days:
    """Give the days of a block."""
    begin = (-1 - block) * BLOCK_DAYS
    return begin, begin + BLOCK_DAYS


def merge_days(days: Iterable[Mapping[str, Rollup]]) -> dict[str, Rollup]:
    """Merge days by channel, every section; each page and product has one set of visitors then.

    They are taken one after the other: all the pages of a month of days are much to have at a time.
    """
    merged = {channel: Rollup() for channel in (*CHANNELS, OF_THE_SERVICE)}
    for day in days:
        for channel, rollup in day.items():
            merged[channel].add(rollup)
    for rollup in merged.values():
        rollup.unite()
    return merged


def marks_of(days: Mapping[ServiceDay, int]) -> dict[ServiceDay, int]:
    """Give the marks of the blocks that services' days are in; all marked days of a block must be there."""
    by_block: dict[ServiceDay, list[tuple[int, int]]] = defaultdict(list)
    for (service, day), mark in days.items():
        by_block[service, number_of(day)].append((day, mark))
    return {block: _mark(marked) for block, marked in by_block.items()}


def _mark(marked: list[tuple[int, int]]) -> int:
    digest = blake2b(repr(sorted(marked)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
