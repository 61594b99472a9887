"""Receiving SMS-MO: what each means, kept in the spool before it is acknowledged, a STOP in force at once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import msgspec

from alias_middleware.contact import OFFERS, Command, command_of, meaning_of_stop, suppressions_of_stop
from alias_middleware.dossier import is_subscribed, suppression
from alias_middleware.errors import ContactError, StorageError
from alias_middleware.events import (
    MESSAGE_LIMIT,
    Message,
    Unsubscription,
    clean_text,
    event_time,
    in_recorded_years,
)
from alias_middleware.identity import lasting_part
from alias_middleware.profile import decode_knowledge
from alias_middleware.recorder import Recorder
from alias_middleware.settings import Settings
from alias_middleware.storage.base import Storage
from alias_middleware.storage.outbox import Evidence, StrayMessage
from alias_middleware.writer import REJECTED

logger = logging.getLogger("alias_middleware.smsplus")

_ANSWER_WITHIN_US = timedelta(days=31) // timedelta(microseconds=1)
_CLOCKS_APART_US = timedelta(minutes=10) // timedelta(microseconds=1)
"""How far the gateway's clock may be behind ours; its stamps have whole seconds besides."""

_FORBIDDING = ("stop", "stopall", "unsubscription")
_CODE_LIMIT = 21
"""Digits that a short code or number has at most, with some to spare (ITU-T E.164 has 15)."""


class Reception(NamedTuple):
    """What a received message was understood as.

    `meaning`: "message", "unsubscription", "opt_out", "contact" or "start"; "stray" where the sender is no alias:
    nobody can be told from it; "rejected" where the time is none that can be kept. `offer` is what the short code
    stood for.
    """

    meaning: Literal["message", "unsubscription", "opt_out", "contact", "start", "stray", "rejected"]
    offer: str | None


