"""What a tracker has besides requests: figures, contact, conversions, SMS.

Each is imported and made when it is first asked for: a site starts in half the time.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from alias_middleware.errors import SettingsError
from alias_middleware.recorder import Recorder
from alias_middleware.settings import Settings
from alias_middleware.storage.base import Storage

if TYPE_CHECKING:
    from alias_middleware.desaliasing import Desaliasing
    from alias_middleware.figures import Statistics
    from alias_middleware.reception import Receiver, Reception
    from alias_middleware.recontact import Contact


class OnDemand(ABC):
    """The part of a tracker that no page asks for."""

    settings: Settings
    storage: Storage
    _entropy: Callable[[int], bytes]

    @abstractmethod
    def key_of(self, alias: str) -> str:
        """Give the visitor key of an alias."""

    @abstractmethod
    def _now(self) -> int:
        """Give microseconds since the epoch."""

    @abstractmethod
    def _here(self) -> Recorder:
        """Give this process's recorder."""

    @abstractmethod
    def _spooled(self) -> int:
        """Count the events that wait in the spool."""

    @cached_property
    def statistics(self) -> Statistics:
        """The service's figures."""
        from alias_middleware.figures import Statistics

        return Statistics(self.storage, self.settings, waiting=self._spooled)

    @cached_property
    def contact(self) -> Contact:
        """What may be said to visitors, and campaigns.

        Raises:
            SettingsError: the site is there for statistics only.
        """
        if self.settings.statistics_only:
            raise SettingsError("with statistics_only=True nobody is contacted", setting="statistics_only")
        from alias_middleware.recontact import Contact

        return Contact(
            self.settings,
            self.storage,
            key_of=self.key_of,
            population=lambda: self._here().population(wait=True),
            now=self._now,
            entropy=self._entropy,
            pause=time.sleep,
        )

    @cached_property
    def desaliasing(self) -> Desaliasing:
        """Conversions of aliases to phone numbers, within the operator's quota."""
        from alias_middleware.desaliasing import Desaliasing

        return Desaliasing(self.storage.conversions, self.settings, now=self._now, entropy=self._entropy)

    @cached_property
    def _receiver(self) -> Receiver:
        from alias_middleware.reception import Receiver

        return Receiver(self.settings, self.storage, key_of=self.key_of, recorder=self._here)

    def receive_sms(
        self, alias: str, short_code: str, text: str, *, at: datetime, message_id: str, paid: bool = False
    ) -> Reception:
        """Take what a visitor wrote to a short code: kept for good, and his STOP in force, when this returns.

        `alias` is the OADC of the SMS-MO; where it is no alias the message is kept and counted without it.
        `at` is the time the operator's gateway gives, `message_id` its id: with both the same a message counts
        once. `paid` says that the visitor paid for more than the message.

        Raises:
            EventError: `at` names no instant.
            SpoolError, StorageError: the message is not kept, or its STOP is not yet in force: do not
                acknowledge it, let the gateway deliver it again.
        """
        return self._receiver.receive(alias, short_code, text, at=at, message_id=message_id, paid=paid)

    def unsubscribed(self, alias: str, offer: str, *, at: datetime) -> None:
        """Take that a visitor's subscription to an offer has ended: the window of Premium Push opens.

        Raises:
            ValueError: no alias, or no offer of the operator.
            EventError: `at` names no instant.
            SpoolError: it is not kept.
        """
        self._receiver.unsubscribed(alias, offer, at=at)
