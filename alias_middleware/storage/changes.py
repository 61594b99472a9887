"""What a batch changes in stored history, while it is worked out and when it is to be written."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from alias_middleware.storage.base import Entry, Outcome
from alias_middleware.storage.chronicle import Chronicle
from alias_middleware.storage.settling import OrderPlace, Settled
from alias_middleware.storage.shelf import Mark, Stream, Window
from alias_middleware.storage.tastes import Tastes
from alias_middleware.storage.usual import EventRows

ServiceDay = tuple[int, int]
"""A service's id and a local day."""

Arrival = tuple[int, int, str]
"""A service's id, the local day of a visitor's first event there, and his key."""


@dataclass(repr=False, slots=True)
class Person:
    """A visitor while a batch is folded in; shows nothing of him where a reporter of errors shows locals.

    `added`: what joins his history, `removed`: what gives way to it.
    """

    namespace: str
    key: str
    not_before: int
    chronicle: Chronicle
    habits: bytes
    entries: list[Entry]
    added: list[Entry] = field(default_factory=list)
    removed: list[Entry] = field(default_factory=list)
    streams: dict[Stream, Change] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """What rows name him by."""
        return self.key


@dataclass(repr=False, slots=True)
class Change:
    """What joins a stream and what leaves it.

    `window`: what must be looked at, if anything; `whole`: all of a stream that something leaves.
    """

    new: list[Entry] = field(default_factory=list)
    gone: list[Entry] = field(default_factory=list)
    shown: list[Entry] = field(default_factory=list)
    window: Window | None = None
    whole: Window | None = None


@dataclass(repr=False, slots=True)
class Changes:
    """What is to be written.

    `touched`: the days whose events or orders change; a visit that begins on one may go on for `margin` days.
    """

    visitors: list[Person] = field(default_factory=list)
    events: EventRows[str] = field(default_factory=lambda: defaultdict(list))
    gone: list[Mark] = field(default_factory=list)
    arrived: set[Arrival] = field(default_factory=set)
    departed: set[Arrival] = field(default_factory=set)
    touched: set[ServiceDay] = field(default_factory=set)
    margin: int = 1
    orders: dict[OrderPlace, Settled] = field(default_factory=dict)
    refunds: list[tuple[OrderPlace, Entry]] = field(default_factory=list)
    tastes: Tastes = field(default_factory=Tastes)
    outcome: Outcome = field(default_factory=Outcome)
