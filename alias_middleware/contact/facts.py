"""What a verdict is about: one message, one visitor, and what is known of them. Plain data that a storage fills.

Times are microseconds since the epoch (UTC). Nothing here names the visitor.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import msgspec

from alias_middleware.contact.offers import Mo
from alias_middleware.contact.senders import Kind
from alias_middleware.profile import Consent

Scope = Literal["service", "marketing"]
"""What a suppression forbids: all but replies from one service until a new SMS-MO; marketing until new consent."""

SuppressionReason = Literal["stop", "unsubscription", "stopall", "import", "complaint"]


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """That a visitor is not to be contacted, by whom, since when and why.

    ``service`` is None where it holds for every service of the namespace. ``channel`` says how it reached the
    publisher, as ``"sms"``, ``"web"`` or ``"import"``. What lifts one is judged from its time, so that a storage
    may hand over lifted ones, too: for windows it should.
    """

    scope: Scope
    reason: SuppressionReason
    channel: str
    time_us: int
    service: str | None = None


class Received(msgspec.Struct, frozen=True):
    """The SMS-MO that a reply answers: the short code it was sent to, and when."""

    short_code: str
    time_us: int


class FrequencyCap(msgspec.Struct, frozen=True):
    """At most so many marketing messages to one visitor in any stretch of time as long as ``period``."""

    messages: int
    period: timedelta


class Facts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known when one message to one visitor is judged.

    The message: ``service`` and ``offer`` under which the visitor is contacted, ``kind``, ``sender``,
    ``sender_kinds`` (those that the settings declare for that short code), and ``reply_to``, what a reply answers.

    The service: ``zone``, the name of the time zone in which windows are counted; ``common_id``, whether the
    option *identifiant commun* is on; ``light_gallery_days``, the length of that window once configured; ``cap``.

    The visitor: ``messages``, his SMS-MO under this (namespace, service, offer), STOP and CONTACT not among
    them; ``last_message_us``, the latest such one to any offer of the service; ``unsubscribed_us`` and
    ``subscribed``, his subscription; ``gallery_seen_us``, his last Gallery page; ``consent``, his last word on
    being contacted; ``client``, whether he has a purchase that was not cancelled; ``suppressions``, those of the
    whole namespace; ``sent_us``, when marketing went to him lately.
    """

    service: str
    offer: str | None
    kind: Kind
    sender: str
    zone: str | None
    sender_kinds: frozenset[Kind] = frozenset()
    reply_to: Received | None = None
    common_id: bool = False
    light_gallery_days: int | None = None
    cap: FrequencyCap | None = None
    messages: tuple[Mo, ...] = ()
    last_message_us: int | None = None
    unsubscribed_us: tuple[int, ...] = ()
    subscribed: bool = False
    gallery_seen_us: int | None = None
    consent: Consent | None = None
    client: bool = False
    suppressions: tuple[Suppression, ...] = ()
    sent_us: tuple[int, ...] = ()

    @property
    def stops(self) -> tuple[Suppression, ...]:
        """The suppressions of this service: its own, and those of every service."""
        if not self.suppressions:
            return ()
        services = (None, self.service)
        return tuple(each for each in self.suppressions if each.scope == "service" and each.service in services)

    @property
    def reopened_us(self) -> int | None:
        """When the visitor last wrote to the service; None when he never did."""
        times = [message.time_us for message in self.messages]
        if self.last_message_us is not None:
            times.append(self.last_message_us)
        return max(times, default=None)


def suppressions_of_stop(
    meaning: Literal["unsubscription", "opt_out"], *, everywhere: bool, service: str | None, time_us: int
) -> tuple[Suppression, ...]:
    """Give what a STOP by SMS forbids, from `keywords.meaning_of_stop`.

    The STOP that ends a subscription stops its service; the opt-out forbids marketing besides. ``everywhere`` is
    STOPALL; so is a STOP to a short code that stands for no service (None).
    """
    stopped = None if everywhere else service
    if meaning == "unsubscription":
        return (
            Suppression(scope="service", reason="unsubscription", channel="sms", time_us=time_us, service=stopped),
        )
    reason: SuppressionReason = "stopall" if everywhere else "stop"
    return (
        Suppression(scope="service", reason=reason, channel="sms", time_us=time_us, service=stopped),
        Suppression(scope="marketing", reason=reason, channel="sms", time_us=time_us),
    )
