"""The part of the storage contract about contacting visitors: campaigns, messages, conversions.

For storages that keep them; subclass it beside `StorageContract`.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from alias_middleware.history import ContactNote, Knowledge
from alias_middleware.profile import StoredProfile, decode_knowledge
from alias_middleware.storage.base import Batch, Storage
from alias_middleware.storage.conversions import Conversion
from alias_middleware.storage.outbox import CampaignId, Evidence, Ruling, State, StoredCampaign, Suppression
from alias_middleware.testing._contract_case import known
from alias_middleware.testing._contract_profiles import op
from alias_middleware.testing._contract_queue import QueueContract, people, sending
from alias_middleware.testing.histories import KEY, NEWS, SHOP, Teller, change, instant

_SPACE = NEWS.namespace
_NOON = instant("2026-03-02T12:00")
_NOEL = CampaignId("news", _SPACE, "noel")
_STOP = Suppression("marketing", "STOP", "sms", _NOON)
_THREADS = 8


def _unless_suppressed(evidence: Evidence) -> Ruling:
    return Ruling("refused", "suppressed") if evidence.suppressions else Ruling("sending")


def _spend(storage: Storage, number: int, limit: int = 100) -> int | None:
    conversion = Conversion(
        id=number, scope="publisher", month="2026-03", time_us=_NOON, requester="R", reason="a draw"
    )
    return storage.conversions().spend(conversion, limit)


class OutboxContract(QueueContract):
    """At most one message to each visitor, none after his STOP, and nothing lost silently."""

    def test_campaigns(self, storage: Storage) -> None:
        """A plan is changed until it begins; what a campaign does changes from what it was doing."""
        outbox = storage.outbox()
        first = StoredCampaign(_NOEL, "scheduled", b"{}", _NOON)
        assert outbox.save(StoredCampaign(_NOEL, "draft", b"other", _NOON))
        assert outbox.save(StoredCampaign(_NOEL, "scheduled", b"{}", _NOON + 1))
        later = StoredCampaign(_NOEL._replace(name="été"), "draft", b"{}", _NOON + 1)
        assert outbox.save(later)
        assert outbox.save(StoredCampaign(_NOEL._replace(service="shop"), "draft", b"{}", _NOON))
        assert outbox.campaigns("news") == [first, later]
        assert outbox.turn(_NOEL, "running", during=["scheduled", "paused"])
        assert not outbox.turn(_NOEL, "running", during=["scheduled"])
        assert not outbox.turn(_NOEL, "paused", during=["running"], plan=b"other")
        assert outbox.turn(_NOEL, "running", during=["running"], plan=b"{}")
        assert not outbox.save(StoredCampaign(_NOEL, "draft", b"other", _NOON))
        found = outbox.find("news", "noel")
        assert found is not None
        assert (found.standing, found.plan) == ("running", b"{}")
        assert outbox.find("news", "unknown") is None

    def test_one_runs_a_campaign(self, storage: Storage) -> None:
        """The second is refused, whoever he is; another campaign is free."""
        outbox = storage.outbox()
        other = _NOEL._replace(name="été")
        with (
            outbox.running(_NOEL),
            outbox.running(other),
            self.unavailable("locked"),
            storage.outbox().running(_NOEL),
        ):
            pass
        with outbox.running(_NOEL):
            pass

    def test_evidence(self, storage: Storage) -> None:
        """What is known of visitors, page by page, with what forbids a contact and the contacts made."""
        people(storage, "a", "b", "c")
        storage.change_profile(_SPACE, change(op("set", "f", 1), at=_NOON, key="b"), timeout=5)
        storage.suppress(_SPACE, "b", _STOP)
        outbox = storage.outbox()
        first, second = outbox.evidence(_SPACE, "", 2)
        assert [one.key for one in (first, second)] == ["a", "b"]
        assert [one.key for one in outbox.evidence(_SPACE, "b", 2)] == ["c"]
        assert (first.profile, first.suppressions, first.contacts) == (StoredProfile(), (), ())
        assert (second.profile, second.suppressions) == (storage.read_profile(_SPACE, "b"), (_STOP,))
        assert second.knowledge == storage.read_knowledge(_SPACE, "b")
        assert outbox.evidence_of(_SPACE, "b") == second
        stranger = outbox.evidence_of(_SPACE, "x")
        assert decode_knowledge(stranger.knowledge) == Knowledge()
        assert (stranger.profile, stranger.suppressions, stranger.contacts) == (StoredProfile(), (), ())

    def test_what_the_rules_of_contact_need(self, storage: Storage) -> None:
        """Messages and unsubscriptions of every service, in the order of their times, each once."""
        tell = Teller()
        shop = tell.of(origin=SHOP)
        stop, unsubscribed = shop.message(_NOON + 3, "STOP", command="stop"), tell.unsubscribe(_NOON + 2)
        first, unmapped = tell.message(_NOON), tell.message(_NOON + 1, offer=None)
        storage.apply(Batch(entries=[stop, unsubscribed, tell.view(_NOON)]))
        storage.apply(Batch(entries=[unmapped, first, stop]))
        assert known(storage, _SPACE, KEY).contacts == [
            ContactNote(_NOON, "news", "mo", "premium_push", "36123"),
            ContactNote(_NOON + 1, "news", "mo", "", "36123"),
            ContactNote(_NOON + 2, "news", "unsubscribed", "premium_push", ""),
            ContactNote(_NOON + 3, "shop", "stop", "premium_push", "36123"),
        ]

    def test_a_message_to_each_once(self, storage: Storage) -> None:
        """Queued twice is queued once; claimed once; what was claimed is not due."""
        people(storage, "a", "b", "c")
        outbox = storage.outbox()
        assert outbox.enqueue(_NOEL, ["a", "b"], _NOON) == 2
        assert outbox.enqueue(_NOEL, ["b", "c"], _NOON) == 1
        assert outbox.due(_NOEL, _NOON, 9) == ["a", "b", "c"]
        assert outbox.due(_NOEL, _NOON, 2) == ["a", "b"]
        assert outbox.claim(_NOEL, "a", "m1", _NOON, sending) == Ruling("sending")
        assert outbox.claim(_NOEL, "a", "m2", _NOON, sending) is None
        assert outbox.claim(_NOEL, "x", "m3", _NOON, sending) is None
        assert outbox.due(_NOEL, _NOON, 9) == ["b", "c"]
        assert outbox.tally(_NOEL) == {("sending", ""): 1, ("queued", ""): 2}
        (sent,) = outbox.dispatches(_NOEL, "sending", "", 9)
        assert (sent.key, sent.message_id, sent.time_us) == ("a", "m1", _NOON)
        assert [each.key for each in outbox.dispatches(_NOEL, "queued", "b", 9)] == ["c"]

    def test_held_until_a_moment(self, storage: Storage) -> None:
        """A held message is due from then on, and judged anew."""
        people(storage, "a", "b", "c")
        outbox = storage.outbox()
        outbox.enqueue(_NOEL, ["a"], _NOON)
        outbox.claim(_NOEL, "a", "m1", _NOON, lambda evidence: Ruling("held", "quiet_hours", _NOON + 9))
        assert outbox.due(_NOEL, _NOON + 8, 9) == []
        assert outbox.due(_NOEL, _NOON + 9, 9) == ["a"]
        assert outbox.tally(_NOEL) == {("held", "quiet_hours"): 1}
        assert outbox.evidence_of(_SPACE, "a").contacts == ()
        outbox.claim(_NOEL, "a", "m1", _NOON + 9, sending)
        assert outbox.tally(_NOEL) == {("sending", ""): 1}

    def test_contacts_are_what_may_have_arrived(self, storage: Storage) -> None:
        """Newest first, over campaigns; a failed message is none, nor one that does not count."""
        people(storage, "a", "b", "c")
        outbox = storage.outbox()
        for number, name in enumerate(["one", "two", "three", "four"]):
            campaign = _NOEL._replace(name=name)
            outbox.enqueue(campaign, ["a"], _NOON)
            judge: Callable[[Evidence], Ruling] = sending
            if name == "four":
                judge = lambda evidence: Ruling("sending", counts=False)  # noqa: E731
            outbox.claim(campaign, "a", name, _NOON + number, judge)
        outbox.settle("one", "delivered", _NOON + 50)
        outbox.settle("two", "failed", _NOON + 50)
        assert outbox.evidence_of(_SPACE, "a").contacts == (_NOON + 2, _NOON)

    @pytest.mark.parametrize(
        ("said", "stands"),
        [
            pytest.param(["sent"], "sent", id="accepted"),
            pytest.param(["sent", "delivered"], "delivered", id="delivered"),
            pytest.param(["delivered", "sent"], "delivered", id="the report came first"),
            pytest.param(["failed", "delivered"], "failed", id="failed is final"),
            pytest.param(["uncertain", "delivered"], "delivered", id="uncertain, resolved by its report"),
            pytest.param(["sent", "uncertain"], "sent", id="sent is not uncertain"),
            pytest.param(["queued"], "sending", id="no report says queued"),
        ],
    )
    def test_what_the_gateway_says(self, storage: Storage, said: list[State], stands: State) -> None:
        """A final word stands; an earlier one that comes late changes nothing."""
        people(storage, "a", "b", "c")
        outbox = storage.outbox()
        outbox.enqueue(_NOEL, ["a"], _NOON)
        outbox.claim(_NOEL, "a", "m1", _NOON, sending)
        for state in said:
            outbox.settle("m1", state, _NOON + 1)
        assert outbox.tally(_NOEL) == {(stands, ""): 1}
        (found,) = outbox.dispatches(_NOEL, stands, "", 9)
        assert (found.claimed_us, found.message_id) == (_NOON, "m1")
        assert not outbox.settle("unknown", "delivered", _NOON)
        assert not outbox.settle("", "delivered", _NOON)

    def test_what_the_gateway_could_not_take_yet(self, storage: Storage) -> None:
        """Queued again as if it had never been claimed: no contact was made, the id is free."""
        people(storage, "a", "b", "c")
        outbox = storage.outbox()
        outbox.enqueue(_NOEL, ["a"], _NOON)
        outbox.claim(_NOEL, "a", "m1", _NOON, sending)
        assert outbox.release("m1", _NOON + 1)
        assert outbox.due(_NOEL, _NOON + 1, 9) == ["a"]
        assert outbox.evidence_of(_SPACE, "a").contacts == ()
        assert not outbox.settle("m1", "delivered", _NOON)
        outbox.claim(_NOEL, "a", "m2", _NOON, sending)
        outbox.settle("m2", "sent", _NOON)
        assert not outbox.release("m2", _NOON)
        assert not outbox.release("", _NOON)
        assert outbox.tally(_NOEL) == {("sent", ""): 1}

    def test_what_a_run_left_behind(self, storage: Storage) -> None:
        """What was being sent is uncertain and not due; what waited is still due."""
        people(storage, "a", "b", "c")
        outbox = storage.outbox()
        outbox.enqueue(_NOEL, ["a", "b"], _NOON)
        outbox.claim(_NOEL, "a", "m1", _NOON, sending)
        assert outbox.give_up(_NOEL, _NOON + 1) == 1
        assert outbox.give_up(_NOEL, _NOON + 1) == 0
        assert outbox.due(_NOEL, _NOON + 1, 9) == ["b"]
        assert outbox.tally(_NOEL) == {("uncertain", ""): 1, ("queued", ""): 1}

    def test_an_end_for_what_waits(self, storage: Storage) -> None:
        """Only what waits; what is on its way goes on."""
        people(storage, "a", "b", "c")
        outbox = storage.outbox()
        outbox.enqueue(_NOEL, ["a", "b", "c"], _NOON)
        outbox.claim(_NOEL, "a", "m1", _NOON, sending)
        outbox.claim(_NOEL, "b", "m2", _NOON, lambda evidence: Ruling("held", "hours", _NOON + 9))
        assert outbox.stop(_NOEL, "cancelled", "by the publisher", _NOON) == 2
        assert outbox.tally(_NOEL) == {("sending", ""): 1, ("cancelled", "by the publisher"): 2}

    def test_a_judge_that_fails_changes_nothing(self, storage: Storage) -> None:
        """The message waits as before."""
        people(storage, "a", "b", "c")
        outbox = storage.outbox()
        outbox.enqueue(_NOEL, ["a"], _NOON)

        def fail(evidence: Evidence) -> Ruling:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            outbox.claim(_NOEL, "a", "m1", _NOON, fail)
        assert outbox.tally(_NOEL) == {("queued", ""): 1}

    def test_no_message_after_a_stop(self, storage: Storage) -> None:
        """A STOP that was acknowledged before a claim began is seen by it, with many threads at once."""
        keys = [f"{number:012}" for number in range(40)]
        people(storage, *keys)
        outbox = storage.outbox()
        outbox.enqueue(_NOEL, keys, _NOON)
        stopped: set[str] = set()
        broken: list[str] = []

        def stop() -> None:
            for key in keys[::2]:
                storage.suppress(_SPACE, key, _STOP)
                stopped.add(key)

        def send(mine: list[str]) -> None:
            for key in mine:
                known = key in stopped
                ruling = outbox.claim(_NOEL, key, f"m{key}", _NOON, _unless_suppressed)
                if known and ruling is not None and ruling.state == "sending":
                    broken.append(key)

        threads = [threading.Thread(target=send, args=(keys[number::_THREADS],)) for number in range(_THREADS)]
        threads.append(threading.Thread(target=stop))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert broken == []
        assert sum(outbox.tally(_NOEL).values()) == len(keys)

    def test_the_latest_word_of_a_scope_holds(self, storage: Storage) -> None:
        """A STOP that arrives late and was said earlier changes nothing."""
        again = Suppression("marketing", "STOPALL", "sms", _NOON + 5)
        for said in (_STOP, again, Suppression("marketing", "STOP", "sms", _NOON + 4)):
            storage.suppress(_SPACE, KEY, said)
        assert storage.suppressions(_SPACE, KEY) == [again]

    def test_a_quota_of_conversions(self, storage: Storage) -> None:
        """A month's quota is spent to the last; one given back can be spent again; its row stays."""
        assert [_spend(storage, number, 2) for number in (1, 2, 3)] == [1, 0, None]
        storage.conversions().give_back(1)
        assert _spend(storage, 4, 2) == 0
        assert [_spend(storage, number, 2) for number in (4, 2, 1)] == [0, 0, None]  # the same requests again
        rows = storage.conversions().conversions("publisher", "2026-03")
        assert [(row.id, row.given_back) for row in rows] == [(1, True), (2, False), (4, False)]
        assert (rows[0].requester, rows[0].reason) == ("R", "a draw")
        assert storage.conversions().conversions("publisher", "2026-04") == []


class SharedOutboxContract(OutboxContract):
    """The same where several processes see the same data."""

    def test_a_quota_over_processes(self, storage: Storage, tmp_path: Path) -> None:
        """200 at once get exactly 100."""
        context = multiprocessing.get_context("fork")
        spent = context.Queue()

        def spend(first: int) -> None:
            mine = self.make_storage(tmp_path)
            spent.put(sum(_spend(mine, number) is not None for number in range(first, first + 50)))
            mine.close()

        _spend(storage, 0, 0)
        workers = [context.Process(target=spend, args=(first,)) for first in (1, 51, 101, 151)]
        for worker in workers:
            worker.start()
        counts = [spent.get(timeout=60) for _ in workers]
        for worker in workers:
            worker.join(60)
        assert sum(counts) == len(storage.conversions().conversions("publisher", "2026-03")) == 100
