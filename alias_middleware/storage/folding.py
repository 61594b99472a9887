"""What a batch of events changes in stored history: pure, in phases that ask a shelf few, large questions.

The shelf is a storage's: it answers from its tables, and writes down the `Changes` in the same transaction.
`presence` remembers where each visitor's streams end, so that events in order ask nothing; events that come late,
or twice, ask for the raw events around them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alias_middleware.events import Event, PageView, Purchase, Refund, body_of, kind_of
from alias_middleware.habits import rest_of_line
from alias_middleware.history import forms_visit, needs_consent
from alias_middleware.storage.base import Entry, Outcome
from alias_middleware.storage.batch import by_person
from alias_middleware.storage.changes import Arrival, Change, Changes, Person
from alias_middleware.storage.chronicle import Chronicle, Presence
from alias_middleware.storage.settling import Kept, OrderPlace, Settled, settle_order
from alias_middleware.storage.shelf import Known, Mark, Shelf, Stream, Window
from alias_middleware.storage.tastes import Tastes
from alias_middleware.storage.usual import PLAIN, SETTLED, Page, UsualFold, days_of
from alias_middleware.storage.visits import begun_after, begun_around, margin_days

_EVER = 2**62
_MONEY = (Purchase, Refund)


class _Pages:
    """What rows and habits say of the pages of one batch, made once for each."""

    def __init__(self) -> None:
        self.shown: dict[Page, tuple[bytes, bytes]] = {}

    def show(self, page: Page, view: PageView, visitor: str) -> tuple[bytes, bytes]:
        body = body_of(view)
        made = self.shown[page] = body, rest_of_line(body)
        return made


class _Usual:
    """The short way for those whose streams just go on."""

    def __init__(self, shelf: Shelf, changes: Changes) -> None:
        self._shelf = shelf
        self._changes = changes
        self._fold = UsualFold[str](_Pages(), changes.tastes, changes.events)

    def takes(self, person: Person, entries: list[Entry], kinds: frozenset[type[Event]]) -> bool:
        """Fold a visitor's entries; False, with nothing done, where they need the general way."""
        service, gap_us = self._shelf.service(entries[0].origin)
        if not self._fold.take(person, entries, service, gap_us, kinds):
            return False
        self._changes.margin = max(self._changes.margin, margin_days(gap_us))
        return True

    def end(self) -> None:
        self._changes.arrived.update(self._fold.arrived)


def fold(entries: Iterable[Entry], shelf: Shelf) -> Changes:
    """Work out what a batch's entries change, and what becomes of each."""
    changes = Changes()
    usual = _Usual(shelf, changes)
    people = _welcome(entries, shelf, usual, changes)
    people = _leave_out_stored(people, shelf, changes.outcome)
    changes.visitors += people
    _settle_orders(people, shelf, changes)
    people = [person for person in people if not _goes_on(person, usual)]
    _join_streams(people, shelf, changes.tastes)
    _fold_streams(people, shelf, changes)
    usual.end()
    changes.touched |= days_of(changes.events)
    return changes


def _welcome(entries: Iterable[Entry], shelf: Shelf, usual: _Usual, changes: Changes) -> list[Person]:
    """Group what is to be kept by person; drop what an erasure or a refusal forbids.

    Whoever goes the short way is folded at once, and not among those given.
    """
    people = []
    for namespace, by_key in by_person(entries).items():
        keys = list(by_key)
        known = shelf.visitors(namespace, keys)
        strangers = [key for key in keys if key not in known]
        erased = shelf.erased(namespace, strangers) if strangers else {}
        refusals = shelf.refusals(namespace, keys)
        for key, theirs in by_key.items():
            found = known.get(key) or Known(erased.get(key, 0), Chronicle(), b"")
            person = Person(namespace, key, *found, theirs)
            refused_us = refusals.get(key)
            if refused_us is None and usual.takes(person, theirs, PLAIN):
                changes.visitors.append(person)
                changes.outcome.stored += len(theirs)
                continue
            person.entries = [
                entry for entry in theirs if _is_welcome(entry, found.not_before, refused_us, changes.outcome)
            ]
            if person.entries:
                people.append(person)
    return people


def _is_welcome(entry: Entry, not_before: int, refused_us: int | None, outcome: Outcome) -> bool:
    event = entry.event
    if event.begun_us <= not_before:
        outcome.dropped["erased"] += 1
        return False
    if refused_us is not None and refused_us <= event.time_us and needs_consent(event):
        outcome.dropped["no_consent"] += 1
        return False
    return True


