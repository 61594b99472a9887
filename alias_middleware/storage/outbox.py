"""The outbox: what a storage keeps of campaigns and of each message to each visitor.

A storage that can do it gives one from `Storage.outbox`. All verbs are synchronous and thread-safe; times are
microseconds since the epoch (UTC). What is decided about a visitor is decided by the caller's `judge`, inside
the transaction that marks his message: nothing he says meanwhile is missed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Literal, NamedTuple

import msgspec

from alias_middleware.discreet import Discreet
from alias_middleware.profile import StoredProfile
from alias_middleware.sealing import Seal

Standing = Literal["draft", "scheduled", "running", "paused", "finished", "cancelled"]
"""What a campaign is doing."""

PLANNED: tuple[Standing, ...] = ("draft", "scheduled")
"""A campaign that has not begun: its plan may still be changed."""

State = Literal[
    "queued", "held", "sending", "uncertain", "sent", "delivered", "failed", "refused", "expired", "cancelled"
]
"""Where one visitor's message stands.

`queued` and `held` wait. `sending` is committed before the gateway is called; one that a crash left behind
becomes `uncertain` and is never sent again. `sent`, `delivered` and `failed` are what the gateway said.
"""

WAITING: tuple[State, ...] = ("queued", "held")
REACHED: tuple[State, ...] = ("sending", "uncertain", "sent", "delivered")
"""The states that count as a contact made: the visitor may have the message."""


_FOLLOWS: dict[State, tuple[State, ...]] = {
    "sent": ("sending", "uncertain"),
    "delivered": ("sending", "uncertain", "sent"),
    "failed": ("sending", "uncertain", "sent"),
    "uncertain": ("sending",),
}


def followed_by(state: State) -> tuple[State, ...]:
    """Give the states after which the gateway's word `state` still says something new; none for any other."""
    return _FOLLOWS.get(state, ())


def end_of_erased(state: State, reason: str) -> tuple[State, str]:
    """Give what the message of an erased visitor is counted as: what waited for him is cancelled."""
    return ("cancelled", "erased") if state in WAITING else (state, reason)


class Suppression(msgspec.Struct, frozen=True):
    """What forbids a contact: kept under a keyed hash, so it survives the visitor's erasure.

    `scope` is what is forbidden, `reason` what was said, `channel` where.
    """

    scope: str
    reason: str
    channel: str
    time_us: int


def latest_by_scope(said: Iterable[Suppression]) -> list[Suppression]:
    """Give, of what one visitor said, the latest of each scope, by scope."""
    latest: dict[str, Suppression] = {}
    for each in said:
        if each.scope not in latest or latest[each.scope].time_us < each.time_us:
            latest[each.scope] = each
    return [latest[scope] for scope in sorted(latest)]


class CampaignId(NamedTuple):
    """A campaign by its service and its name there, and the namespace of the visitors it speaks to."""

    service: str
    namespace: str
    name: str


class StoredCampaign(msgspec.Struct, frozen=True):
    """A campaign: what it is doing, and its plan as the caller encodes it."""

    id: CampaignId
    standing: Standing
    plan: bytes
    created_us: int


class Evidence(NamedTuple):
    """What is known of one visitor when a message to him is judged.

    `knowledge` and `profile` as `Storage.read_knowledge` and `Storage.read_profile` give them. `contacts`: the
    times of the marketing messages that may have reached him, newest first. `seals`: his alias as it is kept
    sealed, for each reason; only where visitors are known by pseudonym.
    """

    key: str
    knowledge: bytes
    profile: StoredProfile
    suppressions: tuple[Suppression, ...]
    contacts: tuple[int, ...]
    seals: tuple[Seal, ...] = ()

    def __repr__(self) -> str:  # reporters of errors show the locals of every frame
        return f"<Evidence: {len(self.suppressions)} suppressions, {len(self.contacts)} contacts>"


class Ruling(NamedTuple):
    """What the caller makes of the evidence: the message's next state, why, and until when it is held.

    `counts`: whether a message marked `sending` counts in `Evidence.contacts` from then on.
    """

    state: State
    reason: str = ""
    until_us: int = 0
    counts: bool = True


class StrayMessage(msgspec.Struct, frozen=True):
    """An SMS-MO whose sender is no alias: what was written, to which short code, when; not by whom."""

    id: int
    time_us: int
    short_code: str
    text: str


Judge = Callable[[Evidence], Ruling]


class Dispatch(Discreet, msgspec.Struct, frozen=True):
    """One visitor's message in a campaign. `message_id` is given when it is marked `sending`.

    `time_us` is the time of its latest state, as of a delivery report; `claimed_us` that of the sending, where it
    counts as a contact.
    """

    campaign: str
    key: str
    state: State
    reason: str
    until_us: int
    time_us: int
    message_id: str
    claimed_us: int | None = None

    def __repr__(self) -> str:  # the key may be the alias
        return f"<Dispatch {self.state} {self.message_id}>"


