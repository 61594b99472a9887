"""Every rule that can speak in a verdict: its name, what it says, whose rule it is, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import msgspec

Decision = Literal["send", "hold", "refuse"]
Value = str | int | datetime | None

_IDENTIFIER = "S1"
_MARKETING = "S2"
_LAW = "CPCE L34-5"
_CHARTER = "SMS+ charter, 2015"
_SETTINGS = "settings"
_SAFETY = "fail closed"


class Rule(NamedTuple):
    """What one rule says whenever it speaks. ``source`` is whose rule it is, ``meaning`` a sentence for people."""

    decision: Decision
    source: str
    meaning: str


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "window_open": Rule("send", _IDENTIFIER, "the offer's window is open, until"),
        "subscribed": Rule("send", _IDENTIFIER, "a service message of a subscription that is active"),
        "contact_consent": Rule("send", _LAW, "the visitor consented to be contacted, on"),
        "client": Rule("send", _LAW, "the visitor has bought something that was not cancelled"),
        "sender_fits": Rule("send", _MARKETING, "the sender carries this kind of message"),
        "allowed_hours": Rule("send", "policy", "within the hours of the policy"),
        "hours_exempt": Rule("send", _MARKETING, "transactional messages arrive at any hour"),
        "recontact_spared": Rule("send", _SETTINGS, "the STOP that ended the subscription allows its re-contact"),
        "answers_message": Rule("send", _CHARTER, "answers the visitor's own message of"),
        "below_cap": Rule("send", _SETTINGS, "marketing messages sent in the period of the cap"),
        "quiet_hours": Rule("hold", "policy", "nothing is delivered now"),
        "unknown_offer": Rule("refuse", _IDENTIFIER, "the operator has no such offer, so no window is known"),
        "unknown_zone": Rule("refuse", _SAFETY, "no such time zone, so no calendar day is known"),
        "common_id_missing": Rule("refuse", _IDENTIFIER, "the offer needs the option identifiant commun"),
        "common_id_unavailable": Rule("refuse", _IDENTIFIER, "the option identifiant commun is not sold with it"),
        "length_unknown": Rule("refuse", _IDENTIFIER, "the operator states no window; configure its days"),
        "no_window": Rule("refuse", _IDENTIFIER, "the visitor did nothing that opens the offer's window"),
        "window_closed": Rule("refuse", _IDENTIFIER, "the offer's window has closed, on"),
        "still_subscribed": Rule("refuse", _IDENTIFIER, "the window opens when the visitor unsubscribes"),
        "no_consent": Rule("refuse", _LAW, "neither contact consent nor a purchase, or the consent withdrawn on"),
        "opted_out": Rule("refuse", _LAW, "the visitor opted out of marketing, on"),
        "service_stopped": Rule("refuse", _CHARTER, "STOP was sent to the service, and no message since, on"),
        "bad_sender": Rule("refuse", _MARKETING, "neither a short code nor 1 to 11 letters and digits"),
        "wrong_sender": Rule("refuse", _MARKETING, "the sender carries another kind of message"),
        "undeclared_sender": Rule("refuse", _SETTINGS, "the settings declare no kinds for this short code"),
        "frequency_cap": Rule("refuse", _SETTINGS, "marketing messages already sent in the period of the cap"),
        "nothing_to_answer": Rule("refuse", _CHARTER, "the visitor wrote nothing that this would answer"),
        "other_short_code": Rule("refuse", _CHARTER, "a reply comes from the short code that was written to"),
        "reply_too_late": Rule("refuse", _SETTINGS, "the time to reply was over since"),
    }
)
"""The rules by name. A meaning that ends in "on", "until" or the like goes on with the reason's value."""


class Reason(msgspec.Struct, frozen=True, gc=False):
    """What one rule said of one message: ``name`` is the rule's, ``value`` what it found.

    Moments are aware UTC datetimes. ``decision`` is what the message would come to if this were the only rule.
    """

    name: str
    source: str
    value: Value
    decision: Decision


def reason(name: str, value: Value = None, *, source: str | None = None) -> Reason:
    """Let a rule speak; ``source`` where it is not the rule's own, as for a policy's hours."""
    decision, own_source, _ = RULES[name]
    return Reason(name, own_source if source is None else source, value, decision)


@lru_cache(maxsize=256)
def common_reason(name: str, value: str | int | None = None) -> Reason:
    """Let a rule speak as it does of many visitors: the reason is made once."""
    return reason(name, value)
