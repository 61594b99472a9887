"""What a storage does for the rights of the persons in it: retention, erasures replayed, and who was told what.

A storage that can do it gives a `Custody` from `Storage.custody`. All verbs are synchronous and thread-safe.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import msgspec

from alias_middleware.storage.outbox import Dispatch


class Disclosure(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the audit: what of a visitor was handed out, when (microseconds), to whom and why."""

    id: int
    time_us: int
    what: Literal["export"]
    requester: str
    reason: str


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """What a purge takes from a namespace.

    `raw_before`: the local day (ordinal) before which raw events go. `idle_since_day`: the one before which the
    last event of a forgotten visitor was, not after `raw_before`; `idle_since_us` is its beginning, microseconds.
    `now_us`: the moment at or before which the time to keep a sealed alias is over.
    """

    raw_before: int
    idle_since_day: int
    idle_since_us: int
    now_us: int = 0


class Custody(ABC):
    """The verbs for retention and audit of one storage."""

    @abstractmethod
    def purge(self, namespace: str, cut: Cut, *, dry_run: bool) -> dict[str, int]:
        """Carry a cut out, or with `dry_run` only count; give the rows gone by table, and `frozen_days`.

        Days that lose raw events are frozen beforehand: their roll-ups stay as they are, and later events of
        theirs are `dropped[too_old]`, refunds of their orders included. So are those after them into which a visit
        may reach. Orders and refunds keep their raw events as long as their visitor is known. Forgotten visitors
        stay in frozen days as numbers that nothing leads to.
        It may be cut short at any time, and is then finished by the next one.
        """

    @abstractmethod
    def replay_erasures(self, *, dry_run: bool) -> dict[str, int]:
        """Erase again whom the log of erasures has and this storage, restored from a backup, does not know of.

        Gives `logged`, the number of persons in the log, and `replayed`, with the rows gone by table.
        """

    @abstractmethod
    def note(self, namespace: str, key: str, disclosure: Disclosure) -> None:
        """Keep a row of the audit under the visitor's keyed hash; it survives his erasure."""

    @abstractmethod
    def disclosures(self, namespace: str, key: str) -> list[Disclosure]:
        """Give the audit of one visitor, oldest first."""

    @abstractmethod
    def dispatches(self, namespace: str, key: str) -> list[tuple[str, Dispatch]]:
        """Give the campaign messages of one visitor with the service that each is of."""