def _leave_out_stored(people: list[Person], shelf: Shelf, outcome: Outcome) -> list[Person]:
    """Leave out events that came before: of this batch, or already stored."""
    doubted: list[Mark] = []
    for person in people:
        seen: set[tuple[int, int]] = set()
        fresh = []
        for entry in person.entries:
            event = entry.event
            when = event.time_us, entry.id
            if when in seen:
                outcome.deduplicated += 1
                continue
            seen.add(when)
            fresh.append(entry)
            service = shelf.service(entry.origin)[0]
            if _may_be_stored(person, service, entry):
                doubted.append(Mark(event.day, service, person.key, event.time_us, entry.id))
        person.entries = fresh
    stored = shelf.stored(doubted) if doubted else set()
    if not stored:
        return people
    for person in people:
        fresh = [entry for entry in person.entries if mark_of(entry, shelf.service(entry.origin)[0]) not in stored]
        outcome.deduplicated += len(person.entries) - len(fresh)
        person.entries = fresh
    return [person for person in people if person.entries]


def _may_be_stored(person: Person, service: int, entry: Entry) -> bool:
    presence = person.chronicle.presence.get(service)
    if not forms_visit(entry.event):
        return True
    return presence is not None and entry.event.time_us <= presence.last_us.get(entry.event.channel, -1)


def mark_of(entry: Entry, service: int) -> Mark:
    """Give where an event's raw row lies."""
    event = entry.event
    return Mark(event.day, service, event.key, event.time_us, entry.id)


def _settle_orders(people: list[Person], shelf: Shelf, changes: Changes) -> None:
    """Settle orders and refunds, and gather what joins each person's history and what gives way to it."""
    money: dict[OrderPlace, tuple[Person, list[Entry]]] = {}
    for person in people:
        for entry in person.entries:
            if isinstance(entry.event, _MONEY):
                place = OrderPlace(shelf.service(entry.origin)[0], person.key, entry.event.order_id)
                money.setdefault(place, (person, []))[1].append(entry)
            if not isinstance(entry.event, Purchase):
                changes.outcome.stored += 1
                person.added.append(entry)
    if not money:
        return
    places = list(money)
    kept, refunds = shelf.orders(places), shelf.refunds(places)
    for place, (person, entries) in money.items():
        given = [entry for entry in entries if isinstance(entry.event, Refund)]
        changes.refunds.extend((place, entry) for entry in given)
        before = kept.get(place)
        settled = settle_order(person.chronicle, before, entries, refunds.get(place, ()), changes.outcome)
        if settled is None:
            continue
        changes.orders[place] = settled
        _taste(person, before, settled, changes.tastes)
        changes.touched.add((place.service, settled.entry.event.day))
        if settled.is_new:
            person.added.append(settled.entry)
            if before is not None:
                person.removed.append(before.entry)


def _goes_on(person: Person, usual: _Usual) -> bool:
    """Fold what joins a person's history the short way, where that will do."""
    person.added.sort(key=_moment)
    return bool(person.added) and not person.removed and usual.takes(person, person.added, SETTLED)


def _join_streams(people: Iterable[Person], shelf: Shelf, tastes: Tastes) -> None:
    """Hand each stream of the others what joins it and what leaves it."""
    for person in people:
        tastes.note(person, person.added)
        for entry in person.entries:
            person.chronicle.note(entry.origin.service, entry.event)
        for entry in person.added:
            _stream(person, entry, shelf).new.append(entry)
        for entry in person.removed:
            _stream(person, entry, shelf).gone.append(entry)


def _moment(entry: Entry) -> int:
    return entry.event.time_us


def _taste(person: Person, before: Kept | None, settled: Settled, tastes: Tastes) -> None:
    """Count the copy of an order that counts now, and no more the one that did."""
    for one, sign in ((before, -1), (settled, 1)):
        if one is not None and not one.settlement.cancelled and isinstance(one.entry.event, Purchase):
            tastes.order(person, one.entry.event, sign)


def _stream(person: Person, entry: Entry, shelf: Shelf) -> Change:
    service, gap_us = shelf.service(entry.origin)
    stream = Stream(service, person.key, entry.event.channel, gap_us)
    return person.streams.setdefault(stream, Change())


