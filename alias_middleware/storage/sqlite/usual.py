"""The short way into the history file: page views of known visitors, each later than all there was of him.

Nearly every event is one. What the general way would look up, sort and compare is certain here, so it takes a
fraction of the time; it gives the same.
"""

from __future__ import annotations

from alias_middleware.events import PageView
from alias_middleware.habits import grown
from alias_middleware.storage.base import Entry
from alias_middleware.storage.chronicle import VisitorRow
from alias_middleware.storage.sqlite.pages import PageNumbers
from alias_middleware.storage.tastes import Tastes

EventRow = tuple[int, int, int, int, int, str, str, int | bytes]
"""A row of `events`, in the order of its columns."""


class UsualFold:
    """One batch's usual visitors."""

    def __init__(
        self, pages: PageNumbers, tastes: Tastes, events: list[EventRow], touched: set[tuple[int, int]]
    ) -> None:
        """Add to what the batch does to habits, to its rows of `events` and to the (service, day) it touches."""
        self._pages = pages
        self._tastes = tastes
        self._events = events
        self._touched = touched

    def take(self, visitor: VisitorRow, entries: list[Entry], service: int, gap_us: int) -> bool:
        """Fold a visitor's entries; False, with nothing done, where one of them needs the general way.

        `service` and its `gap_us` are those of the first entry.
        """
        origin, channel = entries[0].origin, entries[0].event.channel
        presence = visitor.chronicle.presence.get(service)
        latest = presence.last_us.get(channel) if presence is not None else None
        if presence is None or latest is None:
            return False
        id_, not_before, namespace = visitor.id, visitor.not_before, visitor.namespace
        shown, lines, begun, day = self._pages.shown, b"", 0, 0
        rows: list[EventRow] = []
        liked: list[tuple[str, int]] = []
        for entry in entries:
            event = entry.event
            time_us = event.time_us
            if (
                type(event) is not PageView
                or time_us <= latest
                or event.begun_us <= not_before
                or event.channel != channel
                or entry.origin is not origin
            ):
                return False
            if time_us - latest > gap_us:
                begun += 1
            latest, day, category = time_us, event.day, event.category
            page = (event.path, event.title, category)
            body, rest = shown.get(page) or self._pages.show(page, event, id_)
            rows.append((day, id_, time_us, entry.id, service, channel, "v", body))
            lines += b"\n[%d,%b" % (time_us // 1_000_000, rest)  # as `habits.line_of_view`
            if category is not None:
                liked.append((category, time_us // 1_000_000))
        presence.last_us[channel] = latest
        self._note(visitor, rows, begun)
        visitor.habits = grown(visitor.habits, lines)
        for category, moment_s in liked:
            self._tastes.view(namespace, category, moment_s)
        return True

    def _note(self, visitor: VisitorRow, rows: list[EventRow], begun: int) -> None:
        """Count page views, in the order of their times, in which so many visits begin."""
        chronicle, first, last = visitor.chronicle, rows[0], rows[-1]
        chronicle.visits += begun
        chronicle.page_views += len(rows)
        latest = last[2]
        if latest > (chronicle.last_page or 0):
            chronicle.last_page = latest
        if latest > (chronicle.last_seen or 0):
            chronicle.last_seen = latest
        chronicle.span(first[0], last[0])
        self._touched.update([(row[4], row[0]) for row in rows] if first[0] != last[0] else [(first[4], first[0])])
        self._events += rows
