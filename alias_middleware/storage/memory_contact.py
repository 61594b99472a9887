"""The memory storage's outbox and ledger of conversions: the reference, under the storage's one lock."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from msgspec.structs import replace

from alias_middleware.errors import StorageUnavailable
from alias_middleware.identity import stored_part
from alias_middleware.storage.conversions import Conversion, Conversions
from alias_middleware.storage.outbox import (
    PLANNED,
    REACHED,
    WAITING,
    CampaignId,
    Dispatch,
    Evidence,
    Judge,
    Outbox,
    Ruling,
    Standing,
    State,
    StoredCampaign,
    StrayMessage,
    end_of_erased,
    followed_by,
)

Named = tuple[str, str]
"""A campaign's service and name."""

EvidenceOf = Callable[[str, str, tuple[int, ...]], Evidence]


class MemoryOutbox(Outbox):
    """Campaigns and their messages in dictionaries."""

    def __init__(
        self,
        lock: Callable[[], threading.RLock],
        evidence_of: EvidenceOf,
        keys_after: Callable[[str, str], list[str]],
        knows: Callable[[str, str], bool],
    ) -> None:
        """Start empty.

        `evidence_of(namespace, key, contacts)` gives what the storage knows of a visitor, `keys_after(namespace,
        key)` the keys of the visitors behind a key, in order, `knows(namespace, key)` whether somebody is one.
        """
        self._lock = lock
        self._evidence_from = evidence_of
        self._keys_after = keys_after
        self._knows = knows
        self._campaigns: dict[Named, StoredCampaign] = {}
        self._dispatches: dict[Named, dict[tuple[str, str], Dispatch]] = {}
        self._claimed_us: dict[str, int] = {}
        self._erased: dict[Named, Counter[tuple[State, str]]] = {}
        self._run: set[Named] = set()
        self._fixed: set[Named] = set()
        self._optouts: dict[str, str] = {}
        self._strays: dict[tuple[str, int], StrayMessage] = {}

    def save(self, campaign: StoredCampaign) -> bool:
        """Keep a campaign."""
        with self._lock():
            known = self._campaigns.get(_named(campaign.id))
            if known is not None:
                if known.standing not in PLANNED:
                    return False
                campaign = replace(campaign, created_us=known.created_us)
            self._campaigns[_named(campaign.id)] = campaign
            return True

    def find(self, service: str, name: str) -> StoredCampaign | None:
        """Give a campaign."""
        return self._campaigns.get((service, name))

    def campaigns(self, service: str) -> list[StoredCampaign]:
        """Give a service's campaigns."""
        with self._lock():
            found = [campaign for campaign in self._campaigns.values() if campaign.id.service == service]
        return sorted(found, key=lambda campaign: (campaign.created_us, campaign.id.name))

    def turn(
        self, campaign: CampaignId, standing: Standing, *, during: Sequence[Standing], plan: bytes | None = None
    ) -> bool:
        """Change what a campaign is doing."""
        with self._lock():
            stored = self._campaigns.get(_named(campaign))
            if stored is None or stored.standing not in during or plan not in {None, stored.plan}:
                return False
            self._campaigns[_named(campaign)] = replace(stored, standing=standing)
            return True

    @contextmanager
    def running(self, campaign: CampaignId) -> Iterator[None]:
        """Be the only thread to run a campaign."""
        with self._lock():
            if _named(campaign) in self._run:
                raise StorageUnavailable("another thread runs this campaign", reason="locked")
            self._run.add(_named(campaign))
        try:
            yield
        finally:
            self._run.discard(_named(campaign))

    def select(self, campaign: CampaignId, time_us: int) -> None:
        """Note that the audience is fixed."""
        self._fixed.add(_named(campaign))

    def is_selected(self, campaign: CampaignId) -> bool:
        """Tell whether the audience is fixed."""
        return _named(campaign) in self._fixed

    def declare_optouts(self, service: str, time_us: int, how: str) -> None:
        """Note how the earlier opt-outs are known."""
        self._optouts[service] = how

    def optouts_declared(self, service: str) -> str | None:
        """Tell how the earlier opt-outs are known."""
        return self._optouts.get(service)

    def keep_stray(self, service: str, message: StrayMessage) -> bool:
        """Keep a message that gives no visitor."""
        with self._lock():
            return self._strays.setdefault((service, message.id), message) is message

    def strays(self, service: str, limit: int) -> list[StrayMessage]:
        """Give the latest messages that gave no visitor."""
        with self._lock():
            found = [message for (of, _), message in self._strays.items() if of == service]
        return sorted(found, key=lambda message: (-message.time_us, message.id))[:limit]

    def evidence(self, namespace: str, after: str, limit: int) -> list[Evidence]:
        """Give what is known of a page of visitors."""
        with self._lock():
            return [self.evidence_of(namespace, key) for key in self._keys_after(namespace, after)[:limit]]

    def evidence_of(self, namespace: str, key: str) -> Evidence:
        """Give what is known of one visitor."""
        with self._lock():
            times = [
                self._claimed_us[dispatch.message_id]
                for messages in self._dispatches.values()
                for person, dispatch in messages.items()
                if person == (namespace, stored_part(key))
                and dispatch.state in REACHED
                and dispatch.message_id in self._claimed_us
            ]
            return self._evidence_from(namespace, key, tuple(sorted(times, reverse=True)))

    def enqueue(self, campaign: CampaignId, keys: Sequence[str], time_us: int) -> int:
        """Queue messages to those who are there."""
        with self._lock():
            messages = self._dispatches.setdefault(_named(campaign), {})
            before = len(messages)
            for key in filter(partial(self._knows, campaign.namespace), keys):
                waiting = Dispatch(campaign.name, key, "queued", "", 0, time_us, "")
                messages.setdefault((campaign.namespace, key), waiting)
            return len(messages) - before

    def due(self, campaign: CampaignId, time_us: int, limit: int) -> list[str]:
        """Give whose messages wait no longer."""
        with self._lock():
            waiting = [
                dispatch
                for dispatch in self._dispatches.get(_named(campaign), {}).values()
                if dispatch.state in WAITING and dispatch.until_us <= time_us
            ]
        waiting.sort(key=lambda dispatch: (dispatch.until_us, dispatch.key))
        return [dispatch.key for dispatch in waiting[:limit]]

    def claim(self, campaign: CampaignId, key: str, message_id: str, time_us: int, judge: Judge) -> Ruling | None:
        """Judge a waiting message and mark it."""
        with self._lock():
            messages = self._dispatches.get(_named(campaign), {})
            dispatch = messages.get((campaign.namespace, key))
            if dispatch is None or dispatch.state not in WAITING:
                return None
            ruling = judge(self.evidence_of(campaign.namespace, key))
            is_sent = ruling.state == "sending"
            messages[campaign.namespace, key] = replace(
                dispatch,
                state=ruling.state,
                reason=ruling.reason,
                until_us=ruling.until_us,
                time_us=time_us,
                message_id=message_id if is_sent else "",
            )
            if is_sent and ruling.counts:
                self._claimed_us[message_id] = time_us
            return ruling

    def settle(self, message_id: str, state: State, time_us: int, *, reason: str = "") -> bool:
        """Note what became of a message."""
        with self._lock():
            for messages in self._dispatches.values():
                for person, dispatch in messages.items():
                    if message_id and dispatch.message_id == message_id and dispatch.state in followed_by(state):
                        messages[person] = replace(dispatch, state=state, reason=reason, time_us=time_us)
                        return True
            return False

    def release(self, message_id: str, time_us: int) -> bool:
        """Queue a message again."""
        with self._lock():
            for messages in self._dispatches.values():
                for person, dispatch in messages.items():
                    if message_id and dispatch.message_id == message_id and dispatch.state == "sending":
                        waiting = Dispatch(dispatch.campaign, dispatch.key, "queued", "", 0, time_us, "")
                        messages[person] = waiting
                        return True
            return False

    def give_up(self, campaign: CampaignId, time_us: int) -> int:
        """Mark what a run left behind as uncertain."""
        return self._turn_all(campaign, ("sending",), Ruling("uncertain"), time_us)

    def stop(self, campaign: CampaignId, state: State, reason: str, time_us: int) -> int:
        """Give every waiting message an end."""
        return self._turn_all(campaign, WAITING, Ruling(state, reason), time_us)

    def _turn_all(self, campaign: CampaignId, during: Sequence[State], ruling: Ruling, time_us: int) -> int:
        with self._lock():
            messages = self._dispatches.get(_named(campaign), {})
            found = [person for person, dispatch in messages.items() if dispatch.state in during]
            for person in found:
                messages[person] = replace(
                    messages[person], state=ruling.state, reason=ruling.reason, time_us=time_us
                )
            return len(found)

    def tally(self, campaign: CampaignId) -> dict[tuple[State, str], int]:
        """Count a campaign's messages."""
        with self._lock():
            counts = Counter(self._erased.get(_named(campaign), {}))
            counts.update(
                (each.state, each.reason) for each in self._dispatches.get(_named(campaign), {}).values()
            )
            return dict(counts)

    def dispatches(self, campaign: CampaignId, state: State, after: str, limit: int) -> list[Dispatch]:
        """Give a page of messages in a state."""
        with self._lock():
            found = [
                self._with_claim(each)
                for each in self._dispatches.get(_named(campaign), {}).values()
                if each.state == state and each.key > after
            ]
        return sorted(found, key=lambda dispatch: dispatch.key)[:limit]

    def _with_claim(self, dispatch: Dispatch) -> Dispatch:
        """Give a message with the time at which it was sent."""
        return replace(dispatch, claimed_us=self._claimed_us.get(dispatch.message_id))

    def dispatches_of(self, namespace: str, key: str) -> list[tuple[str, Dispatch]]:
        """Give the messages of one visitor with their services, oldest first."""
        with self._lock():
            found = [
                (service, self._with_claim(messages[namespace, key]))
                for (service, _), messages in self._dispatches.items()
                if (namespace, key) in messages
            ]
        return sorted(found, key=lambda each: (each[1].time_us, each[0], each[1].campaign))

    def erase(self, namespace: str, key: str) -> int:
        """Delete an erased visitor's messages, keep them counted, and give their number."""
        gone = 0
        with self._lock():
            for named, messages in self._dispatches.items():
                dispatch = messages.pop((namespace, key), None)
                if dispatch is not None:
                    end = end_of_erased(dispatch.state, dispatch.reason)
                    self._erased.setdefault(named, Counter())[end] += 1
                    gone += 1
        return gone


