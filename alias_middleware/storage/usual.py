"""The short way into the history: one stream of a visitor goes on, each event later than all there was of it.

Nearly every visitor of a batch brings that. What the general way looks up, sorts and compares is certain then, so
this takes a third of its time; `test_usual.py` of each database's tests has both give the same.
"""

from __future__ import annotations

from collections import defaultdict
from operator import itemgetter
from typing import Any, Generic, Protocol, TypeVar

from alias_middleware.events import Event, Message, PageView, Purchase, TrackedEvent, body_of, kind_of
from alias_middleware.habits import beginning_of_line, grown
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
_day = itemgetter(0)


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


_Read = tuple[bytes, int, list[tuple[str, int]], list[Entry]]
"""What a visitor's entries come to besides the rows of page views.

The lines of his habits, visits begun, each (category, second) of a page view, and the entries that are none.
"""


class UsualFold(Generic[Who]):
    """One batch's visitors who went the short way."""

    def __init__(self, pages: Pages[Who], tastes: Tastes, events: EventRows[Who]) -> None:
        """Add to what the batch does to habits and to its rows of `events`."""
        self.arrived: list[tuple[int, int, Who]] = []
        """The rows of `arrivals` of those who came for the first time."""
        self._pages = pages
        self._tastes = tastes
        self._events = events
        self._beginnings: dict[int, bytes] = {}

    def take(
        self, visitor: Visitor[Who], entries: list[Entry], service: int, gap_us: int, kinds: frozenset[type[Event]]
    ) -> bool:
        """Fold a visitor's entries; False, with nothing done, where one of them needs the general way.

        `service` and its `gap_us` are those of the first entry; the types of events may be `kinds`.
        """
        first, chronicle = entries[0].event, visitor.chronicle
        channel = first.channel
        presence = chronicle.presence.get(service)
        latest = None if presence is None else presence.last_us.get(channel)
        if latest is None and presence is not None and first.time_us < presence.first_us:
            return False
        views = self._events[service, channel, "v"]
        before = len(views)
        read = self._read(visitor, entries, views, gap_us, _LONG_AGO if latest is None else latest)
        if read is None or not self._count(visitor, read, kinds):
            del views[before:]
            return False
        if latest is None or presence is None:
            presence = self._begin(visitor, first, service)
        last, (first_day, last_day) = entries[-1].event, chronicle.days
        presence.last_us[channel] = last_us = last.time_us
        if last_us > (chronicle.last_seen or 0):
            chronicle.last_seen = last_us
        if first.day < first_day or last_day < last.day:
            chronicle.span(first.day, last.day)
        if shown := len(views) - before:
            chronicle.page_views += shown
            if (shown_us := views[-1][2]) > (chronicle.last_page or 0):
                chronicle.last_page = shown_us
        if read[3]:
            self._note(visitor, read[3], service)
        return True

    def _count(self, visitor: Visitor[Who], read: _Read, kinds: frozenset[type[Event]]) -> bool:
        """Count visits and habits of what was read; False, with nothing done, where an event is not of `kinds`."""
        lines, begun, liked, others = read
        if others and not kinds.issuperset([type(other.event) for other in others]):
            return False
        if begun:
            visitor.chronicle.visits += begun
        if lines:
            visitor.habits = grown(visitor.habits, lines)
            if liked:
                self._tastes.views(visitor.namespace, liked)
        return True

    def _begin(self, visitor: Visitor[Who], first: Event, service: int) -> Presence:
        """Begin a stream, the visitor's first at the service or not, with its first event."""
        chronicle = visitor.chronicle
        chronicle.see(first.time_us)
        presence = chronicle.presence.get(service)
        if presence is None:
            presence = chronicle.presence[service] = Presence(first.time_us, first.day, {})
            self.arrived.append((service, first.day, visitor.id))
        return presence

    def _read(
        self,
        visitor: Visitor[Who],
        entries: list[Entry],
        views: list[EventRow[Who]],
        gap_us: int,
        latest: int,
    ) -> _Read | None:
        """Read a stream that goes on after its `latest` moment, page views into `views`; None if it does not."""
        origin, channel = entries[0].origin, entries[0].event.channel
        id_, not_before = visitor.id, visitor.not_before
        shown, beginnings = self._pages.shown, self._beginnings
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
                category, moment_s = event.category, time_us // 1_000_000
                page = (event.path, event.title, category)
                body, rest = shown.get(page) or self._pages.show(page, event, id_)
                lines += (beginnings.get(moment_s) or self._beginning(moment_s)) + rest
                if category is not None:
                    liked.append((category, moment_s))
                views.append((event.day, id_, time_us, entry.id, body))
            else:
                others.append(entry)
        return lines, begun, liked, others

    def _beginning(self, moment_s: int) -> bytes:
        """Give what the lines for page views of a moment begin with; a batch has many of few seconds."""
        beginning = self._beginnings[moment_s] = beginning_of_line(moment_s)
        return beginning

    def _note(self, visitor: Visitor[Who], others: list[Entry], service: int) -> None:
        """Count what is no page view."""
        for entry in others:
            event = entry.event
            row = (event.day, visitor.id, event.time_us, entry.id, body_of(event))
            self._events[service, event.channel, kind_of(event)].append(row)
            visitor.chronicle.note(entry.origin.service, event)
        self._tastes.note(visitor, others)


def days_of(events: EventRows[Who]) -> set[tuple[int, int]]:
    """Give each (service, day) that a batch's rows belong to."""
    return {(service, day) for (service, _, _), rows in events.items() for day in set(map(_day, rows))}
