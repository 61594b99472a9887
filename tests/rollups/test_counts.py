"""Bit by bit numbers of visitors add up and are counted as plain numbers are."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from alias_middleware.rollups.counts import Counts, add_counts, anybody, counts_of, histogram, total

numbers = st.dictionaries(st.integers(0, 12), st.integers(1, 40), max_size=10)


@given(st.lists(numbers, max_size=6), st.frozensets(st.integers(0, 12)))
def test_they_equal_plain_sums(days: list[dict[int, int]], within: frozenset[int]) -> None:
    """Sum, who is in it, and how many have which number."""
    summed: Counts = []
    plain: Counter[int] = Counter()
    for day in days:
        add_counts(summed, counts_of(day))
        plain.update(day)
    assert total(summed) == plain.total()
    assert set(anybody(summed)) == set(plain)
    assert histogram(summed, BitMap(within)) == Counter(plain[visitor] for visitor in within)
    assert all(summed[-1:])


def test_adding_leaves_the_other_as_it_is() -> None:
    """A day's counts are added to many stretches."""
    day = counts_of({1: 3, 2: 1})
    into: Counts = []
    add_counts(into, day)
    add_counts(into, day)
    assert (total(into), total(day)) == (8, 4)