def _named(campaign: CampaignId) -> Named:
    return campaign.service, campaign.name


class MemoryConversions(Conversions):
    """The quota and the audit in a list."""

    def __init__(self, lock: Callable[[], threading.RLock]) -> None:
        """Start empty, under the storage's lock."""
        self._lock = lock
        self._rows: list[Conversion] = []

    def spend(self, conversion: Conversion, limit: int) -> int | None:
        """Take one conversion from the month's quota."""
        with self._lock():
            left = limit - sum(not each.given_back for each in self._of(conversion.scope, conversion.month))
            for known in self._rows:
                if known.id == conversion.id:
                    return None if known.given_back else max(left, 0)
            if left <= 0:
                return None
            self._rows.append(conversion)
            return left - 1

    def give_back(self, conversion_id: int) -> None:
        """Return a conversion that failed."""
        with self._lock():
            self._rows = [
                replace(each, given_back=True) if each.id == conversion_id else each for each in self._rows
            ]

    def conversions(self, scope: str, month: str) -> list[Conversion]:
        """Give a month's conversions."""
        with self._lock():
            return sorted(self._of(scope, month), key=lambda each: (each.time_us, each.id))

    def _of(self, scope: str, month: str) -> list[Conversion]:
        return [each for each in self._rows if (each.scope, each.month) == (scope, month)]
