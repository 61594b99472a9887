"""The verdict on one message to one visitor: send, hold until, or refuse, with what every rule said.

All rules speak, so that a refusal lists everything against the message. One refusal refuses; else one hold holds.
What is unknown refuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from functools import cached_property
from typing import Final

import msgspec

from alias_middleware.contact.facts import Facts, FrequencyCap, Suppression
from alias_middleware.contact.offers import OFFERS, Offer, Window, openings, window_from
from alias_middleware.contact.quiet_hours import Policy, local_moment, opening_after, zone_named
from alias_middleware.contact.rules import Decision, Reason, common_reason, reason
from alias_middleware.contact.senders import check_kind, sender_problem
from alias_middleware.local_time import from_micros, to_micros

_MICROSECOND: Final = timedelta(microseconds=1)


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What becomes of a message. ``until`` is an aware datetime when it is held, else None.

    A held message is judged again when it is released. ``reasons`` is what every rule said.
    """

    decision: Decision
    until: datetime | None
    reasons: tuple[Reason, ...]

    @property
    def refusal(self) -> str:
        """The first rule that refuses; "" where none does."""
        for each in self.reasons:
            if each.decision == "refuse":
                return each.name
        return ""

    @property
    def objections(self) -> tuple[Reason, ...]:
        """The reasons against sending now."""
        return tuple(each for each in self.reasons if each.decision != "send")


def verdict(facts: Facts, policy: Policy, at: datetime) -> Verdict:
    """Judge one message to one visitor at a moment.

    Nothing later than ``at`` opens a window. Suppressions and consents, and what lifts them, count as they are
    known, whatever their time: a STOP that arrived a moment after ``at`` still refuses.

    Raises:
        ContactError: ``at`` is naive, or ``facts.kind`` is no kind of message.
        ValueError: a year outside 1984 to 9998.
    """
    return Judge(policy, at).verdict(facts)


class Judge:
    """Judges messages to many visitors as of one moment: what is the same for all is worked out once."""

    def __init__(self, policy: Policy, at: datetime) -> None:
        """Judge at the moment `at` by a policy; see `verdict` for what is raised."""
        self._policy = policy
        self._local = local_moment(at, policy.zone)
        self._now_us = to_micros(self._local)

    def verdict(self, facts: Facts) -> Verdict:
        """Judge one message to one visitor."""
        check_kind(facts.kind)
        rules = self._reply_rules if facts.kind == "reply" else self._contact_rules
        reasons = tuple(rules(facts))
        decisions = [each.decision for each in reasons]
        if "refuse" in decisions:
            return Verdict("refuse", None, reasons)
        if "hold" in decisions:
            return Verdict("hold", self._opening, reasons)
        return Verdict("send", None, reasons)

    def _contact_rules(self, facts: Facts) -> Iterator[Reason]:
        problem = sender_problem(facts.sender, facts.kind, facts.sender_kinds)
        yield common_reason(problem or "sender_fits", facts.sender)
        yield from _offer_rules(facts, self._policy, self._now_us)
        if facts.suppressions:
            yield from _stop_rules(facts, self._policy)
        if facts.kind == "transactional":
            yield common_reason("hours_exempt")
            return
        if facts.suppressions:
            yield from _opt_out_rules(facts)
        yield _consent_rule(facts)
        if facts.cap is not None:
            yield _cap_rule(facts.cap, facts.sent_us, self._now_us)
        yield self._hours

    def _reply_rules(self, facts: Facts) -> Iterator[Reason]:
        return _reply_rules(facts, self._policy, self._now_us)

    @cached_property
    def _hours(self) -> Reason:
        quiet = self._policy.quiet(self._local)
        return reason("allowed_hours" if quiet is None else "quiet_hours", quiet, source=self._policy.source)

    @cached_property
    def _opening(self) -> datetime:
        return opening_after(self._local, self._policy)


def _reply_rules(facts: Facts, policy: Policy, now_us: int) -> Iterator[Reason]:
    """A reply needs neither window nor consent, and no STOP forbids it: it may be the STOP's confirmation."""
    answered = facts.reply_to
    if answered is None:
        yield reason("nothing_to_answer")
        return
    if facts.sender != answered.short_code:
        yield reason("other_short_code", facts.sender)
    over = answered.time_us + policy.reply_within // _MICROSECOND
    if now_us >= over:
        yield reason("reply_too_late", from_micros(over))
    else:
        yield reason("answers_message", from_micros(answered.time_us))


