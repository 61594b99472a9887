"""Entries for the tests of storages: a short way to tell what visitors did, and random histories.

A random history is made of a seed alone, so that a failure is repeated by its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from msgspec import structs

from alias_middleware.events import (
    Channel,
    Event,
    Item,
    Message,
    PageView,
    Purchase,
    Refund,
    TrackedEvent,
    Unsubscription,
)
from alias_middleware.local_time import LocalDays, from_micros, to_micros
from alias_middleware.profile import Operation, ProfileChange
from alias_middleware.storage.base import Batch, Entry, Origin

ZONE = ZoneInfo("Europe/Paris")
GAP_US = 30 * 60 * 1_000_000

NEWS = Origin(service="news", namespace="portal", visit_gap_us=GAP_US)
SHOP = Origin(service="shop", namespace="portal", visit_gap_us=GAP_US)
ELSEWHERE = Origin(service="elsewhere", namespace="elsewhere", visit_gap_us=GAP_US)
"""Two services that share their visitors, and one whose visitors are other people."""

KEY = "314522927347"

_days = LocalDays(ZONE)


def instant(text: str) -> int:
    """Give the microseconds since the epoch of an ISO 8601 time, in Paris unless it names an offset."""
    moment = datetime.fromisoformat(text)
    return to_micros(moment if moment.tzinfo is not None else moment.replace(tzinfo=ZONE))


def local_day(text: str) -> int:
    """Give the number of a local day, as in 2026-03-02."""
    return datetime.fromisoformat(text).toordinal()


class Teller:
    """Makes entries about one visitor, each with an id of its own."""

    def __init__(self, *, key: str = KEY, origin: Origin = NEWS, ids: Iterator[int] | None = None) -> None:
        """Tell of the visitor `key` at the service `origin`; tellers of one test share `ids`."""
        self.key = key
        self.origin = origin
        self.ids = ids if ids is not None else count(1)

    def of(self, *, key: str | None = None, origin: Origin | None = None) -> Teller:
        """Tell of another visitor, or of another service."""
        return Teller(key=key or self.key, origin=origin or self.origin, ids=self.ids)

    def view(
        self,
        at: str | int,
        *,
        path: str = "/",
        title: str | None = None,
        category: str | None = None,
        channel: Channel = "web",
        begun: str | int | None = None,
    ) -> Entry:
        """Tell of a page view, of a request that began then or at `begun`."""
        time_us = _micros(at)
        begun_us = time_us if begun is None else _micros(begun)
        day = _days.day(time_us)
        return self._entry(PageView(self.key, time_us, begun_us, day, channel, path, title, category))

    def track(
        self, at: str | int, name: str = "download", *, category: str | None = None, channel: Channel = "web"
    ) -> Entry:
        """Tell of a tracked event."""
        time_us = _micros(at)
        return self._entry(TrackedEvent(self.key, time_us, time_us, _days.day(time_us), channel, name, category))

    def purchase(
        self,
        at: str | int,
        order_id: str,
        price: str = "3.00",
        *,
        currency: str = "EUR",
        category: str | None = "music",
        channel: Channel = "web",
        more: Sequence[Item] = (),
    ) -> Entry:
        """Tell of an order of one ringtone, and `more`."""
        time_us = _micros(at)
        items = (Item("rt-42", "Ringtone", category, Decimal(price), 1), *more)
        return self._entry(
            Purchase(self.key, time_us, time_us, _days.day(time_us), channel, order_id, currency, items)
        )

    def refund(self, at: str | int, order_id: str, amount: int | None = None) -> Entry:
        """Tell of a refund of `amount` millionths, or of the whole order."""
        time_us = _micros(at)
        return self._entry(Refund(self.key, time_us, time_us, _days.day(time_us), "web", order_id, amount))

    def message(
        self,
        at: str | int,
        text: str = "MENU",
        *,
        offer: str | None = "premium_push",
        command: str | None = None,
    ) -> Entry:
        """Tell of an SMS that the visitor wrote to the short code 36123."""
        time_us, code = _micros(at), "36123"
        day = _days.day(time_us)
        return self._entry(Message(self.key, time_us, time_us, day, "sms", code, text, offer, command))

    def unsubscribe(self, at: str | int, offer: str = "premium_push") -> Entry:
        """Tell of the end of a subscription."""
        time_us = _micros(at)
        return self._entry(Unsubscription(self.key, time_us, time_us, _days.day(time_us), "sms", offer))

    def _entry(self, event: Event) -> Entry:
        return Entry(self.origin, event, next(self.ids))


def _micros(at: str | int) -> int:
    return instant(at) if isinstance(at, str) else at


def change(*operations: Operation, at: str | int, begun: str | int | None = None, key: str = KEY) -> ProfileChange:
    """Make the profile change of one request."""
    time_us = _micros(at)
    return ProfileChange(key, time_us, time_us if begun is None else _micros(begun), operations)


class Phase(NamedTuple):
    """A part of a random history: what arrives, in any order, and what happens once all of it is there."""

    entries: list[Entry]
    unidentified: Mapping[tuple[Origin, int], int]
    erasures: list[tuple[str, str, int]]
    changes: list[tuple[str, ProfileChange]]


class History(NamedTuple):
    """A random history, part by part, the local days it lies in, and the call that makes it again."""

    phases: list[Phase]
    days: range
    recipe: str

    def told(self) -> str:
        """Tell what happened, a line each: for whoever looks for what went wrong."""
        lines = [f"{self.recipe}:"]
        for number, phase in enumerate(self.phases):
            lines.append(f"phase {number}, in any order:")
            lines += [f"  {_told(entry)}" for entry in sorted(phase.entries, key=lambda each: each.event.time_us)]
            lines += [f"  {origin.service}: {count} without alias, day {day}" for (origin, day), count in
                      phase.unidentified.items()]  # fmt: skip
            lines += [f"then {namespace} {change.key}: {change.operations}" for namespace, change in phase.changes]
            lines += [f"then {space} {key} erased at {_time(moment)}" for space, key, moment in phase.erasures]
        return "\n".join(lines)


_CATEGORIES = (None, "sport", "music", "news")
_KEYS = [f"{number:012d}" for number in range(5)]
_START = "2026-03-27T20:00"
_HOURS = 80
_STEPS_US = (0, 0, 1, 60_000_000, 400_000_000, GAP_US - 1, GAP_US, GAP_US + 1, 3 * 3600 * 1_000_000)
_LASTING_US = (0, 1, 3600 * 1_000_000)
_SHOWN = (
    ("/", None, None),
    ("/", "Home", None),
    ("/", "Welcome", "news"),
    ("/football", "Football", "sport"),
    ("/tennis", None, "sport"),
)
_MORE = (
    (),
    (Item("rt-42", "Ringtone, again", "music", Decimal("0.10"), 2),),
    (Item("wp-7", "Wallpaper", None, Decimal("0.333333"), 3), Item("gm-1", "Game", "games", Decimal(1), 1)),
    (Item("gm-1", "A game", "sport", Decimal(0), 1),),
)


def random_history(seed: int, *, phases: int = 3, walks: int = 14) -> History:
    """Make a history of a few visitors around a night of 23 hours.

    It has categories, events at the very limits of a visit, several at one moment, equal event ids again,
    conflicting copies of orders, refunds of every kind and before their order, refusals to be measured, and
    erasures with events that began before and after them.
    """
    random = Random(seed)
    ids = count(1)
    start_us = instant(_START)
    told: list[Entry] = []
    made = []
    for number in range(phases):
        entries = [entry for _ in range(walks) for entry in _walk(random, ids, start_us)]
        again = random.sample(entries + told, k=min(len(told) + len(entries), walks))
        told += entries
        made.append(
            Phase(
                entries=entries + again,
                unidentified={(random.choice([NEWS, ELSEWHERE]), _days.day(start_us)): random.randrange(1, 9)},
                erasures=_erasures(random, start_us) if number < phases - 1 else [],
                changes=_refusals(random, start_us),
            )
        )
    first = _days.day(start_us)
    recipe = f"random_history({seed}, phases={phases}, walks={walks})"
    return History(made, range(first - 1, first + timedelta(hours=_HOURS).days + 4), recipe)


def _told(entry: Entry) -> str:
    event = entry.event
    fields = {name: value for name, value in structs.asdict(event).items() if value is not None}
    said = [f"{name}={fields[name]!r}" for name in event.__struct_fields__[5:] if name in fields]
    kind = type(event).__name__
    whose = f"{entry.origin.service} {event.key} {event.channel}"
    return f"{_time(event.time_us)} {whose} {kind} {' '.join(said)} #{entry.id}"


def _time(time_us: int) -> str:
    return from_micros(time_us).astimezone(ZONE).isoformat()


def _somewhen(random: Random, start_us: int) -> int:
    return start_us + random.randrange(_HOURS * 12) * 300_000_000


def _walk(random: Random, ids: Iterator[int], start_us: int) -> Iterator[Entry]:
    """One visitor doing a few things at one service, with gaps around the one that ends a visit."""
    origin = random.choice([NEWS, NEWS, SHOP, ELSEWHERE])
    teller = Teller(key=random.choice(_KEYS), origin=origin, ids=ids)
    time_us = _somewhen(random, start_us)
    channel: Channel = random.choice(["web", "web", "web", "sms"])
    for _ in range(random.randrange(1, 7)):
        time_us += random.choice(_STEPS_US)
        order_id = random.choice("ABCD")
        match random.randrange(10):
            case 0 | 1:
                price, currency = random.choice(["3.00", "4.50", "0"]), random.choice(["EUR", "EUR", "CHF"])
                more, category = random.choice(_MORE), random.choice(_CATEGORIES)
                yield teller.purchase(
                    time_us, order_id, price, currency=currency, category=category, channel=channel, more=more
                )
            case 2:
                amount = random.choice([None, 1, 1_500_000, 4_000_000])
                yield teller.refund(time_us, order_id, amount)
            case 3:
                name, category = random.choice(["cart", "download"]), random.choice(_CATEGORIES)
                yield teller.track(time_us, name, category=category, channel=channel)
            case 4:
                yield teller.message(time_us) if random.random() < 0.5 else teller.unsubscribe(time_us)
            case _:
                begun = time_us - random.choice(_LASTING_US)
                path, title, category = random.choice(_SHOWN)
                yield teller.view(time_us, path=path, title=title, category=category, channel=channel, begun=begun)


def _erasures(random: Random, start_us: int) -> list[tuple[str, str, int]]:
    return [
        (random.choice([NEWS, ELSEWHERE]).namespace, key, _somewhen(random, start_us))
        for key in random.sample(_KEYS, k=2)
    ]


def _refusals(random: Random, start_us: int) -> list[tuple[str, ProfileChange]]:
    return [
        (
            random.choice([NEWS, ELSEWHERE]).namespace,
            change(
                Operation("consent", "consents", "measure", [random.random() < 0.5, None]),
                Operation("increment", "preferences", "asked", 1),
                at=_somewhen(random, start_us),
                key=random.choice(_KEYS),
            ),
        )
    ]


def shuffled_batches(seed: int, phase: Phase) -> list[Batch]:
    """Cut a phase into batches of random sizes, in a random order."""
    random = Random(seed)
    entries: Sequence[Entry] = random.sample(phase.entries, k=len(phase.entries))
    batches = [Batch(unidentified=dict(phase.unidentified))]
    while entries:
        size = random.choice([1, 2, 5, 20])
        batches.append(Batch(entries=list(entries[:size])))
        entries = entries[size:]
    return batches
