"""What a fold asks of stored history, as a protocol: few questions, each of many rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from alias_middleware.storage.base import Origin
from alias_middleware.storage.chronicle import Chronicle
from alias_middleware.storage.settling import Kept, OrderPlace


class Mark(NamedTuple):
    """What makes an event one: where its raw row lies."""

    day: int
    service: int
    key: str
    time_us: int
    id: int


class Stream(NamedTuple):
    """One visitor's events in one (service, channel)."""

    service: int
    key: str
    channel: str
    gap_us: int


class Window(NamedTuple):
    """A part of a stream: moments (microseconds) and the local days they lie in, both ends included."""

    stream: Stream
    since_us: int
    until_us: int
    first_day: int
    last_day: int


class Known(NamedTuple):
    """What is kept of a visitor. `habits`: the bytes of `habits.grown`."""

    not_before: int
    chronicle: Chronicle
    habits: bytes


class Shelf(Protocol):
    """What a fold asks of stored history. Events of this batch are not on it yet."""

    def service(self, origin: Origin) -> tuple[int, int]:
        """Give a service's id and its visit gap in microseconds; the gap it first came with holds."""

    def visitors(self, namespace: str, keys: Sequence[str]) -> Mapping[str, Known]:
        """Give, of some visitors, those who are known."""

    def erased(self, namespace: str, keys: Sequence[str]) -> Mapping[str, int]:
        """Give, of some visitors, those who were erased and when (microseconds)."""

    def refusals(self, namespace: str, keys: Sequence[str]) -> Mapping[str, int]:
        """Give, of some visitors, those who refuse to be measured and since when (microseconds)."""

    def stored(self, marks: Sequence[Mark]) -> set[Mark]:
        """Give those of some events that are stored."""

    def orders(self, places: Sequence[OrderPlace]) -> Mapping[OrderPlace, Kept]:
        """Give the copies of orders that count so far."""

    def refunds(self, places: Sequence[OrderPlace]) -> Mapping[OrderPlace, Sequence[int | None]]:
        """Give the amounts refunded of orders so far."""

    def around(self, windows: Sequence[Window]) -> Mapping[Window, Sequence[tuple[int, int]]]:
        """Give the (moment, event id) of the stored events that form visits, in some windows."""
