"""The ledger of conversions from an alias to a number: a quota by calendar month, and an audit that stays.

A storage that can do it gives one from `Storage.conversions`. All verbs are synchronous, thread-safe and atomic
over processes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """One conversion of an alias to a number, as the audit keeps it; neither of the two is in it.

    `scope`: whose quota it was taken from. `month`: the calendar month as YYYY-MM. `detail`: what makes it
    verifiable, as the digest and seed of a draw.
    """

    id: int
    scope: str
    month: str
    time_us: int
    requester: str
    reason: str
    detail: str = ""
    given_back: bool = False


class Conversions(ABC):
    """The quota and the audit of one storage."""

    @abstractmethod
    def spend(self, conversion: Conversion, limit: int) -> int | None:
        """Take one conversion from the month's quota of `limit` and give what is left; None when none was.

        One whose id is there already is taken once, so whoever did not hear the answer asks again; None where it
        was given back.
        """

    @abstractmethod
    def give_back(self, conversion_id: int) -> None:
        """Return a conversion that failed to the quota it was taken from; its row stays."""

    @abstractmethod
    def conversions(self, scope: str, month: str) -> list[Conversion]:
        """Give a month's conversions, oldest first."""
