"""Contacting visitors again: verdicts about one, campaigns to many, and the opt-outs from before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cached_property, partial
from typing import Literal

from alias_middleware.audience import Audience
from alias_middleware.campaigns import Campaign, Desk
from alias_middleware.contact import Facts, FrequencyCap, Kind, Received, Verdict, sms_text, verdict
from alias_middleware.contact import Suppression as Forbidden
from alias_middleware.dossier import Question, consent_to, facts_of, suppression
from alias_middleware.errors import ContactError, StorageUnavailable
from alias_middleware.events import event_time
from alias_middleware.habits import decode_habits
from alias_middleware.history import Knowledge
from alias_middleware.interests import Population, Taste
from alias_middleware.keying import keyed
from alias_middleware.local_time import from_micros
from alias_middleware.plans import Plan, Progress, decode_plan, encode_plan
from alias_middleware.profile import decode_knowledge
from alias_middleware.sealing import CONSENT, Sealer, Sealing, sealed_at
from alias_middleware.settings import Settings
from alias_middleware.storage.base import Batch, LateSealing, Storage
from alias_middleware.storage.outbox import CampaignId, Evidence, Standing, StoredCampaign
from alias_middleware.transport import Outgoing, Transport

_NAME_LENGTH = 64
_INTERESTS = 5
_ID_BYTES = 16


class Contact:
    """What one service may say to its visitors, by the operator's and the law's rules."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        *,
        key_of: Callable[[str], str],
        population: Callable[[], Population],
        now: Callable[[], int],
        entropy: Callable[[int], bytes],
        pause: Callable[[float], None],
    ) -> None:
        """Judge and send for the service that `settings` name.

        `key_of` gives an alias's visitor key, `population` everybody's tastes, `now` microseconds since the
        epoch, `entropy(n)` random bytes; `pause(seconds)` lets time pass between two messages.
        """
        self._settings = settings
        self._storage = storage
        self._key_of = key_of
        self._population = population
        self._now = now
        self._entropy = entropy
        self._pause = pause
        self._policy = settings.contact_policy()

    def verdict(
        self, alias: str, *, offer: str | None, kind: Kind, sender: str, at: datetime | None = None
    ) -> Verdict:
        """Tell whether a message may go to a visitor at a moment, now by default, with what every rule says.

        Raises:
            ValueError: no alias, no kind of message, or a moment without a zone.
            StorageError: the storage does not answer.
            SettingsError: the storage keeps no campaigns, so nobody knows what was sent.
        """
        evidence = self._storage.outbox().evidence_of(self._settings.namespace, self._key_of(alias))
        question = self._question(offer, kind, sender, self._settings.frequency_cap)
        facts = facts_of(evidence, decode_knowledge(evidence.knowledge), question)
        return verdict(facts, self._policy, at or from_micros(self._now()))

    def reply(
        self, alias: str, text: str, *, short_code: str, received: datetime, transport: Transport
    ) -> Verdict:
        """Answer what a visitor wrote to a short code at a moment, from there: by a confirmation of STOP, say.

        Sent at once where the verdict is "send": within 24 hours, a setting of the policy, whatever forbids
        marketing. The message is not asked for in the storage, which may not have it yet.

        Raises:
            ValueError: no alias, a text that cannot be sent, or a moment without a zone.
            NotAccepted, SendingUncertain: as the transport says.
        """
        self._key_of(alias)
        answered = Received(short_code, event_time(received))
        question = self._question(None, "reply", short_code, None)
        facts = Facts(
            service=question.service,
            offer=None,
            kind="reply",
            sender=short_code,
            zone=question.zone,
            sender_kinds=question.sender_kinds,
            reply_to=answered,
        )
        whole = sms_text(text, kind="reply", sender=short_code)
        judged = verdict(facts, self._policy, from_micros(self._now()))
        if judged.decision == "send":
            message_id = self._entropy(_ID_BYTES).hex()
            transport.send(Outgoing(message_id, alias, short_code, whole.text))
        return judged

    def campaign(
        self,
        name: str,
        *,
        offer: str,
        kind: Kind,
        sender: str,
        text: str,
        audience: Audience | None = None,
        starts: datetime | None = None,
        expires: datetime | None = None,
        rate: float | None = None,
        cap: FrequencyCap | None = None,
        stop_code: str | None = None,
    ) -> Campaign:
        """Give the campaign of this name, made anew or found; until it begins it may be planned anew.

        `text` gets its STOP mention where it needs one. It is a draft, or scheduled where it `starts` at a moment:
        nothing goes before. What is still held when it `expires` is dropped. `rate` is the most messages a second;
        `cap` limits marketing to one visitor, as the settings do unless given.

        Raises:
            ContactError: the text, sender or audience is no use; it expires before it starts; or a campaign of
                this name has begun with another plan.
            SettingsError: the storage keeps no campaigns; or visitors are known by pseudonym, and there are no
                `secret_keys` under which their aliases are sealed.
            MissingExtra: for the same, ``cryptography`` is not installed.
            StorageError: the storage does not answer.
        """
        if not isinstance(name, str) or not 0 < len(name) <= _NAME_LENGTH or not name.isprintable():
            raise ContactError(f"a name of 1 to {_NAME_LENGTH} printable characters", field="name")
        _ = self._sealer  # whom nobody could write to is not queued first
        if rate is not None and not 0 < rate < float("inf"):
            raise ContactError("a positive number of messages a second", field="rate")
        whole = sms_text(text, kind=kind, sender=sender, stop_code=stop_code)
        plan = Plan(
            offer=offer,
            kind=kind,
            sender=sender,
            text=whole.text,
            segments=whole.segments,
            audience=audience or Audience(),
            starts_us=None if starts is None else event_time(starts),
            expires_us=None if expires is None else event_time(expires),
            rate=rate,
            cap=cap or self._settings.frequency_cap,
        )
        if plan.starts_us is not None and plan.expires_us is not None and plan.expires_us <= plan.starts_us:
            raise ContactError("it expires before it starts", field="expires")
        campaign = CampaignId(self._settings.service, self._settings.namespace, name)
        standing: Standing = "draft" if starts is None else "scheduled"
        self._storage.outbox().save(StoredCampaign(campaign, standing, encode_plan(plan), self._now()))
        found = self.find(name)
        if found.plan != plan:
            raise ContactError("a campaign of this name has begun with another plan", field="name")
        return found

    def run_due(self, transport: Transport) -> list[Progress]:
        """Run every campaign whose time has come and those that wait for held messages, oldest first.

        That is what a timer does every few minutes. Drafts and paused campaigns stay as they are, and so does one
        that another process is running, or that was changed meanwhile. Give where each that was run stands.

        Raises:
            ContactError: marketing was due, and nobody has said what became of the opt-outs from before;
                everything else was run.
            StorageError: the storage does not answer.
        """
        outbox, desk, ran = self._storage.outbox(), self._desk(), []
        refused: ContactError | None = None
        for each in outbox.campaigns(self._settings.service):
            plan = decode_plan(each.plan)
            if each.standing in {"scheduled", "running"} and self._now() >= (plan.starts_us or 0):
                try:
                    ran.append(Campaign(each.id, plan, desk).run(transport))
                except StorageUnavailable as error:
                    if error.reason != "locked":
                        raise
                except ContactError as error:
                    if error.field == "optouts":  # else it was changed since it was listed
                        refused = error
        if refused is not None:
            raise refused
        return ran

    def find(self, name: str) -> Campaign:
        """Give the campaign of this name.

        Raises:
            ContactError: there is none.
            StorageError: the storage does not answer.
        """
        stored = self._storage.outbox().find(self._settings.service, name)
        if stored is None:
            raise ContactError("no campaign has this name", field="name")
        return Campaign(stored.id, decode_plan(stored.plan), self._desk())

    def campaigns(self) -> list[Progress]:
        """Tell where each of the service's campaigns stands, oldest first."""
        stored = self._storage.outbox().campaigns(self._settings.service)
        desk = self._desk()
        return [Campaign(each.id, decode_plan(each.plan), desk).status() for each in stored]

    def reported(
        self, message_id: str, state: Literal["sent", "delivered", "failed"], *, reason: str = ""
    ) -> bool:
        """Take a delivery report; False when no message can still become that, as after an erasure.

        Raises:
            StorageError: the storage does not answer: let the gateway report again.
        """
        return self._storage.outbox().settle(message_id, state, self._now(), reason=reason)

    def import_suppressions(self, aliases: Iterable[str]) -> int:
        """Take over the marketing opt-outs from before this library, and give their number.

        Taken over twice they count once. From then on marketing campaigns may run.

        Raises:
            ValueError: one is no alias; those before it are taken over.
            ContactError: there is none: that nobody opted out is said by `declare_no_prior_optouts`.
            StorageError: the storage does not answer.
        """
        number = 0
        said = Forbidden(scope="marketing", reason="import", channel="import", time_us=self._now())
        for alias in aliases:
            key = self._key_of(alias)
            if not self._was_imported(key):
                self._storage.suppress(self._settings.namespace, key, suppression(said))
                self._end_consent(key, said.time_us)
            number += 1
        if not number:
            raise ContactError(
                "nobody is named; where nobody ever opted out, say so by --no-prior-optouts or "
                "declare_no_prior_optouts()",
                field="optouts",
            )
        self._storage.outbox().declare_optouts(self._settings.service, self._now(), f"imported {number}")
        return number

    def _end_consent(self, key: str, time_us: int) -> None:
        """Let go of an alias that was kept for the sake of a consent, where aliases are sealed."""
        if self._settings.pseudonym_keys:
            ended = Sealing(key, time_us, time_us, CONSENT, time_us)
            late = LateSealing(self._settings.namespace, ended, keyed(self._settings))
            self._storage.apply(Batch(sealings=[late]))

    def _was_imported(self, key: str) -> bool:
        """Tell whether a visitor's opt-out was taken over before: a second time would undo consent given since."""
        held = self._storage.suppressions(self._settings.namespace, key)
        return any(each.reason == "import" for each in held)

    def declare_no_prior_optouts(self) -> None:
        """State that nobody opted out before this library was there: marketing campaigns may run."""
        self._storage.outbox().declare_optouts(self._settings.service, self._now(), "none before")

    def _desk(self) -> Desk:
        return Desk(
            outbox=self._storage.outbox(),
            policy=self._policy,
            facts=self._facts,
            favours=self._favours,
            has_address=self._has_address,
            address=self._address,
            now=self._now,
            entropy=self._entropy,
            pause=self._pause,
        )

    def _facts(self, plan: Plan) -> Callable[[Evidence, Knowledge], Facts]:
        question = self._question(plan.offer, plan.kind, plan.sender, plan.cap)
        return partial(facts_of, question=question)

    def _question(self, offer: str | None, kind: Kind, sender: str, cap: FrequencyCap | None) -> Question:
        settings = self._settings
        return Question(
            service=settings.service,
            offer=offer,
            kind=kind,
            sender=sender,
            zone=settings.zone,
            sender_kinds=settings.short_codes.kinds(sender),
            common_id=settings.reference is not None,
            light_gallery_days=settings.light_gallery_days,
            cap=cap,
        )

    def _favours(self, evidence: Evidence, category: str) -> bool:
        """Tell whether a category is among a visitor's interests; not of one who refuses personalisation."""
        consent = consent_to("personalise", evidence)
        if consent is not None and not consent.granted:
            return False
        habits = decode_habits(evidence.knowledge.partition(b"\n")[2])
        favoured = Taste(habits, self._population(), self._now()).interests(_INTERESTS)
        return any(each.category == category and each.evidence.basis == "visitor" for each in favoured)

    @cached_property
    def _sealer(self) -> Sealer | None:
        """What unseals aliases, None where visitor keys are aliases."""
        settings = self._settings
        if not settings.pseudonym_keys:
            return None
        return Sealer(settings.namespace, settings.secret_keys, settings.pseudonym_keys)

    def _has_address(self, evidence: Evidence, now_us: int) -> bool:
        return self._sealer is None or sealed_at(evidence.seals, now_us) is not None

    def _address(self, evidence: Evidence, now_us: int) -> str | None:
        if self._sealer is None:
            return evidence.key
        sealed = sealed_at(evidence.seals, now_us)
        return None if sealed is None else self._sealer.unseal(sealed, evidence.key)
