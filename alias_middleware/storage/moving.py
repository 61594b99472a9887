"""What a storage offers so that all it holds can be moved to another: rows of named parts, and a seal.

A storage that can do it gives a `Moving` from `Storage.moving`. Rows are plain values and mean the same in every
storage; what is derived from them and private to a storage (roll-ups, pages' numbers) is not among them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

Row: TypeAlias = tuple[Any, ...]
"""The values of a part's columns: str, int, float, bool, bytes or None."""

Key: TypeAlias = tuple[Any, ...]
"""The first columns of a row, which name it."""

Cursor: TypeAlias = tuple[Any, ...]
"""Where a page ends. What is in it is the storage's own business."""


Progress: TypeAlias = Callable[[str, int, int], None]
"""Told of something that goes on: its name, how much of it is behind us, and about how much there is."""


class Part(NamedTuple):
    """A kind of rows: its columns, the first `keys` of which name a row.

    `recounted`: a storage that works it out from the events may leave it out; it then says so in `Moving.keeps`.
    """

    name: str
    columns: tuple[str, ...]
    keys: int
    recounted: bool = False


SERVICES = Part("services", ("id", "service", "namespace", "visit_gap_us"), 1)
"""The gap of the row with the least id is the one that holds for a service's name."""

HORIZONS = Part("horizons", ("namespace", "frozen_before", "purged_before"), 1)
RECORDED_DAYS = Part("recorded_days", ("service", "day"), 2, recounted=True)
"""The local days on which something of a service (its id) was ever recorded."""

VISITORS = Part("visitors", ("namespace", "key", "number", "not_before", "knowledge", "habits"), 2, recounted=True)
"""`number` is the visitor's in roll-ups, from 1, unique in the storage. `not_before`: when he was erased, or 0.

`knowledge` is the JSON of `chronicle.Chronicle`, `habits` the bytes of `habits.grown`.
"""

EVENTS = Part("events", ("day", "service", "key", "time_us", "id", "channel", "kind", "body"), 5)
"""`kind` is `events.kind_of`, `body` `events.body_of`. Of an order's copies only the one that counts is there."""

ORDERS = Part(
    "orders",
    ("namespace", "key", "service", "order_id", "time_us", "id", "day", "currency", "net", "cancelled"),
    4,
    recounted=True,
)
REFUNDS = Part(
    "refunds", ("namespace", "key", "service", "order_id", "time_us", "id", "amount"), 6, recounted=True
)
UNIDENTIFIED = Part("unidentified", ("service", "day", "page_views"), 2)
CATEGORY_SUMS = Part("category_sums", ("namespace", "category", "recent", "whole"), 2, recounted=True)
LIVE = Part("live", ("service", "since_us", "earliest_us"), 1)
FROZEN = Part("frozen", ("service", "day", "channel", "section", "body"), 4)
GIVEN_NUMBERS = Part("given_numbers", ("id", "number"), 1)
"""At most one row, 1: the highest number that a visitor has or had: nobody gets one a second time."""

REPLACED = Part("replaced", ("service", "since_us", "until_us", "swept"), 3)
"""The stretches of time that imported logs stand for."""

PROFILES = Part(
    "profiles",
    (
        *("namespace", "key", "not_before", "refuses_measure_us"),
        *("preferences", "personal", "consents", "stamps", "done"),
    ),
    2,
)
"""`done`: what the row remembers of the operations carried out on it, see `carried_out`."""

TOMBSTONES = Part("tombstones", ("namespace", "hash", "erased_us"), 2)
SUPPRESSIONS = Part("suppressions", ("namespace", "hash", "scope", "reason", "channel", "time_us"), 3)
SUPPRESSION_KEYS = Part("suppression_keys", ("mark",), 1)
PSEUDONYMS = Part("pseudonyms", ("namespace", "mark"), 1)
"""The check value of the keys that a namespace's visitor keys were last made with."""

LASTING_KEYS = Part("lasting_keys", ("namespace", "key", "concealed"), 2)
"""Visitors' lasting keys, concealed under the secret keys: see `Keyring.conceal`."""

SEALED_ALIASES = Part("sealed_aliases", ("namespace", "key", "why", "time_us", "until_us", "sealed"), 3)
DISCLOSURES = Part("disclosures", ("namespace", "hash", "time_us", "id", "what", "requester", "reason"), 4)
CAMPAIGNS = Part("campaigns", ("service", "name", "namespace", "standing", "plan", "created_us"), 2)
DISPATCHES = Part(
    "dispatches",
    (
        *("service", "campaign", "namespace", "key"),
        *("state", "reason", "until_us", "time_us", "message_id", "claimed_us"),
    ),
    4,
)
ERASED_DISPATCHES = Part("erased_dispatches", ("service", "campaign", "state", "reason", "number"), 4)
CONTACT_NOTES = Part("contact_notes", ("service", "what", "time_us", "how"), 2)
STRAY_MESSAGES = Part("stray_messages", ("service", "id", "time_us", "short_code", "text"), 2)
CONVERSIONS = Part(
    "conversions", ("id", "scope", "month", "time_us", "requester", "reason", "detail", "given_back"), 1
)
COUNTERS = Part("counters", ("name", "value"), 1)
POSITIONS = Part("positions", ("segment", "position"), 1)
"""How far each segment of a spool is drained: what was applied here is not applied again elsewhere."""

