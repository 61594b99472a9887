"""What a visitor asks of the recorder, as protocols, so that either can be read without the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from alias_middleware.events import AnyEvent, Event
from alias_middleware.interests import Population
from alias_middleware.profile import Operation, StoredProfile


class Reader(Protocol):
    """What a draft asks for."""

    def load(self, key: str) -> StoredProfile:
        """Read a profile; an empty one when the storage cannot answer."""

    def know(self, key: str) -> bytes:
        """Read what is derived from a visitor's history; nothing when the storage cannot answer."""

    def now(self) -> int:
        """Give the present moment."""

    def population(self, *, wait: bool) -> Population:
        """Give everybody's tastes as last read; with `wait` they are read now where that is due."""

    def problem(self, error: Exception) -> None:
        """Report an error: raised where the settings say so, else logged and counted."""


class Addressing(Protocol):
    """What is told of acts that open a contact, or close it."""

    def changed(self, key: str, alias: str, begun_us: int, now_us: int, operations: Sequence[Operation]) -> None:
        """Take the operations of one commit: consent may be among them."""

    def bought(self, key: str, alias: str, time_us: int, begun_us: int) -> None:
        """Take a purchase."""


class Keeper(Reader, Protocol):
    """What a visitor asks for. Times are microseconds since the epoch (UTC)."""

    durable: frozenset[type[Event]]
    """The types of events that are to be made durable by `sync`."""

    category_of: Callable[[str], str | None] | None
    """Gives the category of a path by the settings' patterns; None where there are none."""

    statistics_only: bool
    """Whether the site keeps no profiles."""

    @property
    def addresses(self) -> Addressing | None:
        """What keeps the aliases of those who may be contacted; None where none are kept."""

    def day(self, time_us: int) -> int:
        """Give the local day of a moment."""

    def record(self, event: AnyEvent) -> bool:
        """Put an event in the spool; False when it was dropped."""

    def dropped(self, reason: str, event: str) -> None:
        """Count an event that is not recorded."""

    def change(self, key: str, begun_us: int, operations: list[Operation]) -> None:
        """Carry out field operations, now or, past the time budget, by way of the spool."""

    def sync(self) -> None:
        """Make what was recorded durable."""

    def history(self, key: str, limit: int, before_us: int | None) -> list[Event]:
        """Read the latest events of a visitor, before an instant (microseconds) if one is given."""
