"""The storage contract: few synchronous, thread-safe verbs; plain data in and out.

Every verb speaks of one visitor, by (namespace, visitor key), or of roll-ups over visitors. A storage wraps
its driver's errors once, in `StorageUnavailable` (try again later) or `StorageCorrupt`.

After a rotation of its pseudonyms a site names a visitor by his visitor key and his lasting key in one text: rows
have `identity.stored_part` of it, hashes that are to outlive them are made of `identity.lasting_part`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from alias_middleware.errors import SettingsError
from alias_middleware.events import Channel, Event
from alias_middleware.history import Knowledge
from alias_middleware.interests import Sums
from alias_middleware.profile import ProfileChange, StoredProfile
from alias_middleware.rollups.model import Days, Rollup, Section
from alias_middleware.storage.batch import Batch, Entry, LateChange, LateSealing, Origin, Outcome, Span
from alias_middleware.storage.clientele import Clientele
from alias_middleware.storage.conversions import Conversions
from alias_middleware.storage.custody import Custody
from alias_middleware.storage.moving import Moving
from alias_middleware.storage.outbox import Outbox, Suppression
from alias_middleware.storage.pseudonyms import Pseudonyms

__all__ = [
    "Abilities", "Answer", "Batch", "Clientele", "Difference", "Entry", "LateChange", "LateSealing", "Ledger",
    "Origin", "Outcome", "Question", "Scope", "Span", "Storage",
]  # fmt: skip


class Abilities(NamedTuple):
    """What a storage declares of itself.

    `reads_block`: reading profile and knowledge may wait for a network, so an event loop must not make it inline.
    Requests then wait for no call longer than `storage_timeout`; one left behind keeps one of a few threads until
    it ends, so a call must end at last, with `StorageUnavailable`, even if nothing ever comes over the network.
    `shared`: several processes see the same data. `replaces`: it can take page views out again, so it carries out
    `replace_live`, and lets no page view count that was both imported and recorded live.
    """

    reads_block: bool
    shared: bool
    replaces: bool = False


class Ledger(NamedTuple):
    """The counters and the drained positions of spool segments, as of one moment."""

    counts: dict[str, int]
    positions: dict[str, int]


class Scope(NamedTuple):
    """Whose days are asked for: one service's, or with None those of all services of the namespace.

    `channel`: one channel's, or with None all channels'.
    """

    namespace: str
    service: str | None
    channel: Channel | None = None


class Question(msgspec.Struct, frozen=True):
    """What is asked of a storage's history: a roll-up of each of `periods`, with the sections that are needed.

    Erasures are counted from the instant `erased_since_us` (microseconds) on, where it is given.
    """

    scope: Scope
    periods: Sequence[Days]
    sections: Sequence[Section]
    erased_since_us: int | None = None


class Answer(NamedTuple):
    """A roll-up for each period asked for, and the erasures counted."""

    rollups: list[Rollup]
    erased: int = 0


class Difference(NamedTuple):
    """Something derived that does not equal what the raw events say.

    `what`: a section of a roll-up, with its service, local day and channel ("" is the whole service); a "day" of a
    service that no figure has; a part of a visitor's row, with the storage's own number of him; or everybody's
    sums in a category of a namespace.
    """

    what: str
    service: str | None = None
    day: int | None = None
    channel: str | None = None
    visitor: int | None = None
    namespace: str | None = None
    category: str | None = None


class Storage(ABC):
    """Where profiles and history live."""

    abilities: Abilities

    @property
    def spool_folder(self) -> Path | None:
        """Where the spool goes unless the settings say; None where there is no natural place."""
        return None

    @abstractmethod
    def read_profile(self, namespace: str, key: str) -> StoredProfile:
        """Give a visitor's documents, empty ones for a stranger."""

    @abstractmethod
    def read_knowledge(self, namespace: str, key: str) -> bytes:
        """Give what is derived from a visitor's history; `[]` is nothing.

        The first line is JSON that decodes as `Knowledge`; the others are the bytes of `habits.grown`.
        """

    @abstractmethod
    def change_profile(self, namespace: str, change: ProfileChange, *, timeout: float) -> int:
        """Carry out operations on a profile and give how many were refused.

        A change of a request begun at or before the visitor's erasure changes nothing. Never merges by
        overwriting: concurrent changes all take effect.

        Raises:
            StorageUnavailable: nothing was changed within `timeout` seconds, and nothing will be: the caller
                sends the change by way of the spool then.
        """

    @abstractmethod
    def apply(self, batch: Batch) -> Outcome:
        """Take over a batch, exactly once.

        Raises:
            Exception: of any other kind, something in it cannot be stored at all; nothing of it took effect.
                The writer looks for the one record and sets it aside.
            StorageUnavailable: nothing of it took effect. The reason `stale_position` says that a span
                does not begin where the storage stands: read the positions again.
        """

    @abstractmethod
    def ledger(self) -> Ledger:
        """Give the counters and the drained positions, consistent with each other."""

    @abstractmethod
    def history(self, namespace: str, key: str, limit: int, *, before_us: int | None = None) -> list[Event]:
        """Give a visitor's latest events, newest first; of an order's copies only the one that counts.

        `before_us`: only those before an instant (microseconds). Events of one moment are not parted: where
        more than `limit` fit the last one's moment, all of them are given, so that the next page begins before it.
        When the request of an event began is not kept: `begun_us` is the event's own time.
        """

    @abstractmethod
    def category_sums(self, namespace: str) -> Mapping[str, Sums]:
        """Give by category what all visitors of a namespace did in it, as `habits.Strength` adds it up."""

    @abstractmethod
    def live_since(self, service: str) -> int | None:
        """Give the second (in microseconds) of a service's first page view on the web recorded live; None before.

        It is the earliest of those that were taken over, from 31 days before the first that came on: an earlier
        one that comes late moves it, an erasure does not. With `Abilities.replaces` imported page views at or
        after it are `dropped[live]`, unless a log stands for their time; those stored before it moved are taken
        back.
        """

    def replace_live(self, service: str, since_us: int, until_us: int) -> int:
        """Let a log stand for a service's page views on the web from one instant to before another.

        Those recorded live go, with all that is made of them, and their number is given; later ones of that time
        are `dropped[replaced]`. Only `imported` batches put page views there then, and the same time once more
        takes none of theirs. Frozen days stay. The next call for the same time finishes one that was cut short.
        Raises `SettingsError` unless `Abilities.replaces`.
        """
        raise SettingsError("this storage replaces nothing; SQLite's and PostgreSQL's do", setting="storage")

    @abstractmethod
    def rollups(self, questions: Sequence[Question]) -> list[Answer]:
        """Roll up stretches of local days, all as of one moment; equal to a recomputation from the raw events.

        A service never heard of has empty roll-ups. Erasures are counted in the namespaces that the service's
        events came with.
        """

    def stale(self) -> Sequence[tuple[Scope, Days]]:
        """Give the days whose roll-ups the next question about them would have to make, the oldest first.

        Each with its service; several days in one are rolled up together. Who asks `rollups` for each leaves
        nothing to make for those who come after. Nothing where a storage keeps no roll-ups.
        """
        return ()

    def mark(self, scope: Scope) -> bytes | None:
        """Give what is another whenever an answer to a question about the scope's days may be another.

        So answers can be kept for as long as the mark, read before they were asked for, is the same. None: this
        storage cannot tell.
        """
        return None

    @abstractmethod
    def span(self, scope: Scope) -> Days | None:
        """Give the days in which something was recorded, None when nothing was; of all channels."""

    @abstractmethod
    def verify(self, since: int, until: int) -> list[Difference]:
        """Compare everything derived with the raw events, roll-ups of the days from `since` to before `until`.

        What visitors favour, and everybody's sums per category, are compared as well: counts exactly, decayed sums
        within 1e-9. Nothing is mended. It reads the whole history.
        """

    @abstractmethod
    def clientele(self, page: Clientele) -> list[tuple[str, Knowledge]]:
        """Give a page of visitors' keys with their knowledge."""

    @abstractmethod
    def erase(self, namespace: str, key: str, time_us: int) -> dict[str, int]:
        """Erase a visitor, leave a tombstone at `time_us`, and give the number of rows gone by table.

        When it returns nothing of the visitor is left but keyed hashes; events of requests begun at or
        before `time_us` are dropped from then on.
        """

    @abstractmethod
    def erased_at(self, namespace: str, key: str) -> int | None:
        """Give the time of a visitor's latest erasure (microseconds), None if there was none."""

    @abstractmethod
    def suppress(self, namespace: str, key: str, suppression: Suppression) -> None:
        """Keep a suppression under the visitor's keyed hash; a scope holds one, the latest by time."""

    @abstractmethod
    def suppressions(self, namespace: str, key: str) -> list[Suppression]:
        """Give a visitor's suppressions, by scope; what lifts one is judged from its time."""

    def outbox(self) -> Outbox:
        """Give what keeps campaigns and their messages.

        Raises:
            SettingsError: this storage keeps none.
        """
        raise SettingsError("this storage keeps no campaigns; SQLite's and PostgreSQL's do", setting="storage")

    def conversions(self) -> Conversions:
        """Give the ledger of conversions from aliases to numbers.

        Raises:
            SettingsError: this storage keeps none.
        """
        raise SettingsError(
            "this storage keeps no ledger of conversions; SQLite's and PostgreSQL's do", setting="storage"
        )

    def custody(self) -> Custody:
        """Give what carries out retention, replays erasures and keeps the audit.

        Raises:
            SettingsError: this storage does none of it.
        """
        raise SettingsError(
            "this storage purges nothing and keeps no audit; SQLite's and PostgreSQL's do", setting="storage"
        )

    def moving(self) -> Moving:
        """Give the verbs by which everything is moved out of this storage and into it.

        Raises:
            SettingsError: this storage has none.
        """
        raise SettingsError(f"what a {type(self).__name__} holds cannot be moved", setting="storage")

    def pseudonyms(self) -> Pseudonyms:
        """Give what knows the pseudonym keys again and carries a rotation out.

        Raises:
            SettingsError: this storage does neither, so it serves sites with one pseudonym key at most.
        """
        raise SettingsError("this storage cannot rotate pseudonyms; SQLite's does", setting="storage")

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections; a later call opens them again."""
