"""The short way into the history: one stream of a visitor goes on, each event later than all there was of it.

Nearly every visitor of a batch brings that. What the general way looks up, sorts and compares is certain then, so
this takes a third of its time; `test_usual.py` of each database's tests has both give the same.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Generic, Protocol, TypeVar

from alias_middleware.events import Event, Message, PageView, Purchase, TrackedEvent, body_of, kind_of
from alias_middleware.habits import grown
from alias_middleware.storage.base import Entry
from alias_middleware.storage.chronicle import Chronicle, Presence
from alias_middleware.storage.tastes import Tastes

Who = TypeVar("Who")
"""What a database's rows name a visitor by: a number of its own, or the visitor key."""
_Seen_co = TypeVar("_Seen_co", covariant=True)
_Viewer_contra = TypeVar("_Viewer_contra", contravariant=True)

Page = tuple[str, str | None, str | None]
"""Path, title and category."""

EventRow = tuple[int, Who, int, int, Any]
"""Day, visitor, time, event id and body of a row of `events`; what a body is, is the database's business."""

EventRows = defaultdict[tuple[int, str, str], list[EventRow[Who]]]
"""A batch's rows of `events` by what many have alike: service, channel and kind."""

PLAIN: frozenset[type[Event]] = frozenset({PageView, TrackedEvent, Message})
"""What can go the short way at once. Of purchases it must be settled before which copies count."""
SETTLED = PLAIN | {Purchase}

_LONG_AGO = -(2**62)


class Visitor(Protocol[_Seen_co]):
    """A visitor's row while a batch is folded in."""

    @property
    def id(self) -> _Seen_co:
        """What rows name him by."""

    namespace: str
    not_before: int
    chronicle: Chronicle
    habits: bytes


class Pages(Protocol[_Viewer_contra]):
    """What rows and habits say of pages. `shown` has what `show` gave that holds whoever views the page."""

    shown: dict[Page, tuple[Any, bytes]]

    def show(self, page: Page, view: PageView, visitor: _Viewer_contra) -> tuple[Any, bytes]:
        """Give the body of a page view's row and what `habits.rest_of_line` gives for it."""


_Read = tuple[list[EventRow[Who]], bytes, list[tuple[str, int]], list[Entry], int]
"""What a visitor's entries come to.

Of page views their rows, the lines of his habits and each (category, second); the other entries; visits begun.
"""


class UsualFold(Generic[Who]):
    """One batch's visitors who went the short way."""

    def __init__(
        self, pages: Pages[Who], tastes: Tastes, events: EventRows[Who], touched: set[tuple[int, int]]
    ) -> None:
        """Add to what the batch does to habits, to its rows of `events` and to the (service, day) it touches."""
        self.arrived: list[tuple[int, int, Who]] = []
        """The rows of `arrivals` of those who came for the first time."""
        self._pages = pages
        self._tastes = tastes
        self._events = events
        self._touched = touched

    def take(
        self, visitor: Visitor[Who], entries: list[Entry], service: int, gap_us: int, kinds: frozenset[type[Event]]
    ) -> bool:
        """Fold a visitor's entries; False, with nothing done, where one of them needs the general way.

        `service` and its `gap_us` are those of the first entry; the types of events may be `kinds`.
        """
        first, chronicle = entries[0].event, visitor.chronicle
        presence = chronicle.presence.get(service)
        latest = None if presence is None else presence.last_us.get(first.channel)
        if presence is not None and latest is None and first.time_us < presence.first_us:
            return False
        read = self._read(visitor, entries, gap_us, _LONG_AGO if latest is None else latest, kinds)
        if read is None:
            return False
        if presence is None:
            presence = chronicle.presence[service] = Presence(first.time_us, first.day, {})
            self.arrived.append((service, first.day, visitor.id))
        if latest is None:
            chronicle.see(first.time_us)
        presence.last_us[first.channel] = entries[-1].event.time_us
        self._note(visitor, entries, service, read)
        return True

    def _read(
        self,
        visitor: Visitor[Who],
        entries: list[Entry],
        gap_us: int,
        latest: int,
        kinds: frozenset[type[Event]],
    ) -> _Read[Who] | None:
        """Read a stream that goes on after its `latest` moment; None where it does not."""
        origin, channel = entries[0].origin, entries[0].event.channel
        id_, not_before, shown = visitor.id, visitor.not_before, self._pages.shown
        rows: list[EventRow[Who]] = []
        liked: list[tuple[str, int]] = []
        others: list[Entry] = []
        lines, begun = b"", 0
        for entry in entries:
            event = entry.event
            time_us = event.time_us
            if (
                time_us <= latest
                or event.begun_us <= not_before
                or event.channel != channel
                or entry.origin is not origin
            ):
                return None
            if time_us - latest > gap_us:
                begun += 1
            latest = time_us
            if type(event) is PageView:
                category = event.category
                page = (event.path, event.title, category)
                body, rest = shown.get(page) or self._pages.show(page, event, id_)
                lines += b"\n[%d,%b" % (time_us // 1_000_000, rest)  # as `habits.line_of_view`
                if category is not None:
                    liked.append((category, time_us // 1_000_000))
                rows.append((event.day, id_, time_us, entry.id, body))
            elif type(event) in kinds:
                others.append(entry)
            else:
                return None
        return rows, lines, liked, others, begun

    def _note(self, visitor: Visitor[Who], entries: list[Entry], service: int, read: _Read[Who]) -> None:
        """Count what was read of entries, which are in the order of their times."""
        rows, lines, liked, others, begun = read
        first, last, chronicle = entries[0].event, entries[-1].event, visitor.chronicle
        chronicle.visits += begun
        if last.time_us > (chronicle.last_seen or 0):
            chronicle.last_seen = last.time_us
        chronicle.span(first.day, last.day)
        self._touched.add((service, first.day))
        if first.day != last.day:
            self._touched.update([(service, entry.event.day) for entry in entries])
        if rows:
            self._events[service, first.channel, "v"] += rows
            chronicle.last_page = max(rows[-1][2], chronicle.last_page or 0)
            chronicle.page_views += len(rows)
            visitor.habits = grown(visitor.habits, lines)
            if liked:
                self._tastes.views(visitor.namespace, liked)
        if others:
            self._note_others(visitor, others, service)

    def _note_others(self, visitor: Visitor[Who], others: list[Entry], service: int) -> None:
        """Count what is no page view."""
        for entry in others:
            event = entry.event
            row = (event.day, visitor.id, event.time_us, entry.id, body_of(event))
            self._events[service, event.channel, kind_of(event)].append(row)
            visitor.chronicle.note(entry.origin.service, event)
        self._tastes.note(visitor, others)
