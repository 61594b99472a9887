"""Answers to STOP, CONTACT and START: a reply from the short code that was written to, as soon as it is kept.

It stands before the tracker, where a gateway's endpoint hands messages over.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, Protocol, get_args

from alias_middleware.contact import Verdict, sms_text
from alias_middleware.errors import AliasError, ContactError, NotAccepted, SettingsError, describe
from alias_middleware.reception import Reception
from alias_middleware.transport import Transport

logger = logging.getLogger("alias_middleware.smsplus")

Confirmed = Literal["unsubscription", "opt_out", "contact", "start"]
"""The meanings of a message that can be answered: see `Reception.meaning`."""


_REPEATED_WITHIN = timedelta(minutes=10)
_MOST_REMEMBERED = 10_000


class Replier(Protocol):
    """Who judges and sends a reply: a tracker's `contact`."""

    def reply(
        self, alias: str, text: str, *, short_code: str, received: datetime, transport: Transport
    ) -> Verdict:
        """Answer a message from its short code."""


class Tracking(Protocol):
    """Who keeps what subscribers write: a `Tracker`."""

    @property
    def contact(self) -> Replier:
        """What answers."""

    def receive_sms(self, alias: str, short_code: str, text: str, *, at: datetime, message_id: str) -> Reception:
        """Keep a message for good, and say what it means."""


class Confirmations:
    """Keeps messages as the tracker does, and answers commands: give it to an endpoint in the tracker's place."""

    def __init__(self, tracker: Tracking, transport: Transport, texts: Mapping[Confirmed, str]) -> None:
        """Answer by `transport` with the text of what a message meant; without a text there is no answer.

        Raises:
            SettingsError: a text for nothing that can be answered, or one that cannot be sent.
        """
        for meaning, text in texts.items():
            if meaning not in get_args(Confirmed):
                raise SettingsError(f"one of {', '.join(get_args(Confirmed))}", setting="texts")
            try:
                sms_text(text, kind="reply", sender="36000")
            except ContactError as error:
                raise SettingsError(f"{meaning}: {error}", setting="texts") from error
        self._tracker = tracker
        self._transport = transport
        self._texts: dict[str, str] = {str(meaning): text for meaning, text in texts.items()}
        self._lock = threading.Lock()
        self._answered: OrderedDict[tuple[str, str], tuple[str, datetime]] = OrderedDict()

    def receive_sms(self, alias: str, short_code: str, text: str, *, at: datetime, message_id: str) -> Reception:
        """Keep a message, its STOP in force, then answer it; an answer that fails is logged and not tried again.

        Who writes the same again within ten minutes gets no second answer from this process: the gateway may have
        brought one message twice, and a telephone that answers by itself would go on for ever.
        """
        received = self._tracker.receive_sms(alias, short_code, text, at=at, message_id=message_id)
        answer = self._texts.get(received.meaning)
        if answer is not None and self._is_news((alias, short_code), received.meaning, at):
            try:
                self._tracker.contact.reply(
                    alias, answer, short_code=short_code, received=at, transport=self._transport
                )
            except (AliasError, ValueError) as error:
                if isinstance(error, NotAccepted):  # certainly: if the message comes again, so may the answer go
                    self._forget((alias, short_code))
                logger.warning("confirmation_not_sent %s", describe(error))
        return received

    def _is_news(self, whence: tuple[str, str], meaning: str, at: datetime) -> bool:
        """Tell whether what a visitor wrote to a short code differs from what was answered last; it is noted."""
        with self._lock:
            last, last_at = self._answered.get(whence, ("", at))
            if last == meaning and abs(at - last_at) < _REPEATED_WITHIN:
                return False
            self._answered[whence] = meaning, at
            self._answered.move_to_end(whence)
            if len(self._answered) > _MOST_REMEMBERED:
                self._answered.popitem(last=False)
            return True

    def _forget(self, whence: tuple[str, str]) -> None:
        with self._lock:
            self._answered.pop(whence, None)
