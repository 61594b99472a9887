"""What a batch adds to visitors' habits and to everybody's sums per category: pure, for every storage of both."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol

import msgspec

from alias_middleware.events import PageView, Purchase, TrackedEvent, body_of
from alias_middleware.habits import (
    EPOCH_S,
    HALF_LIFE_S,
    LARGEST_EXPONENT,
    VIEW,
    Note,
    decayed,
    decode_habits,
    grown,
    line_of_view,
    lines_of,
    notes_of,
)
from alias_middleware.storage.base import Entry


class Visitor(Protocol):
    """Whose habits change. `habits`: the bytes of `habits.grown`."""

    namespace: str
    habits: bytes


class Tastes:
    """One batch's part in visitors' habits and in everybody's sums.

    `sums`: what to add by (namespace, category), decayed and whole as `interests.Sums`.
    """

    def __init__(self) -> None:
        """Begin with nothing to add."""
        self.sums: dict[tuple[str, str], list[float]] = {}

    def note(self, visitor: Visitor, entries: Iterable[Entry]) -> None:
        """Count new page views and carts; orders are counted as they are settled."""
        lines = []
        for entry in entries:
            event = entry.event
            if isinstance(event, PageView):
                self._count(visitor.namespace, event.category, VIEW, event.time_us // 1_000_000)
                lines.append(line_of_view(event.time_us, body_of(event)))
            elif isinstance(event, TrackedEvent):
                lines.append(self._noted(visitor.namespace, notes_of(event)))
        if lines:
            visitor.habits = grown(visitor.habits, b"".join(lines))

    def views(self, namespace: str, liked: Iterable[tuple[str, int]]) -> None:
        """Count new page views, by (category, second), in everybody's sums alone."""
        for category, moment_s in liked:
            sums = self.sums.get((namespace, category))
            if sums is None:
                sums = self.sums[namespace, category] = [0.0, 0]
            sums[0] += math.exp2(min((moment_s - EPOCH_S) / HALF_LIFE_S, LARGEST_EXPONENT))  # as `decayed`
            sums[1] += VIEW

    def order(self, visitor: Visitor, order: Purchase, sign: int) -> None:
        """Count an order (1), or count no more one that was cancelled or gave way to another copy (-1)."""
        lines = self._noted(visitor.namespace, notes_of(order, sign))
        if lines:
            visitor.habits = grown(visitor.habits, lines)

    def forget(self, namespace: str, kept: bytes) -> None:
        """Take a visitor's habits out of everybody's sums. `kept`: what his row keeps of them."""
        try:
            habits = decode_habits(kept)
        except msgspec.DecodeError:  # a damaged row must not keep anybody from being erased
            return
        for category, strength in habits.categories.items():
            self._add(namespace, category, -strength.recent, -strength.whole)

    def remember(self, namespace: str, kept: bytes) -> None:
        """Put a visitor's habits into everybody's sums, which were taken out as they were before."""
        for category, strength in decode_habits(kept).categories.items():
            self._add(namespace, category, strength.recent, strength.whole)

    @property
    def lessens(self) -> bool:
        """Whether a category may have nobody left."""
        return any(whole < 0 for _, whole in self.sums.values())

    def _noted(self, namespace: str, notes: list[Note]) -> bytes:
        for note in notes:
            self._count(namespace, note.category, note.weight, note.moment_s)
        return lines_of(notes)

    def _count(self, namespace: str, category: str | None, weight: int, moment_s: int) -> None:
        if category is not None:
            self._add(namespace, category, decayed(weight, moment_s), weight)

    def _add(self, namespace: str, category: str, recent: float, whole: float) -> None:
        sums = self.sums.get((namespace, category))
        if sums is None:
            self.sums[namespace, category] = [recent, whole]
        else:
            sums[0] += recent
            sums[1] += whole