class Outbox(ABC):
    """Campaigns, messages and conversions of one storage."""

    @abstractmethod
    def save(self, campaign: StoredCampaign) -> bool:
        """Keep a campaign, in the place of a plan of its name (one of `PLANNED`) that has not begun.

        False when the service has one of that name that has begun, which stays as it is.
        """

    @abstractmethod
    def find(self, service: str, name: str) -> StoredCampaign | None:
        """Give a campaign, None when there is none of that name."""

    @abstractmethod
    def campaigns(self, service: str) -> list[StoredCampaign]:
        """Give a service's campaigns, oldest first."""

    @abstractmethod
    def turn(
        self, campaign: CampaignId, standing: Standing, *, during: Sequence[Standing], plan: bytes | None = None
    ) -> bool:
        """Change what a campaign is doing; False when it was not doing one of `during`.

        Also False where a `plan` is given and another one is stored by now.
        """

    @abstractmethod
    def running(self, campaign: CampaignId) -> AbstractContextManager[None]:
        """Be the only one to run a campaign for as long as the block lasts, the life of the process at most.

        Raises:
            StorageUnavailable: somebody else runs it; the reason is `locked`.
        """

    @abstractmethod
    def select(self, campaign: CampaignId, time_us: int) -> None:
        """Note that everybody the campaign speaks to is queued: its audience is fixed."""

    @abstractmethod
    def is_selected(self, campaign: CampaignId) -> bool:
        """Tell whether the campaign's audience is fixed."""

    @abstractmethod
    def declare_optouts(self, service: str, time_us: int, how: str) -> None:
        """Note that the opt-outs from before this library are known: imported, or stated that there are none."""

    @abstractmethod
    def optouts_declared(self, service: str) -> str | None:
        """Tell how the earlier opt-outs of a service are known, None when they are not."""

    @abstractmethod
    def keep_stray(self, service: str, message: StrayMessage) -> bool:
        """Keep a message that gives no visitor; False when one of its id is kept already."""

    @abstractmethod
    def strays(self, service: str, limit: int) -> list[StrayMessage]:
        """Give the latest messages that gave no visitor, newest first."""

    @abstractmethod
    def evidence(self, namespace: str, after: str, limit: int) -> list[Evidence]:
        """Give what is known of up to `limit` visitors with keys after `after`, in the order of their keys."""

    @abstractmethod
    def evidence_of(self, namespace: str, key: str) -> Evidence:
        """Give what is known of one visitor."""

    @abstractmethod
    def enqueue(self, campaign: CampaignId, keys: Sequence[str], time_us: int) -> int:
        """Queue a message to each visitor that the campaign has none for yet; give how many are new.

        Whoever is no visitor, or no more since his evidence was read, gets none: nothing stays of the erased.
        """

    @abstractmethod
    def due(self, campaign: CampaignId, time_us: int, limit: int) -> list[str]:
        """Give the keys of up to `limit` visitors whose messages wait, none longer than `time_us` allows."""

    @abstractmethod
    def claim(self, campaign: CampaignId, key: str, message_id: str, time_us: int, judge: Judge) -> Ruling | None:
        """Judge a waiting message on evidence of this very moment and mark it so, in one transaction.

        With the state `sending` it is the caller's to send, once. None: it does not wait any more.
        """

    @abstractmethod
    def settle(self, message_id: str, state: State, time_us: int, *, reason: str = "") -> bool:
        """Note what became of a message; False when no such message can still become that.

        What the gateway reports stands: `delivered` and `failed` are final, `sent` follows `sending` and
        `uncertain` only.
        """

    @abstractmethod
    def release(self, message_id: str, time_us: int) -> bool:
        """Queue a message again that was being sent and that the gateway has certainly not taken.

        False when no message of this id is being sent.
        """

    @abstractmethod
    def give_up(self, campaign: CampaignId, time_us: int) -> int:
        """Mark as `uncertain` what a run that ended left at `sending`; give how many."""

    @abstractmethod
    def stop(self, campaign: CampaignId, state: State, reason: str, time_us: int) -> int:
        """Give every waiting message of a campaign an end, `expired` or `cancelled`; give how many."""

    @abstractmethod
    def tally(self, campaign: CampaignId) -> dict[tuple[State, str], int]:
        """Count a campaign's messages by state and reason.

        Those of erased visitors stay counted; what waited for them is cancelled, with the reason `erased`.
        """

    @abstractmethod
    def dispatches(self, campaign: CampaignId, state: State, after: str, limit: int) -> list[Dispatch]:
        """Give a page of a campaign's messages in a state, in the order of their keys."""