PARTS: tuple[Part, ...] = (
    SERVICES, HORIZONS, RECORDED_DAYS, VISITORS, EVENTS, ORDERS, REFUNDS, UNIDENTIFIED, CATEGORY_SUMS, LIVE,
    FROZEN, GIVEN_NUMBERS, REPLACED, PROFILES, TOMBSTONES, SUPPRESSIONS, SUPPRESSION_KEYS, DISCLOSURES,
    PSEUDONYMS, LASTING_KEYS, SEALED_ALIASES,
    CAMPAIGNS, DISPATCHES, ERASED_DISPATCHES, CONTACT_NOTES, STRAY_MESSAGES, CONVERSIONS, COUNTERS, POSITIONS,
)  # fmt: skip
"""Every part, in the order in which rows may refer to those before."""


class Page(NamedTuple):
    """Some rows of a part, and where the next page begins: None when this was the last."""

    rows: list[Row]
    after: Cursor | None


class Standing(NamedTuple):
    """What a storage says of itself: whether it is sealed, and from which one (its `identity`) it was filled.

    A storage that is `sealed` refuses every change with the reason `sealed`, which then waits in the spool.
    """

    sealed: bool
    filled_from: str | None


class Moving(ABC):
    """The verbs for moving everything out of a storage, and into one. All are synchronous and thread-safe.

    What changes a storage is for a sealed one only.
    """

    keeps: frozenset[Part] = frozenset(PARTS)
    """The parts that are kept; one whose rows are `recounted` is given all the same."""

    @abstractmethod
    def identity(self) -> str:
        """Tell these data from all others; made up when it is first asked for."""

    @abstractmethod
    def marks(self) -> list[bytes]:
        """Give what tells each secret key without giving it away, oldest first (`Keyring.marks`)."""

    @abstractmethod
    def standing(self) -> Standing:
        """Tell whether the storage is sealed, and for what."""

    @abstractmethod
    def seal(self, filled_from: str | None = None) -> None:
        """Let nothing change any more but by the verbs here; what was begun is finished or undone when it returns.

        `filled_from`: the identity of the storage that it is going to be filled from.

        Raises:
            StorageUnavailable: somebody is in the middle of a change that must not be cut in two; try again.
        """

    @abstractmethod
    def open(self) -> None:
        """Take the seal away."""

    @abstractmethod
    def days(self) -> dict[int, bytes]:
        """Give the local days with events, each with a mark that is another whenever its events may be others."""

    @abstractmethod
    def moved_days(self) -> Mapping[int, bytes]:
        """Give what `note_day` noted."""

    @abstractmethod
    def note_day(self, day: int, mark: bytes) -> None:
        """Note that a day's events are here as they were under `mark` where they come from."""

    @abstractmethod
    def page(self, part: Part, after: Cursor | None, limit: int, *, day: int | None = None) -> Page:
        """Give up to `limit` rows of a part behind a place, in an order of the storage's own.

        Events are given by the day.
        """

    @abstractmethod
    def find(self, part: Part, keys: Sequence[Key]) -> list[Row]:
        """Give those rows of a part that have one of some keys, in any order."""

    @abstractmethod
    def count(self, part: Part, *, day: int | None = None) -> int:
        """Count a part's rows; the events of one day."""

    @abstractmethod
    def put(self, part: Part, rows: Sequence[Row]) -> int:
        """Keep rows, each instead of the one that had its key, and give how many are here now.

        Rows that speak of a visitor who is not here are left out. An event is never kept twice.
        """

    @abstractmethod
    def drop(self, part: Part, keys: Sequence[Key]) -> None:
        """Delete rows; with a visitor goes all that is recorded of him."""

    @abstractmethod
    def drop_day(self, day: int) -> None:
        """Delete the events of a day."""

    def tidy(self) -> None:  # noqa: B027 -- most storages have nothing to do
        """Do what is better done once after much was put."""


def pages(storage: Moving, part: Part, limit: int, *, day: int | None = None) -> Iterator[list[Row]]:
    """Give all rows of a part, or a day's events, page by page."""
    after: Cursor | None = None
    while True:
        rows, after = storage.page(part, after, limit, day=day)
        if rows:
            yield rows
        if after is None:
            return
