"""From what a storage knows of a visitor to the facts that the rules of contact judge. Pure.

The history of his messages is in his knowledge; what forbids a contact besides is in the suppressions, which
survive his erasure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, cast

import msgspec

from alias_middleware.contact import (
    OFFERS,
    Facts,
    FrequencyCap,
    Kind,
    Mo,
    Received,
)
from alias_middleware.contact import Suppression as Forbidden
from alias_middleware.contact.facts import SuppressionReason
from alias_middleware.history import ContactNote, Knowledge
from alias_middleware.profile import Consent, decode_consents, latest_consents
from alias_middleware.storage.outbox import Evidence, Suppression

_mo: Final = tuple.__new__  # the named tuple's own constructor takes twice as long
_MARKETING: Final = "marketing"
_SERVICE: Final = "service:"
_EVERY_SERVICE: Final = "service"

_MO: Final = frozenset({"mo", "paid_mo", "start"})
_ENDS: Final = frozenset({"unsubscribed", "unsubscription", "stop", "stopall"})


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a visitor: a message of this kind, under this offer of the service, from this sender.

    The rest is what the settings say of the service.
    """

    service: str
    offer: str | None
    kind: Kind
    sender: str
    zone: str
    sender_kinds: frozenset[Kind]
    common_id: bool = False
    light_gallery_days: int | None = None
    cap: FrequencyCap | None = None


def facts_of(evidence: Evidence, knowledge: Knowledge, question: Question) -> Facts:
    """Give the facts of one message to one visitor; `knowledge` is his, decoded."""
    service, asked = question.service, question.offer
    mine = [note for note in knowledge.contacts if note.service == service]
    messages = [note for note in mine if note.said in _MO]
    to_offer = [note for note in messages if note.offer == asked]
    offer = OFFERS.get(asked or "")
    by_subscription = offer is not None and offer.opened_by == "unsubscription"
    return Facts(
        service=question.service,
        offer=question.offer,
        kind=question.kind,
        sender=question.sender,
        zone=question.zone,
        sender_kinds=question.sender_kinds,
        reply_to=_answered(mine, question) if question.kind == "reply" else None,
        common_id=question.common_id,
        light_gallery_days=question.light_gallery_days,
        cap=question.cap,
        messages=tuple([_mo(Mo, (note.time_us, note.said == "paid_mo")) for note in to_offer]),
        last_message_us=messages[-1].time_us if messages else None,
        unsubscribed_us=tuple(_endings(mine, question.offer)) if by_subscription else (),
        subscribed=by_subscription and is_subscribed(mine, question.offer),
        gallery_seen_us=knowledge.last_page,
        consent=consent_to("contact", evidence),
        client=knowledge.orders > 0,
        suppressions=(*map(forbidden, evidence.suppressions), *_stops(knowledge.contacts)),
        sent_us=evidence.contacts,
    )


def consent_to(purpose: str, evidence: Evidence) -> Consent | None:
    """Give the visitor's last word on a purpose, None when he said none."""
    if evidence.profile.consents == b"{}":  # nearly everybody's: saves half of the work
        return None
    return latest_consents(decode_consents(evidence.profile.consents)).get(purpose)


def is_subscribed(notes: Sequence[ContactNote], offer: str | None) -> bool:
    """Tell whether the visitor's subscription to an offer is active, by the notes of one service.

    A message to an offer that is a subscription begins it; an unsubscription or a STOP to it ends it.
    """
    known = OFFERS.get(offer or "")
    if known is None or known.opened_by != "unsubscription":
        return False
    active = False
    for note in notes:
        if note.said in _MO and note.offer == offer:
            active = True
        elif note.said == "stopall" or (note.said in _ENDS and note.offer == offer):
            active = False
    return active


def _endings(notes: Sequence[ContactNote], offer: str | None) -> Iterator[int]:
    """When subscriptions to an offer ended; a STOP ends the one that is active, and no other."""
    active = False
    for note in notes:
        if note.said in _MO and note.offer == offer:
            active = True
        elif (note.said == "unsubscribed" and note.offer == offer) or (
            active and (note.said == "stopall" or (note.said in _ENDS and note.offer == offer))
        ):
            active = False
            yield note.time_us


def _answered(notes: Sequence[ContactNote], question: Question) -> Received | None:
    """The message that a reply answers: the latest to the sender, else the latest of all."""
    received = [note for note in notes if note.said != "unsubscribed"]
    to_sender = [note for note in received if note.short_code == question.sender]
    latest = (to_sender or received)[-1:]
    return Received(latest[0].short_code, latest[0].time_us) if latest else None


def _stops(contacts: Sequence[ContactNote]) -> Iterator[Forbidden]:
    """The STOPs of the past, lifted or not: windows need them."""
    for note in contacts:
        if note.said in _MO:
            continue
        if note.said in {"stop", "unsubscription"}:
            reason: Literal["stop", "unsubscription"] = "stop" if note.said == "stop" else "unsubscription"
            yield Forbidden(
                scope="service", reason=reason, channel="sms", time_us=note.time_us, service=note.service
            )
        elif note.said == "stopall":
            yield Forbidden(scope="service", reason="stopall", channel="sms", time_us=note.time_us)


def forbidden(stored: Suppression) -> Forbidden:
    """Give a stored suppression as the rules of contact know it; a reason they do not know is a complaint."""
    reasons = {"stop", "unsubscription", "stopall", "import"}
    reason = cast(SuppressionReason, stored.reason if stored.reason in reasons else "complaint")
    if stored.scope == _MARKETING:
        return Forbidden(scope="marketing", reason=reason, channel=stored.channel, time_us=stored.time_us)
    service = stored.scope.removeprefix(_SERVICE) if stored.scope.startswith(_SERVICE) else None
    return Forbidden(
        scope="service", reason=reason, channel=stored.channel, time_us=stored.time_us, service=service
    )


def suppression(said: Forbidden) -> Suppression:
    """Give what the rules forbid as a storage keeps it: one row a scope."""
    if said.scope == "marketing":
        scope = _MARKETING
    else:
        scope = _EVERY_SERVICE if said.service is None else f"{_SERVICE}{said.service}"
    return Suppression(scope, said.reason, said.channel, said.time_us)
