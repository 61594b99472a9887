"""The part of the contract about whom messages are queued to: those who are there, and nobody erased."""

from __future__ import annotations

import threading
from pathlib import Path

from alias_middleware.storage.base import Batch, Storage
from alias_middleware.storage.outbox import CampaignId, Evidence, Ruling
from alias_middleware.testing._contract_case import ContractCase
from alias_middleware.testing.histories import KEY, NEWS, Teller, instant

_SPACE = NEWS.namespace
_NOON = instant("2026-03-02T12:00")
_NOEL = CampaignId("news", _SPACE, "noel")


def sending(evidence: Evidence) -> Ruling:
    return Ruling("sending")


def people(storage: Storage, *keys: str) -> None:
    tell = Teller()
    storage.apply(Batch(entries=[tell.of(key=key).view("2026-03-02T11:00") for key in keys]))


class QueueContract(ContractCase):
    """Nothing of a visitor is in the outbox once he is erased."""

    def test_erasure_takes_messages_but_not_their_number(self, storage: Storage) -> None:
        """Of the visitor nothing stays, of the campaign's figures everything."""
        people(storage, KEY, "other")
        outbox = storage.outbox()
        outbox.enqueue(_NOEL, [KEY, "other"], _NOON)
        outbox.claim(_NOEL, KEY, "m1", _NOON, sending)
        assert storage.erase(_SPACE, KEY, _NOON)["dispatches"] == 1
        assert outbox.tally(_NOEL) == {("sending", ""): 1, ("queued", ""): 1}
        assert outbox.dispatches(_NOEL, "sending", "", 9) == []
        assert not outbox.settle("m1", "delivered", _NOON)
        assert outbox.evidence_of(_SPACE, KEY).contacts == ()

    def test_nothing_waits_for_the_erased(self, storage: Storage) -> None:
        """What waited is counted as cancelled: a campaign that waited for it would never end."""
        people(storage, KEY)
        outbox = storage.outbox()
        outbox.enqueue(_NOEL, [KEY], _NOON)
        storage.erase(_SPACE, KEY, _NOON)
        assert outbox.tally(_NOEL) == {("cancelled", "erased"): 1}

    def test_a_visitor_erased_while_a_campaign_is_planned(self, storage: Storage) -> None:
        """He was found by the campaign before, and queued after: so he is not, and the others are."""
        people(storage, KEY, "other")
        outbox = storage.outbox()
        found = [evidence.key for evidence in outbox.evidence(_SPACE, "", 9)]
        storage.erase(_SPACE, KEY, _NOON)
        assert outbox.enqueue(_NOEL, [*found, "never seen"], _NOON) == 1
        assert [each.key for each in outbox.dispatches(_NOEL, "queued", "", 9)] == ["other"]
        assert outbox.tally(_NOEL) == {("queued", ""): 1}

    def test_erasures_and_a_campaign_at_once(self, storage: Storage, tmp_path: Path) -> None:
        """However they meet, nobody who was erased is left in it."""
        keys = [f"{number:012}" for number in range(60)]
        people(storage, *keys)
        meet = threading.Barrier(2)
        other = self.make_storage(tmp_path) if storage.abilities.shared else storage

        def plan() -> None:
            for key in keys:
                meet.wait(30)
                other.outbox().enqueue(_NOEL, [key], _NOON)

        planning = threading.Thread(target=plan)
        planning.start()
        for key in keys:
            meet.wait(30)
            storage.erase(_SPACE, key, _NOON)
        planning.join(30)
        assert storage.outbox().dispatches(_NOEL, "queued", "", 99) == []
        if other is not storage:
            other.close()
