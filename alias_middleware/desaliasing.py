"""From an alias to the phone number: the quota, the audit, and a contest's winner.

The operator converts at most 100 aliases a calendar month, on an extranet without an API [S1]. The number goes
from the publisher's callable to the caller and is kept nowhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from alias_middleware.draw import SEED_BYTES, Draw, draw_winner
from alias_middleware.errors import QuotaSpent, StorageUnavailable
from alias_middleware.local_time import from_micros
from alias_middleware.settings import Settings
from alias_middleware.storage.conversions import Conversion, Conversions

_ID_BYTES = 8
_PUBLISHER = "publisher"
_ZONE = ZoneInfo("Europe/Paris")
"""The operator's months, wherever the service's visitors are."""

Number = TypeVar("Number")


class Standing(NamedTuple):
    """A month's quota as it stands: `month` is YYYY-MM in the service's zone."""

    scope: str
    month: str
    limit: int
    spent: int


class Desaliasing:
    """Conversions of one service, or of its publisher's services together."""

    def __init__(
        self,
        conversions: Callable[[], Conversions],
        settings: Settings,
        *,
        now: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        """Spend from the ledger that `conversions` gives.

        `now` gives microseconds since the epoch, `entropy(n)` n random bytes.
        """
        self._conversions = conversions
        self._settings = settings
        self._now = now
        self._entropy = entropy
        self._doubts: deque[Conversion] = deque()

    def convert(
        self, alias: str, look_up: Callable[[str], Number], *, reason: str, requester: str, detail: str = ""
    ) -> Number:
        """Spend one conversion and give what `look_up(alias)` gives: the number, straight to the caller.

        A conversion is spent before `look_up` is called, and given back when that raises.

        Raises:
            ValueError: no alias, or no reason or requester.
            QuotaSpent: the month's conversions are spent; nothing was looked up.
            StorageError: the ledger does not answer; nothing was looked up, or what failed is given back
                before the next conversion.
        """
        if not isinstance(alias, str) or not self._settings.source.accepts(alias):
            raise ValueError("that is no alias (its value is not shown)")
        for name, text in (("reason", reason), ("requester", requester)):
            if not text.strip():
                raise ValueError(f"a conversion needs a {name}: it stands in the audit")
        ledger = self._conversions()
        conversion = self._conversion(reason, requester, detail)
        self._settle_doubts(ledger)
        if not self._spend(ledger, conversion):
            raise QuotaSpent(limit=self._settings.desalias_quota, month=conversion.month)
        try:
            return look_up(alias)
        except BaseException:
            self._give_back(ledger, conversion)
            raise

    def _spend(self, ledger: Conversions, conversion: Conversion) -> bool:
        """Spend a conversion, asking once more where the answer did not come: by its id it counts once."""
        quota = self._settings.desalias_quota
        try:
            return ledger.spend(conversion, quota) is not None
        except StorageUnavailable:
            try:
                return ledger.spend(conversion, quota) is not None
            except StorageUnavailable:
                self._doubts.append(conversion)
                raise

    def _give_back(self, ledger: Conversions, conversion: Conversion) -> None:
        """Give a conversion back that failed, asking once more where the answer did not come."""
        try:
            ledger.give_back(conversion.id)
        except StorageUnavailable:
            try:
                ledger.give_back(conversion.id)
            except StorageUnavailable:
                self._doubts.append(conversion)
                raise

    def _settle_doubts(self, ledger: Conversions) -> None:
        """Give back what may have been spent for nothing: unheard, or looked up in vain.

        It is spent anew before, and so behind the first attempt, which may still be on its way.
        """
        for _ in range(len(self._doubts)):
            with suppress(IndexError):  # another thread is at it, too
                doubt = self._doubts.popleft()
                try:
                    if ledger.spend(doubt, self._settings.desalias_quota) is not None:
                        ledger.give_back(doubt.id)
                except StorageUnavailable:
                    self._doubts.append(doubt)
                    raise

    def draw(
        self,
        participants: Iterable[str],
        look_up: Callable[[str], Number],
        *,
        reason: str,
        requester: str,
        seed: str | None = None,
    ) -> tuple[Draw, Number]:
        """Draw a contest's winner and spend one conversion on him; the audit keeps what verifies the draw.

        `seed` is 64 hexadecimal digits, random unless given.

        Raises:
            ValueError, QuotaSpent, StorageError: as in `convert`; or nobody takes part, or one is no alias.
        """
        people = list(participants)
        for place, alias in enumerate(people, start=1):
            if not self._settings.source.accepts(alias):
                raise ValueError(f"participant {place} is no alias (its value is not shown)")
        drawn = draw_winner(people, seed or self._entropy(SEED_BYTES).hex())
        detail = f"draw among {drawn.participants}, digest {drawn.digest}, seed {drawn.seed}"
        return drawn, self.convert(drawn.winner, look_up, reason=reason, requester=requester, detail=detail)

    def standing(self) -> Standing:
        """Give this month's quota."""
        scope, month = self._scope, self._month(self._now())
        self._settle_doubts(self._conversions())
        rows = self._conversions().conversions(scope, month)
        return Standing(scope, month, self._settings.desalias_quota, sum(not row.given_back for row in rows))

    def audit(self, month: str | None = None) -> list[Conversion]:
        """Give the conversions of a month (YYYY-MM, this one by default), those given back included."""
        return self._conversions().conversions(self._scope, month or self._month(self._now()))

    def _conversion(self, reason: str, requester: str, detail: str) -> Conversion:
        now = self._now()
        return Conversion(
            id=int.from_bytes(self._entropy(_ID_BYTES), "big") % 2**63,
            scope=self._scope,
            month=self._month(now),
            time_us=now,
            requester=requester.strip(),
            reason=reason.strip(),
            detail=detail,
        )

    @property
    def _scope(self) -> str:
        settings = self._settings
        return _PUBLISHER if settings.desalias_quota_scope == _PUBLISHER else f"service:{settings.service}"

    @staticmethod
    def _month(moment_us: int) -> str:
        return f"{from_micros(moment_us).astimezone(_ZONE):%Y-%m}"
