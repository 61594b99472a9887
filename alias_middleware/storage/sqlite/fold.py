"""Folding a batch of events into the history file: raw events, arrivals, knowledge; `orders` has the money.

Everything here runs inside the writer's one transaction. Rows are gathered in memory and written sorted, many
at a time. `presence` remembers where each visitor's streams end, so that events in order need no look-up;
events that come late, or twice, look at the raw events around them.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter

import msgspec

from alias_middleware.events import Event, PageView, body_of, kind_of
from alias_middleware.history import forms_visit, needs_consent
from alias_middleware.storage import visits
from alias_middleware.storage.base import Entry, Origin, Outcome
from alias_middleware.storage.batch import by_person
from alias_middleware.storage.chronicle import (
    Chronicle,
    Presence,
    VisitorRow,
    decode_chronicle,
    encode_chronicle,
)
from alias_middleware.storage.sqlite import tastes
from alias_middleware.storage.sqlite.marks import mark_changed
from alias_middleware.storage.sqlite.orders import OrderBook
from alias_middleware.storage.sqlite.recollection import Recollection
from alias_middleware.storage.sqlite.rows import insert_alike, insert_rows, replace_blobs, select_by_keys
from alias_middleware.storage.sqlite.streams import Stream, begun_around, last_without
from alias_middleware.storage.tastes import Tastes
from alias_middleware.storage.usual import PLAIN, SETTLED, EventRows, UsualFold, days_of

_VISITORS = """
    SELECT key, id, not_before, knowledge, habits FROM visitors JOIN chronicles ON visitor = id
    WHERE namespace = ? AND key IN
"""
_NEXT_VISITOR = """
    SELECT max(ifnull((SELECT max(visitor) FROM chronicles), 0), ifnull((SELECT given FROM numbers), 0)) + 1