def _fold_streams(people: list[Person], shelf: Shelf, changes: Changes) -> None:
    windows = []
    for person in people:
        for stream, change in person.streams.items():
            change.shown = [entry for entry in change.new if forms_visit(entry.event)]
            change.shown.sort(key=_moment)
            change.window = _window(person.chronicle.presence.get(stream.service), stream, change)
            change.whole = Window(stream, 0, _EVER, *person.chronicle.days) if change.gone else None
            windows += [window for window in (change.window, change.whole) if window is not None]
    around = shelf.around(windows) if windows else {}
    for person in people:
        for stream, change in person.streams.items():
            _fold_stream(person, stream, change, around[change.window] if change.window else (), changes)
        for stream, change in person.streams.items():
            if change.whole is not None:
                _forget_last(person, stream, change, around[change.whole])


def _window(presence: Presence | None, stream: Stream, change: Change) -> Window | None:
    """What of a stream must be looked at: nothing where all that joins is later than all there was."""
    last_us = presence.last_us.get(stream.channel) if presence else None
    late = change.shown and last_us is not None and change.shown[0].event.time_us < last_us
    if not late and not change.gone:
        return None
    changed = [entry.event for entry in (*change.shown, *change.gone)]
    margin = margin_days(stream.gap_us)
    return Window(
        stream,
        min(event.time_us for event in changed) - stream.gap_us,
        max(event.time_us for event in changed) + stream.gap_us,
        min(event.day for event in changed) - margin,
        max(event.day for event in changed) + margin,
    )


def _fold_stream(
    person: Person, stream: Stream, change: Change, around: Sequence[tuple[int, int]], changes: Changes
) -> None:
    """Fold one stream: visits, presence, arrival, raw events."""
    service, key, channel, gap_us = stream
    chronicle = person.chronicle
    changes.margin = max(changes.margin, margin_days(gap_us))
    for entry in change.new:
        event = entry.event
        chronicle.page_views += type(event) is PageView
        chronicle.span(event.day, event.day)
        row = (event.day, key, event.time_us, entry.id, body_of(event))
        changes.events[service, channel, kind_of(event)].append(row)
    for entry in change.gone:
        changes.touched.add((service, entry.event.day))
        changes.gone.append(mark_of(entry, service))
    if change.window is not None:
        chronicle.visits += begun_around(around, gap_us, change.shown, change.gone)
    elif change.shown:
        presence = chronicle.presence.get(service)
        last_us = presence.last_us.get(channel) if presence else None
        chronicle.visits += begun_after(last_us, change.shown, gap_us)
    if change.shown:
        _remember(chronicle, stream, change.shown, changes)


def _remember(chronicle: Chronicle, stream: Stream, shown: list[Entry], changes: Changes) -> None:
    """Keep where the visitor's stream begins and ends, and the day on which he arrived."""
    service, key, channel, _ = stream
    first, last_us = shown[0].event, shown[-1].event.time_us
    presence = chronicle.presence.get(service)
    if presence is None:
        presence = chronicle.presence[service] = Presence(first.time_us, first.day, {})
        changes.arrived.add((service, first.day, key))
    elif first.time_us < presence.first_us:
        if first.day != presence.first_day:
            _arrive_earlier((service, presence.first_day, key), first.day, changes)
        presence.first_us, presence.first_day = first.time_us, first.day
    presence.last_us[channel] = max(last_us, presence.last_us.get(channel, last_us))
    chronicle.see(first.time_us)
    chronicle.see(last_us)


def _arrive_earlier(arrival: Arrival, day: int, changes: Changes) -> None:
    """Move a visitor's arrival, which may be one of this very batch."""
    service, later, key = arrival
    changes.touched.add((service, later))
    if arrival in changes.arrived:
        changes.arrived.remove(arrival)
    else:
        changes.departed.add(arrival)
    changes.arrived.add((service, day, key))


def _forget_last(person: Person, stream: Stream, change: Change, moments: Sequence[tuple[int, int]]) -> None:
    """Move the end of a stream back to what stays when some of it left."""
    presence = person.chronicle.presence[stream.service]
    leaving = {(entry.event.time_us, entry.id) for entry in change.gone}
    staying = [time_us for time_us, id_ in moments if (time_us, id_) not in leaving]
    last_us = max([*staying, *(entry.event.time_us for entry in change.shown)], default=None)
    if last_us is None:
        del presence.last_us[stream.channel]
    else:
        presence.last_us[stream.channel] = last_us
    person.chronicle.last_seen = max(
        moment for one in person.chronicle.presence.values() for moment in one.last_us.values()
    )
