"""When a visitor's alias is sealed for campaigns, and when no longer: by the offers' rules and by consent.

For sites whose visitors are known by pseudonym. What is decided here goes through the spool, as events do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import NamedTuple

from alias_middleware.contact import OFFERS
from alias_middleware.contact.offers import Offer, window_from
from alias_middleware.contact.quiet_hours import RenewOn
from alias_middleware.profile import Operation
from alias_middleware.sealing import CONSENT, NO_END, Sealer, Sealing, window_of
from alias_middleware.settings import Settings

_GALLERY = "light_gallery"
_OPENING = frozenset({None, "start"})
"""The commands that an SMS-MO may be and still open a window: none, or START."""


class _Act(NamedTuple):
    """Whose act it was, when, and when its request began."""

    key: str
    time_us: int
    begun_us: int


class Addresses:
    """What one service's acts of visitors mean for their sealed aliases."""

    def __init__(self, settings: Settings, put: Callable[[Sealing], None]) -> None:
        """Decide for the service that `settings` name; `put` takes what is decided.

        Raises:
            MissingExtra: the package ``cryptography`` is not installed.
        """
        self._settings = settings
        self._put = put
        self._renew_on: RenewOn = settings.contact_policy().renew_on
        self._sealer = Sealer(settings.namespace, settings.secret_keys, settings.pseudonym_keys)

    def changed(self, key: str, alias: str, begun_us: int, now_us: int, operations: Sequence[Operation]) -> None:
        """Take what a visitor said of being contacted, among the operations of one commit."""
        for operation in operations:
            if operation.verb == "consent" and operation.field == "contact":
                granted = isinstance(operation.value, list) and bool(operation.value[0])
                act = _Act(key, now_us, begun_us)
                if granted:
                    self._begin(act, alias, CONSENT, NO_END)
                else:
                    self._end(act, CONSENT)

    def bought(self, key: str, alias: str, time_us: int, begun_us: int) -> None:
        """Take a purchase: a buyer in the Gallery may be written to where the window of Light Gallery is known."""
        days = self._settings.light_gallery_days
        if days is not None and self._settings.reference is not None:
            until_us = window_from(time_us, days, self._zone).closes_us
            why = window_of(self._settings.service, _GALLERY)
            self._begin(_Act(key, time_us, begun_us), alias, why, until_us)

    def wrote(
        self, key: str, alias: str, time_us: int, *, offer: str | None, said: str | None, paid: bool
    ) -> None:
        """Take an SMS-MO to what its short code stands for; `said` is the command it was understood as."""
        service = self._settings.service
        if said == "unsubscription" and offer is not None:
            self.unsubscribed(key, alias, time_us, offer)
        elif said in {"stop", "stopall"}:
            for why in ("",) if said == "stopall" else (window_of(service), CONSENT):
                self._end(_Act(key, time_us, time_us), why)
        elif said in _OPENING and offer is not None:
            renews = self._renew_on == "mo" or (self._renew_on == "paid_mo" and paid)
            self._open(key, alias, time_us, offer, renews=renews)

    def _open(self, key: str, alias: str, time_us: int, offer: str, *, renews: bool) -> None:
        known, act = OFFERS[offer], _Act(key, time_us, time_us)
        why = window_of(self._settings.service, offer)
        if known.opened_by == "mo":
            self._begin(act, alias, why, self._closing(known, time_us), renews=renews)
        elif known.opened_by == "unsubscription":  # the window follows when the subscription ends
            self._begin(act, alias, why, NO_END, renews=False)

    def unsubscribed(self, key: str, alias: str, time_us: int, offer: str) -> None:
        """Take the end of a subscription."""
        known = OFFERS[offer]
        if known.opened_by == "unsubscription":
            why = window_of(self._settings.service, offer)
            self._begin(_Act(key, time_us, time_us), alias, why, self._closing(known, time_us))

    def _closing(self, offer: Offer, time_us: int) -> int:
        return time_us if offer.days is None else window_from(time_us, offer.days, self._zone).closes_us

    @property
    def _zone(self) -> tzinfo:
        return self._settings.tzinfo

    def _begin(self, act: _Act, alias: str, why: str, until_us: int, *, renews: bool = True) -> None:
        sealed = self._sealer.seal(alias, act.time_us)
        self._put(Sealing(*act, why, until_us, sealed, renews))

    def _end(self, act: _Act, why: str) -> None:
        self._put(Sealing(*act, why, act.time_us))