"""
_INSERT_EVENTS = "INSERT INTO events SELECT column1, column2, column3, column4, ?, ?, ?, column5 FROM"
_IS_STORED = "SELECT 1 FROM events WHERE day = ? AND visitor = ? AND time_us = ? AND id = ?"


class Fold:
    """One batch on its way into the history file."""

    def __init__(
        self,
        sql: sqlite3.Connection,
        recollection: Recollection,
        tombstone: Callable[[str, str], int | None],
        refusals: Callable[[str, Iterable[str]], Mapping[str, int]],
    ) -> None:
        """Fold into `sql`'s open transaction, with what is remembered of earlier ones.

        `tombstone` gives the time of a visitor's erasure; `refusals`, of some visitors of a namespace,
        those who refuse to be measured and since when.
        """
        self._sql = sql
        self._recollection = recollection
        self._pages = recollection.pages
        self._tombstone = tombstone
        self._refusals = refusals
        self._touched: set[tuple[int, int]] = set()  # besides those of new rows of `events`
        self._tastes = Tastes()
        self._orders = OrderBook(sql, self._touched, self._tastes)
        self._services: dict[Origin, tuple[int, int]] = {}
        self._latest: tuple[Origin | None, tuple[int, int]] = (None, (0, 0))
        self._next_visitor: int = sql.execute(_NEXT_VISITOR).fetchone()[0]
        self._margin = 1
        self._events: EventRows[int] = defaultdict(list)
        self._new: list[VisitorRow] = []
        self._recalled: list[VisitorRow] = []
        self._chronicles: list[tuple[int, bytes, bytes]] = []
        self._usual = UsualFold(self._pages, self._tastes, self._events)
        self._arrived = self._usual.arrived
        self.outcome = Outcome()

    def fold(self, entries: Sequence[Entry]) -> Outcome:
        """Take over the entries and give what became of them."""
        for namespace, by_key in by_person(entries).items():
            refusals = self._refusals(namespace, by_key)
            for visitor in self._visitors(namespace, by_key):
                theirs = by_key.pop(visitor.key)
                if self._person(visitor, theirs, refusals.get(visitor.key)):
                    self._keep(visitor)
            for key in sorted(by_key):
                stranger = self._stranger(namespace, key)
                if self._person(stranger, by_key[key], refusals.get(key)):
                    self._next_visitor += 1
                    self._new.append(stranger)
                    self._keep(stranger)
        self._write()
        return self.outcome

    def _person(self, visitor: VisitorRow, entries: list[Entry], refused_us: int | None) -> bool:
        """Fold one visitor's entries; False when nothing of them is kept and his row stays as it is."""
        service, gap_us = self.service(entries[0].origin)
        if refused_us is None and self._usual.take(visitor, entries, service, gap_us, PLAIN):
            self.outcome.stored += len(entries)
            return True
        welcome = [entry for entry in entries if self._is_welcome(visitor, entry, refused_us)]
        fresh = self._fresh(visitor, welcome)
        if not fresh:
            return False
        added, removed = self._orders.settle(visitor, fresh, self.service, self.outcome)
        added.sort(key=_moment)
        if removed or not added or not self._usual.take(visitor, added, *self.service(added[0].origin), SETTLED):
            self._join(visitor, fresh, added, removed)
        return True

    def _keep(self, visitor: VisitorRow) -> None:
        """Encode a visitor's row at once: later, what it is made of has left the processor's cache."""
        self._chronicles.append((visitor.id, encode_chronicle(visitor.chronicle), visitor.habits))

    def service(self, origin: Origin) -> tuple[int, int]:
        """Give a service's id and its visit gap in microseconds; the gap it first came with holds."""
        if origin is self._latest[0]:  # asked for every event, most of one service: saves hashing the origin
            return self._latest[1]
        known = self._services.get(origin)
        if known is None:
            self._sql.execute(
                "INSERT OR IGNORE INTO services (service, namespace, visit_gap_us) VALUES (?, ?, ?)",
                (origin.service, origin.namespace, origin.visit_gap_us),
            )
            known = self._sql.execute(
                "SELECT s.id, (SELECT visit_gap_us FROM services WHERE service = s.service ORDER BY id LIMIT 1) "
                "FROM services s WHERE service = ? AND namespace = ?",
                (origin.service, origin.namespace),
            ).fetchone()
            self._services[origin] = known
            self._margin = max(self._margin, visits.margin_days(known[1]))
        self._latest = origin, known
        return known

    def _visitors(self, namespace: str, keys: Iterable[str]) -> list[VisitorRow]:
        """Give the rows there are of visitors by number: those remembered, and the others read."""
        remembered = self._recollection.visitors.get(namespace, {})
        found: list[VisitorRow] = []
        others: list[str] = []
        for key in keys:
            row = remembered.get(key)
            if row is None:
                others.append(key)
            else:
                found.append(row)
        others.sort()  # as their rows lie: one page after the other, each once
        rows = select_by_keys(self._sql, _VISITORS, (namespace,), others)
        try:
            read = [
                VisitorRow(id_, namespace, key, not_before, decode_chronicle(knowledge), habits)
                for key, id_, not_before, knowledge, habits in rows
            ]
        except msgspec.DecodeError as error:  # one visitor's row must not hold up everybody: see Storage.apply
            raise ValueError("a visitor's row does not decode") from error
        self._recalled += read
        return sorted(found + read, key=attrgetter("id"))

    def _stranger(self, namespace: str, key: str) -> VisitorRow:
        return VisitorRow(self._next_visitor, namespace, key, self._tombstone(namespace, key) or 0, Chronicle())

    def _join(
        self, visitor: VisitorRow, fresh: Iterable[Entry], added: Sequence[Entry], removed: Sequence[Entry]
    ) -> None:
        """Have entries join and leave a visitor's streams, wherever in them they belong."""
        for entry in fresh:
            visitor.chronicle.note(entry.origin.service, entry.event)
        self._tastes.note(visitor, added)
        streams: dict[Stream, tuple[list[Entry], list[Entry]]] = {}
        for side, those in enumerate((added, removed)):
            for entry in those:
                service, gap_us = self.service(entry.origin)
                stream = Stream(visitor.id, service, entry.event.channel, gap_us)
                streams.setdefault(stream, ([], []))[side].append(entry)
        for stream, (new, gone) in streams.items():
            self._stream(visitor, stream, new, gone)

    def _is_welcome(self, visitor: VisitorRow, entry: Entry, refused_us: int | None) -> bool:
        event = entry.event
        if event.begun_us <= visitor.not_before:
            self.outcome.dropped["erased"] += 1
            return False
        if refused_us is not None and refused_us <= event.time_us and needs_consent(event):
            self.outcome.dropped["no_consent"] += 1
            return False
        return True

    def _fresh(self, visitor: VisitorRow, entries: list[Entry]) -> list[Entry]:
        """Leave out events that came before: of this batch, or already stored."""
        seen: set[tuple[int, int]] = set()
        fresh = []
        for entry in entries:
            mark = (entry.event.time_us, entry.id)
            if mark in seen or self._is_stored(visitor, entry):
                self.outcome.deduplicated += 1
            else:
                seen.add(mark)
                fresh.append(entry)
        return fresh

    def _is_stored(self, visitor: VisitorRow, entry: Entry) -> bool:
        event = entry.event
        if forms_visit(event):
            presence = visitor.presence.get(self.service(entry.origin)[0])
            if presence is None or event.time_us > presence.last_us.get(event.channel, -1):
                return False
        mark = (event.day, visitor.id, event.time_us, entry.id)
        return self._sql.execute(_IS_STORED, mark).fetchone() is not None

    def _stream(self, visitor: VisitorRow, stream: Stream, new: list[Entry], gone: list[Entry]) -> None:
        """Fold one (service, channel) of a visitor: visits, days, presence, raw events."""
        service, channel = stream.service, stream.channel
        presence = visitor.presence.get(service)
        shown = [entry for entry in new if forms_visit(entry.event)]
        shown.sort(key=lambda entry: entry.event.time_us)
        for entry in new:
            day = entry.event.day
            visitor.chronicle.span(day, day)
            visitor.chronicle.page_views += isinstance(entry.event, PageView)
        if shown or gone:
            last_us = presence.last_us.get(channel) if presence else None
            if gone or (last_us is not None and shown[0].event.time_us < last_us):
                begun = begun_around(self._sql, stream, shown, gone)
            else:
                begun = visits.begun_after(last_us, shown, stream.gap_us)
            visitor.chronicle.visits += begun
            self._remember(visitor, stream, shown, gone)
        if gone:
            self._remove(visitor.id, gone)
        for entry in new:
            event = entry.event
            row = (event.day, visitor.id, event.time_us, entry.id, self._body(event, visitor.id))
            self._events[service, channel, kind_of(event)].append(row)

    def _body(self, event: Event, visitor: int) -> int | bytes:
        return self._pages.body(event, visitor) if isinstance(event, PageView) else body_of(event)

    def _remember(self, visitor: VisitorRow, stream: Stream, shown: list[Entry], gone: list[Entry]) -> None:
        """Keep where the visitor's stream begins and ends, and the day on which he arrived."""
        service, channel = stream.service, stream.channel
        presence = visitor.presence.get(service)
        if shown:
            first = shown[0].event
            if presence is None:
                presence = visitor.presence[service] = Presence(first.time_us, first.day, {})
                self._arrived.append((service, first.day, visitor.id))
            elif first.time_us < presence.first_us:
                self._arrive_earlier(visitor.id, service, presence.first_day, first.day)
                presence.first_us, presence.first_day = first.time_us, first.day
            last_us = shown[-1].event.time_us
            presence.last_us[channel] = max(last_us, presence.last_us.get(channel, last_us))
            visitor.chronicle.see(first.time_us)
            visitor.chronicle.see(last_us)
        if gone and presence is not None:
            staying_us = last_without(self._sql, stream, visitor.chronicle.days, shown, gone)
            if staying_us is None:
                del presence.last_us[channel]
            else:
                presence.last_us[channel] = staying_us
            visitor.chronicle.last_seen = max(
                moment for one in visitor.presence.values() for moment in one.last_us.values()
            )

    def _arrive_earlier(self, visitor: int, service: int, day: int, earlier: int) -> None:
        """Move a visitor's arrival, which may be one of this very batch."""
        if earlier == day:
            return
        self._touched.add((service, day))
        arrival = (service, day, visitor)
        if arrival in self._arrived:
            self._arrived.remove(arrival)
        else:
            self._sql.execute("DELETE FROM arrivals WHERE service = ? AND day = ? AND visitor = ?", arrival)
        self._arrived.append((service, earlier, visitor))

    def _remove(self, visitor: int, gone: list[Entry]) -> None:
        self._sql.executemany(
            "DELETE FROM events WHERE day = ? AND visitor = ? AND time_us = ? AND id = ?",
            [(entry.event.day, visitor, entry.event.time_us, entry.id) for entry in gone],
        )

    def _write(self) -> None:
        """Write everything in the order of its keys, so that neighbouring rows share their pages."""
        new = [(one.namespace, one.key, one.id, one.not_before) for one in self._new]
        insert_rows(self._sql, "visitors", new)
        replace_blobs(self._sql, "chronicles", self._chronicles)
        for alike, rows in self._events.items():
            rows.sort()
            insert_alike(self._sql, _INSERT_EVENTS, alike, rows)
        self._arrived.sort()
        insert_rows(self._sql, "arrivals", self._arrived)
        self._orders.write()
        mark_changed(self._sql, self._touched | days_of(self._events), self._margin)
        tastes.write(self._sql, self._tastes)
        self._recollection.keep(self._recalled + self._new)


def _moment(entry: Entry) -> int:
    return entry.event.time_us