def _offer_rules(facts: Facts, policy: Policy, now_us: int) -> Iterator[Reason]:
    offer = None if facts.offer is None else OFFERS.get(facts.offer)
    zone = zone_named(facts.zone)
    if zone is None:
        yield reason("unknown_zone", facts.zone)
    if offer is None:
        yield reason("unknown_offer", facts.offer)
        return
    if offer.common_id == "required" and not facts.common_id:
        yield reason("common_id_missing", facts.offer)
    if offer.common_id == "unavailable" and facts.common_id:
        yield reason("common_id_unavailable", facts.offer)
    if zone is not None:
        yield _window_rule(facts, policy, offer, zone, now_us)


def _window_rule(facts: Facts, policy: Policy, offer: Offer, zone: tzinfo, now_us: int) -> Reason:
    days = facts.light_gallery_days if offer.opened_by == "gallery" else offer.days
    if days is None or days < 1:
        return reason("length_unknown", facts.offer)
    if offer.opened_by == "unsubscription" and facts.subscribed:
        return reason("subscribed" if facts.kind == "transactional" else "still_subscribed")
    window = _window(facts, policy, offer, zone, days, now_us)
    if window is None:
        return reason("no_window", facts.offer)
    return reason("window_open" if now_us < window.closes_us else "window_closed", from_micros(window.closes_us))


def _window(  # noqa: PLR0917 -- every one of them counts
    facts: Facts, policy: Policy, offer: Offer, zone: tzinfo, days: int, now_us: int
) -> Window | None:
    """The visitor's last window that had opened by a moment."""
    if offer.opened_by == "mo":
        messages = [message for message in facts.messages if message.time_us <= now_us]
        stops = [stop.time_us for stop in facts.stops]
        openers = openings(messages, stops_us=stops, days=days, zone=zone, renew_on=policy.renew_on)
        return window_from(openers[-1].time_us, days, zone) if openers else None
    seen = (facts.gallery_seen_us,) if offer.opened_by == "gallery" else facts.unsubscribed_us
    opened = max((moment for moment in seen if moment is not None and moment <= now_us), default=None)
    return None if opened is None else window_from(opened, days, zone)


def _stop_rules(facts: Facts, policy: Policy) -> Iterator[Reason]:
    """The service's STOP, lifted by a later message of the visitor."""
    stops = facts.stops
    reopened = facts.reopened_us if stops else None
    for stop in stops:
        if reopened is None or reopened <= stop.time_us:
            spared = _is_spared(stop, facts, policy)
            yield reason("recontact_spared" if spared else "service_stopped", from_micros(stop.time_us))


def _is_spared(stop: Suppression, facts: Facts, policy: Policy) -> bool:
    """Whether a STOP ended the subscription whose re-contact is judged, and the policy lets that one pass."""
    offer = None if facts.offer is None else OFFERS.get(facts.offer)
    recontact = facts.kind == "marketing" and offer is not None and offer.opened_by == "unsubscription"
    return recontact and stop.reason == "unsubscription" and not policy.stop_suppresses_recontact


def _opt_out_rules(facts: Facts) -> Iterator[Reason]:
    """The marketing opt-out, lifted by later consent only."""
    consented = facts.consent.time_us if facts.consent is not None and facts.consent.granted else None
    for each in facts.suppressions:
        if each.scope == "marketing" and (consented is None or consented <= each.time_us):
            yield reason("opted_out", from_micros(each.time_us))


def _consent_rule(facts: Facts) -> Reason:
    """Consent, or being a client who never withdrew it."""
    if facts.consent is not None:
        said = "contact_consent" if facts.consent.granted else "no_consent"
        return reason(said, from_micros(facts.consent.time_us))
    return common_reason("client" if facts.client else "no_consent")


def _cap_rule(cap: FrequencyCap, sent_us: Sequence[int], now_us: int) -> Reason:
    since = now_us - cap.period // _MICROSECOND
    sent = sum([moment > since for moment in sent_us])
    return common_reason("frequency_cap" if sent >= cap.messages else "below_cap", sent)
