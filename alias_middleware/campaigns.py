"""Campaigns: one message to an audience, each visitor at most once, restartable, over the verdicts of contact.

queued -> sending, committed with the verdict before the gateway is called -> sent -> delivered or failed. A run
that was killed goes on where it stopped; what it was sending then is uncertain and never sent again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import NamedTuple

from alias_middleware.contact import (
    Facts,
    Judge,
    Policy,
    Verdict,
    untimely,
    verdict,
)
from alias_middleware.errors import ContactError, NotAccepted, SendingUncertain
from alias_middleware.history import Knowledge
from alias_middleware.local_time import from_micros, to_micros
from alias_middleware.plans import Judgement, Plan, Preview, Progress, decode_plan
from alias_middleware.profile import decode_knowledge
from alias_middleware.storage.outbox import (
    PLANNED,
    CampaignId,
    Dispatch,
    Evidence,
    Outbox,
    Ruling,
    Standing,
    State,
)
from alias_middleware.transport import Outgoing, Transport

_PAGE = 1_000
_AT_ONCE = 100
_ID_BYTES = 16
_MOST_UNKNOWN = 3
"""Answers in a row that nobody can tell: the gateway is in trouble, and the campaign pauses."""

_NO_ALIAS = Ruling("refused", "no_alias")
"""The visitor is known by pseudonym, and his alias is not kept, or cannot be unsealed."""

_RUNNABLE: tuple[Standing, ...] = (*PLANNED, "paused", "running")


class Desk(NamedTuple):
    """What campaigns of one service need from the house.

    `facts(plan)` gives what makes facts of evidence and knowledge, `policy` is whose hours hold, `favours` tells
    interests, `has_address` whether there is an alias to write to at a moment, `address` gives it, None where it
    cannot be had; `now` microseconds since the epoch, `entropy(n)` random bytes; `pause(seconds)` lets time pass.
    """

    outbox: Outbox
    policy: Policy
    facts: Callable[[Plan], Callable[[Evidence, Knowledge], Facts]]
    favours: Callable[[Evidence, str], bool]
    has_address: Callable[[Evidence, int], bool]
    address: Callable[[Evidence, int], str | None]
    now: Callable[[], int]
    entropy: Callable[[int], bytes]
    pause: Callable[[float], None]


class Campaign:
    """One campaign of a service."""

    def __init__(self, campaign: CampaignId, plan: Plan, desk: Desk) -> None:
        """Handle a campaign that is stored."""
        self._id = campaign
        self.plan = plan
        self._desk = desk
        self._facts = desk.facts(plan)

    @property
    def name(self) -> str:
        """The campaign's name, unique in its service."""
        return self._id.name

    def judgements(self, at: datetime) -> Iterator[Judgement]:
        """Judge everybody in the audience as of a moment, in the order of visitor keys; nothing is sent.

        Raises:
            ContactError: a moment without a zone.
            StorageError: the storage does not answer.
        """
        judge = Judge(self._desk.policy, at)
        for evidence, knowledge in self._selected(to_micros(at)):
            has_address = self._desk.has_address(evidence, to_micros(at))
            yield Judgement(evidence.key, judge.verdict(self._facts(evidence, knowledge)), has_address)

    def preview(self, at: datetime | None = None) -> Preview:
        """Tell who would get the message at a moment, who later, who not and why; nothing is sent.

        The moment is now by default, or when the campaign starts.
        """
        at = at or from_micros(max(self._desk.now(), self.plan.starts_us or 0))
        decisions: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        until: datetime | None = None
        now_us = to_micros(at)
        for _, judged, has_address in self.judgements(at):
            ruling = self._ruling(judged, now_us)
            if ruling.state == "sending" and not has_address:
                ruling = _NO_ALIAS
            decisions[ruling.state] += 1
            if ruling.state != "sending":
                reasons[ruling.reason] += 1
            if ruling.state == "held" and judged.until is not None:
                until = judged.until if until is None else min(until, judged.until)
        wanted = decisions["sending"] + decisions["held"]
        zone = self._desk.policy.zone
        warned = () if until is None else untimely(self.plan.text, at=at, until=until, zone=zone)
        return Preview(
            at=at,
            selected=decisions.total(),
            send=decisions["sending"],
            hold=decisions["held"],
            refuse=decisions.total() - wanted,
            reasons=dict(reasons.most_common()),
            until=until,
            text=self.plan.text,
            segments=wanted * self.plan.segments,
            warnings=warned,
        )

    def run(self, transport: Transport) -> Progress:
        """Send what may be sent now; run again it goes on. Only one process runs a campaign at a time.

        Before it starts nothing happens, and held messages are judged anew when they are due: run it again then.
        A gateway that cannot take messages for now pauses the campaign, and so does one whose answers nobody can
        tell three times in a row.

        Raises:
            ContactError: the campaign is finished or cancelled, or was planned otherwise meanwhile; or it is
                marketing, and nobody has said what became of the opt-outs from before this library
                (`Contact.import_suppressions`).
            StorageError: the storage does not answer, or (`locked`) another process runs this campaign.
        """
        outbox = self._desk.outbox
        if self.plan.kind == "marketing" and outbox.optouts_declared(self._id.service) is None:
            raise ContactError("import the earlier opt-outs first, or state that there are none", field="optouts")
        with outbox.running(self._id):
            if not self._begin():
                return self.status()
            outbox.give_up(self._id, self._desk.now())
            self._queue()
            self._send_due(transport)
            if not self._waiting():
                outbox.turn(self._id, "finished", during=["running"])
            elif self._standing() == "cancelled":  # meanwhile: what was queued, or came back, ends with it
                outbox.stop(self._id, "cancelled", "cancelled", self._desk.now())
        return self.status()

    def _begin(self) -> bool:
        """Turn to running; False before the campaign starts. Once it has begun its plan stays as it is."""
        stored = self._desk.outbox.find(self._id.service, self._id.name)
        if stored is None or decode_plan(stored.plan) != self.plan:
            raise ContactError("it was planned otherwise meanwhile: look at it anew", field="campaign")
        if stored.standing not in _RUNNABLE:
            raise ContactError("it is finished or cancelled", field="campaign")
        if self._desk.now() < (self.plan.starts_us or 0):
            return False
        if not self._desk.outbox.turn(self._id, "running", during=[stored.standing], plan=stored.plan):
            raise ContactError("it was changed meanwhile: look at it anew", field="campaign")
        return True

    def status(self) -> Progress:
        """Tell where the campaign stands."""
        stored = self._desk.outbox.find(self._id.service, self._id.name)
        states: Counter[State] = Counter()
        reasons: Counter[str] = Counter()
        for (state, reason), number in self._desk.outbox.tally(self._id).items():
            states[state] += number
            if reason:
                reasons[reason] += number
        return Progress(self._id.name, stored.standing if stored else "draft", dict(states), dict(reasons))

    def pause(self) -> bool:
        """Let a run end after the message it is sending; False when the campaign is at its end."""
        return self._desk.outbox.turn(self._id, "paused", during=_RUNNABLE)

    def cancel(self) -> bool:
        """End the campaign for good; what waits is cancelled. False when it is at its end already."""
        outbox = self._desk.outbox
        if not outbox.turn(self._id, "cancelled", during=_RUNNABLE):
            return False
        outbox.stop(self._id, "cancelled", "cancelled", self._desk.now())
        return True

    def uncertain(self, after: str = "", limit: int = 100) -> list[Dispatch]:
        """Give a page of the messages of which nobody knows whether the gateway took them, by visitor key."""
        return self._desk.outbox.dispatches(self._id, "uncertain", after, limit)

    def _selected(self, now_us: int) -> Iterator[tuple[Evidence, Knowledge]]:
        desk, after = self._desk, ""
        while page := desk.outbox.evidence(self._id.namespace, after, _PAGE):
            after = page[-1].key
            for evidence in page:
                knowledge = decode_knowledge(evidence.knowledge)
                if self.plan.audience.includes(knowledge, now_us, partial(desk.favours, evidence)):
                    yield evidence, knowledge

    def _queue(self) -> None:
        """Queue a message to everybody selected, once in the campaign's life."""
        outbox, now = self._desk.outbox, self._desk.now()
        if outbox.is_selected(self._id):
            return
        keys: list[str] = []
        for evidence, _ in self._selected(now):
            keys.append(evidence.key)
            if len(keys) == _PAGE:
                outbox.enqueue(self._id, keys, now)
                keys = []
        outbox.enqueue(self._id, keys, now)
        outbox.select(self._id, now)

    def _send_due(self, transport: Transport) -> None:
        unknown = 0
        while keys := self._desk.outbox.due(self._id, self._desk.now(), _AT_ONCE):
            for key in keys:
                if not self._is_running():
                    return
                known = self._send(transport, key)
                unknown = 0 if known else unknown + 1
                if unknown == _MOST_UNKNOWN:
                    self._desk.outbox.turn(self._id, "paused", during=["running"])

    def _send(self, transport: Transport, key: str) -> bool:
        """Judge and send one message; False when nobody knows whether it was taken."""
        desk = self._desk
        message_id = desk.entropy(_ID_BYTES).hex()
        receiver: list[str] = []
        ruling = desk.outbox.claim(self._id, key, message_id, desk.now(), partial(self._rule, receiver))
        if ruling is None or ruling.state != "sending":
            return True
        try:
            transport.send(Outgoing(message_id, receiver[-1], self.plan.sender, self.plan.text))
        except NotAccepted as error:
            if error.temporary:
                desk.outbox.release(message_id, desk.now())
                desk.outbox.turn(self._id, "paused", during=["running"])
                return True
            desk.outbox.settle(message_id, "failed", desk.now(), reason=error.reason)
        except SendingUncertain as error:
            desk.outbox.settle(message_id, "uncertain", desk.now(), reason=error.reason)
            return False
        except Exception as error:
            desk.outbox.settle(message_id, "uncertain", desk.now(), reason=type(error).__name__)
            return False
        else:
            desk.outbox.settle(message_id, "sent", desk.now())
        if self.plan.rate is not None:
            desk.pause(1 / self.plan.rate)
        return True

    def _rule(self, receiver: list[str], evidence: Evidence) -> Ruling:
        """Turn the verdict of this moment into the message's next state; what is sent now gets a receiver."""
        now = self._desk.now()
        facts = self._facts(evidence, decode_knowledge(evidence.knowledge))
        ruling = self._ruling(verdict(facts, self._desk.policy, from_micros(now)), now)
        if ruling.state == "sending":
            alias = self._desk.address(evidence, now)
            if alias is None:
                return _NO_ALIAS
            receiver.append(alias)
        return ruling

    def _ruling(self, judged: Verdict, now_us: int) -> Ruling:
        """Turn a verdict of a moment into a message's state; what would arrive too late has expired."""
        expires = self.plan.expires_us
        if expires is not None and now_us >= expires:
            return Ruling("expired", "expired")
        if judged.decision == "refuse":
            return Ruling("refused", judged.refusal)
        if judged.until is None:
            return Ruling("sending", counts=self.plan.kind == "marketing")
        objection, until = judged.objections[0].name, to_micros(judged.until)
        if expires is not None and until >= expires:
            return Ruling("expired", f"{objection}, then expired")
        return Ruling("held", objection, until)

    def _is_running(self) -> bool:
        return self._standing() == "running"

    def _standing(self) -> Standing | None:
        stored = self._desk.outbox.find(self._id.service, self._id.name)
        return None if stored is None else stored.standing

    def _waiting(self) -> bool:
        return any(state in {"queued", "held"} for state, _ in self._desk.outbox.tally(self._id))
