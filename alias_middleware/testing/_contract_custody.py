"""The part of the storage contract about the audit, for storages that give a custody."""

from __future__ import annotations

import pytest

from alias_middleware.storage.base import Storage
from alias_middleware.storage.custody import Custody, Disclosure
from alias_middleware.storage.outbox import CampaignId, StoredCampaign
from alias_middleware.testing._contract_case import ContractCase
from alias_middleware.testing._contract_queue import people
from alias_middleware.testing.histories import KEY, NEWS

_SPACE = NEWS.namespace


def disclosure(number: int) -> Disclosure:
    """Make a row of the audit."""
    return Disclosure(id=number, time_us=number, what="export", requester="Ada", reason="by letter")


class CustodyContract(ContractCase):
    """Who was shown a visitor's data is remembered, whatever becomes of them."""

    @pytest.fixture
    def custody(self, storage: Storage) -> Custody:
        """The custody of a fresh storage."""
        return storage.custody()

    def test_the_audit_is_each_visitors_own(self, custody: Custody) -> None:
        """Rows come back oldest first; another key or namespace has none."""
        assert custody.disclosures(_SPACE, KEY) == []
        for number in (2, 1, 3):
            custody.note(_SPACE, KEY, disclosure(number))
        assert custody.disclosures(_SPACE, KEY) == [disclosure(number) for number in (1, 2, 3)]
        assert custody.disclosures(_SPACE, "other") == custody.disclosures("elsewhere", KEY) == []

    def test_the_audit_survives_erasure(self, storage: Storage, custody: Custody) -> None:
        """That somebody's data were shown is true after they are gone."""
        custody.note(_SPACE, KEY, disclosure(1))
        storage.erase(_SPACE, KEY, 5)
        assert custody.disclosures(_SPACE, KEY) == [disclosure(1)]

    def test_a_visitors_messages(self, storage: Storage, custody: Custody) -> None:
        """Those of every campaign, and nobody else's; none after his erasure."""
        people(storage, KEY, "other")
        outbox = storage.outbox()
        for name in ("spring", "autumn"):
            campaign = CampaignId("news", _SPACE, name)
            assert outbox.save(StoredCampaign(campaign, "running", b"{}", 0))
            outbox.enqueue(campaign, [KEY, "other"], 1)
        found = custody.dispatches(_SPACE, KEY)
        assert [(service, each.campaign, each.key) for service, each in found] == [
            ("news", "autumn", KEY),
            ("news", "spring", KEY),
        ]
        storage.erase(_SPACE, KEY, 5)
        assert custody.dispatches(_SPACE, KEY) == []
