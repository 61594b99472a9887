"""Comparing what is kept of visitors, and of everybody's taste, with what their raw events add up to. Pure.

Visitors come some at a time, so that a whole history is checked in the memory that a few of them take.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from datetime import date
from typing import Generic, NamedTuple, TypeVar

import msgspec

from alias_middleware.habits import CATEGORIES_KEPT, VIEW, Habits, Strength, decayed, decode_habits
from alias_middleware.storage.base import Difference
from alias_middleware.storage.chronicle import decode_chronicle
from alias_middleware.storage.lives import Life
from alias_middleware.storage.retention import whole_since

Who = TypeVar("Who", bound=Hashable)
"""How a storage names a visitor."""

TOLERANCE = 1e-9
"""How far decayed sums may be apart, in parts of themselves: added in another order they are rounded otherwise."""

_DAY_S = 24 * 3600
_FIRST_DAY = date(1970, 1, 1).toordinal()


class Row(NamedTuple, Generic[Who]):
    """What a storage keeps of a visitor."""

    who: Who
    namespace: str
    knowledge: bytes
    habits: bytes


class KeptSums(NamedTuple):
    """What a storage keeps of everybody in one category, as `interests.Sums`."""

    namespace: str
    category: str
    recent: float
    whole: float


class Verification(Generic[Who]):
    """A check of everybody, some visitors at a time, which adds up on the way what everybody's sums must be."""

    def __init__(self, arrivals: dict[Who, dict[int, int]], frozen_before: Mapping[str, int]) -> None:
        """Begin with the arrivals that are kept, days by service, and until when a namespace's days are frozen."""
        self._arrivals = arrivals
        self._frozen_before = frozen_before
        self._sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._unknown: set[str] = set()

    def compare(self, rows: Iterable[Row[Who]], lives: dict[Who, Life]) -> Iterator[tuple[str, Who]]:
        """Name what differs of some visitors, of whom all rows there are and all lives are given."""
        for row in rows:
            life, arrived = lives.pop(row.who, None) or Life(row.namespace), self._arrivals.pop(row.who, {})
            for what in self._compare(row, life, arrived):
                yield what, row.who
        for who, life in lives.items():
            self._arrivals.pop(who, None)
            self._add(life.namespace, life.habits)
            yield "visitors", who

    def compare_rest(self) -> Iterator[tuple[str, Who]]:
        """Name those of whom nothing but an arrival is kept, once all others were compared."""
        for who in self._arrivals:
            yield "visitors", who

    def _compare(self, row: Row[Who], life: Life, arrived: Mapping[int, int]) -> Iterator[str]:
        habits = _decoded(row.habits)
        try:
            known = decode_chronicle(row.knowledge)
        except ValueError:
            known = None
            yield "knowledge"
        if known is None or known.days[0] < whole_since(self._frozen_before.get(row.namespace, 0)):
            if habits is None:
                yield "habits"
            self._add(row.namespace, habits)  # what he did before days were frozen is known from here alone
            return
        yield from life.differing(known)
        if arrived != life.arrivals:
            yield "arrivals"
        if habits is None or not _same_habits(habits, life):
            yield "habits"
        self._add(row.namespace, life.habits)

    def _add(self, namespace: str, habits: Habits | None) -> None:
        if habits is None:
            self._unknown.add(namespace)
            return
        for category, strength in habits.categories.items():
            sums = self._sums[namespace, category]
            sums[0] += strength.recent
            sums[1] += strength.whole

    def compare_sums(self, kept: Iterable[KeptSums], last_days: Mapping[str, int]) -> Iterator[Difference]:
        """Name the categories of which everybody's sums differ, once everybody was compared.

        `last_days`: by namespace the last local day of which anything was ever recorded. Where the only record of
        somebody's habits is damaged, nobody knows what the sums must be.
        """
        found = {(each.namespace, each.category): (each.recent, each.whole) for each in kept}
        least = {namespace: decayed(VIEW, (day + 1 - _FIRST_DAY) * _DAY_S) for namespace, day in last_days.items()}
        total: dict[str, float] = defaultdict(float)
        for (namespace, _), (recent, _) in self._sums.items():
            total[namespace] += recent
        for place in sorted(self._sums.keys() | found.keys()):
            namespace, category = place
            recent, whole = self._sums.get(place, (0.0, 0.0))
            kept_recent, kept_whole = found.get(place, (0.0, 0.0))
            same = kept_whole == whole and _close(
                kept_recent, recent, max(total[namespace], least.get(namespace, 0.0))
            )
            if not same and namespace not in self._unknown:
                yield Difference("category sums", namespace=namespace, category=category)


def _decoded(habits: bytes) -> Habits | None:
    try:
        return decode_habits(habits)
    except msgspec.DecodeError:
        return None


def _same_habits(kept: Habits, life: Life) -> bool:
    """Compare what is kept with a life; of too many paths, or categories, nothing can be said."""
    anew, least = life.habits, decayed(VIEW, (life.last_seen or 0) // 1_000_000)
    if len(anew.categories) <= CATEGORIES_KEPT and (
        kept.categories.keys() != anew.categories.keys()
        or not all(_same_strength(each, anew.categories[name], least) for name, each in kept.categories.items())
    ):
        return False
    if life.roams:
        return True
    return kept.pages.keys() == anew.pages.keys() and all(
        (each.titled_s, each.title) == (anew.pages[path].titled_s, anew.pages[path].title)
        and _close(each.recent, anew.pages[path].recent, least)
        for path, each in kept.pages.items()
    )


def _same_strength(kept: Strength, anew: Strength, least: float) -> bool:
    counts = [(each.pages, each.carts, each.purchases, each.since_s) for each in (kept, anew)]
    return counts[0] == counts[1] and _close(kept.recent, anew.recent, least)


def _close(kept: float, anew: float, least: float) -> bool:
    """Compare decayed sums. `least`: of what they may have been when something was taken back of them."""
    return kept == anew or abs(kept - anew) <= TOLERANCE * max(anew, least)
