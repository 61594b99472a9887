"""A small number for each of many visitors, kept bit by bit: slice i holds the visitors whose number has bit i.

So the numbers of a year's days are added, and counted by value, without a loop over visitors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyroaring import BitMap

Counts = list[BitMap]
"""Slices, the lowest bit first; the last one is never empty."""


def counts_of(numbers: Mapping[int, int]) -> Counts:
    """Slice the numbers (1 or more) of visitors."""
    width = max(numbers.values(), default=0).bit_length()
    return [
        BitMap([visitor for visitor, number in numbers.items() if number >> place & 1]) for place in range(width)
    ]


def add_counts(into: Counts, more: Sequence[BitMap]) -> None:
    """Add visitor by visitor, as a ripple-carry adder does."""
    carry = BitMap()
    for place in range(max(len(into), len(more))):
        if place >= len(more) and not carry:
            return
        ours = into[place] if place < len(into) else BitMap()
        theirs = more[place] if place < len(more) else BitMap()
        either = ours ^ theirs
        total = either ^ carry
        carry = (ours & theirs) | (either & carry)
        if place < len(into):
            into[place] = total
        else:
            into.append(total)
    if carry:
        into.append(carry)


def total(counts: Sequence[BitMap]) -> int:
    """Add all visitors' numbers."""
    return sum(len(of_bit) << place for place, of_bit in enumerate(counts))


def anybody(counts: Sequence[BitMap]) -> BitMap:
    """Give the visitors whose number is not 0."""
    return BitMap.union(*counts) if counts else BitMap()


def histogram(counts: Sequence[BitMap], within: BitMap) -> dict[int, int]:
    """Count the visitors `within` by their number, 0 included; ascending."""
    groups = [(0, within)]
    for place in reversed(range(len(counts))):
        halves = []
        for number, group in groups:
            having = group & counts[place]
            halves += [(number, group - having), (number | 1 << place, having)]
        groups = [(number, group) for number, group in halves if group]
    return {number: len(group) for number, group in groups if group}