class Receiver:
    """Takes what visitors write to the short codes of one service."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        *,
        key_of: Callable[[str], str],
        recorder: Callable[[], Recorder],
    ) -> None:
        """Receive for the service that `settings` name; `recorder` gives this process's recorder."""
        self._settings = settings
        self._storage = storage
        self._key_of = key_of
        self._recorder = recorder

    def receive(
        self, alias: str, short_code: str, text: str, *, at: datetime, message_id: str, paid: bool = False
    ) -> Reception:
        """Keep one SMS-MO; when this returns it survives the death of the process, and its STOP is in force.

        Received again with the same id and time it counts once. See `Tracker.receive_sms`.
        """
        if isinstance(at, datetime) and at.utcoffset() is not None and not in_recorded_years(at):
            return self._reject(alias, short_code, text, at, message_id)
        time_us = event_time(at)
        entry = self._settings.short_codes.find(short_code, text)
        offer = None if entry is None else entry.offer
        recorder = self._recorder()
        code, written = clean_text(short_code, _CODE_LIMIT), clean_text(text, MESSAGE_LIMIT)
        if not self._settings.source.accepts(alias):
            self._keep_stray(message_id, time_us, code, written)
            return Reception("stray", offer)
        key = self._key_of(alias)
        command = command_of(text, self._settings.sms_commands)
        said = None if command is None else self._meaning(key, command, short_code, offer, time_us)
        day = recorder.day(time_us)
        event = Message(key, time_us, time_us, day, "sms", code, written, offer, said, paid)
        try:
            if said in _FORBIDDING:
                self._forbid(key, said, entry is not None, time_us)
        finally:  # of the two, one may fail without the other: a STOP is in force when the spool is full
            if recorder.addresses is not None:
                recorder.addresses.wrote(key, alias, time_us, offer=offer, said=said, paid=paid)
            identity = message_identity(self._settings.service, lasting_part(key), short_code, message_id)
            recorder.keep(event, identity)
        return Reception(_MEANINGS.get(said or "", "message"), offer)

    def _keep_stray(self, message_id: str, time_us: int, code: str, written: str) -> None:
        """Keep what nobody's alias came with."""
        service = self._settings.service
        identity = message_identity(service, code, message_id, str(time_us), written)
        kept = self._storage.outbox().keep_stray(service, StrayMessage(identity, time_us, code, written))
        self._recorder().counters.add("stray_messages", int(kept))

    def _reject(self, alias: str, short_code: str, text: str, at: datetime, message_id: str) -> Reception:
        """Set a message aside whose time can never be stored; a STOP in it is in force from now on.

        The gateway would bring it again for ever.
        """
        entry = self._settings.short_codes.find(short_code, text)
        recorder, offer = self._recorder(), None if entry is None else entry.offer
        key = self._key_of(alias) if self._settings.source.accepts(alias) else None
        command = command_of(text, self._settings.sms_commands)
        if key is not None and command is not None:
            now_us = recorder.now()
            said = self._meaning(key, command, short_code, offer, now_us)
            if said in _FORBIDDING:
                self._forbid(key, said, entry is not None, now_us)
        written = {"short_code": clean_text(short_code, _CODE_LIMIT), "text": clean_text(text, MESSAGE_LIMIT)}
        service = self._settings.service
        line = {
            "service": service,
            "id": message_identity(service, lasting_part(key or ""), short_code, message_id),
            "reason": "time",
            "event": {"key": key, "at": at.isoformat(), **written},
        }
        recorder.set_aside(msgspec.json.encode(line) + b"\n")
        logger.error("a message's time cannot be kept: the message is, in %s", REJECTED)
        return Reception("rejected", offer)

    def _meaning(self, key: str, command: Command, short_code: str, offer: str | None, time_us: int) -> str:
        """What a command comes to; a STOP ends a subscription where that is clear, else it is the opt-out."""
        if command.verb != "stop":
            return command.verb
        try:
            evidence = self._storage.outbox().evidence_of(self._settings.namespace, key)
        except StorageError:
            return "stop"  # when it cannot be told which it is, it is the opt-out
        notes = [
            note
            for note in decode_knowledge(evidence.knowledge).contacts
            if note.service == self._settings.service and note.time_us < time_us  # delivered again: not itself
        ]
        meaning = meaning_of_stop(
            command,
            short_code=short_code,
            subscribed=is_subscribed(notes, offer),
            answers_marketing=_was_written_to(evidence, time_us),
        )
        return "unsubscription" if meaning == "unsubscription" else "stop"

    def _forbid(self, key: str, said: str, is_mapped: bool, time_us: int) -> None:
        """Put a STOP in force."""
        forbidden = suppressions_of_stop(
            "unsubscription" if said == "unsubscription" else "opt_out",
            everywhere=said == "stopall",
            service=self._settings.service if is_mapped else None,
            time_us=time_us,
        )
        for each in forbidden:
            self._storage.suppress(self._settings.namespace, key, suppression(each))

    def unsubscribed(self, alias: str, offer: str, *, at: datetime) -> None:
        """Keep the end of a subscription. See `Tracker.unsubscribed`."""
        if offer not in OFFERS:
            raise ContactError(f"one of {', '.join(OFFERS)}", field="offer")
        time_us = event_time(at)
        recorder = self._recorder()
        event = Unsubscription(self._key_of(alias), time_us, time_us, recorder.day(time_us), "sms", offer)
        if recorder.addresses is not None:
            recorder.addresses.unsubscribed(event.key, alias, time_us, offer)
        identity = message_identity(self._settings.service, lasting_part(event.key), offer, "unsubscribed")
        recorder.keep(event, identity)


_MEANINGS: dict[str, Literal["unsubscription", "opt_out", "contact", "start"]] = {
    "stop": "opt_out",
    "stopall": "opt_out",
    "unsubscription": "unsubscription",
    "contact": "contact",
    "start": "start",
}


def message_identity(*parts: str) -> int:
    """Give the id by which an event counts once: 63 bits of a hash of what names it.

    Never of an alias or a number themselves: there are so few that whoever reads the id would find them.
    """
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") % 2**63


def _was_written_to(evidence: Evidence, time_us: int) -> bool:
    """Tell whether marketing reached the visitor lately, so that a STOP may be the answer to it."""
    since_us, until_us = time_us - _ANSWER_WITHIN_US, time_us + _CLOCKS_APART_US
    return any(since_us < moment <= until_us for moment in evidence.contacts)
