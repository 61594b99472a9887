"""The part of the storage contract about checking: of what was kept as it should be, nothing is said to differ."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from random import Random

import pytest

from alias_middleware.habits import PAGES_KEPT
from alias_middleware.storage.base import Batch, Entry, Origin, Storage
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.testing._contract_case import ContractCase
from alias_middleware.testing._contract_tastes import same_categories, same_sums
from alias_middleware.testing._retelling import conclude
from alias_middleware.testing.histories import GAP_US, KEY, NEWS, Teller, instant, local_day, random_history

_SPACE = NEWS.namespace
_EVER = local_day("2020-01-01"), local_day("2030-01-01")
_NOON = "2026-03-02T12:00"
_ROAMERS = ("roamer", "another", "third")
_HOUR_US = 3_600_000_000


def roaming(random: Random, ids: Iterator[int]) -> list[Entry]:
    """Give what a few visitors do in hundreds of categories and on dozens of paths, over two years.

    Of their orders some are cancelled, and some give way to a copy that is up to a year older.
    """
    told = []
    for key in _ROAMERS:
        tell = Teller(key=key, ids=ids)
        for _ in range(400):
            at = instant(_NOON) + random.randrange(2 * 365 * 24) * _HOUR_US
            category, path = f"c{random.randrange(300)}", f"/{random.randrange(40)}"
            told.append(tell.view(at, path=path, title=f"Title {random.randrange(3)}", category=category))
        for number in range(30):
            at, order_id = instant(_NOON) + random.randrange(365 * 24) * _HOUR_US, f"order {number}"
            bought = [f"c{random.randrange(300)}" for _ in range(2)]
            told.append(tell.purchase(at, order_id, category=bought[0]))
            if number % 3 == 0:
                told.append(tell.purchase(at + 365 * 24 * _HOUR_US, order_id, category=bought[1]))
            if number % 4 == 0:
                told.append(tell.refund(at + _HOUR_US, order_id))
    return told


def _feed(storage: Storage, entries: list[Entry], size: int = 40) -> None:
    for first in range(0, len(entries), size):
        storage.apply(Batch(entries=entries[first : first + size]))


class VerifyingContract(ContractCase):
    """A check works everything out anew, and says nothing of what is as it should be."""

    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("order", [pytest.param(1, id="in order"), pytest.param(-1, id="reversed")])
    def test_nothing_differs_in_either_order(self, storage: Storage, seed: int, order: int) -> None:
        """Whatever happened, however many categories and pages there are, and whoever was erased on the way."""
        history = random_history(seed)
        for phase in history.phases:
            entries = phase.entries + roaming(Random(seed), count(10**7))
            entries.sort(key=lambda entry: (entry.event.time_us, entry.id))
            _feed(storage, entries[::order])
            assert storage.verify(*_EVER) == []
            conclude(storage, phase)
            assert storage.verify(*_EVER) == []
        for key in _ROAMERS[1:]:
            storage.erase(_SPACE, key, instant("2029-01-01T00:00"))
            assert storage.verify(*_EVER) == []

    @pytest.mark.parametrize("seed", range(3))
    def test_hundreds_of_categories_have_no_order(self, storage: Storage, seed: int) -> None:
        """A visitor's sums, and everybody's, are the same whichever came first, with orders that count no more."""
        random, reference = Random(seed), MemoryStorage()
        entries = roaming(random, count(1))
        reference.apply(Batch(entries=entries))
        _feed(storage, random.sample(entries, k=len(entries)), random.randrange(5, 50))
        assert len(reference.category_sums(_SPACE)) > 290
        for key in _ROAMERS:
            assert same_categories(storage, reference, _SPACE, key)
        assert same_sums(storage.category_sums(_SPACE), reference.category_sums(_SPACE))
        assert storage.verify(*_EVER) == []

    def test_what_was_taken_back_leaves_its_rounding(self, storage: Storage) -> None:
        """After years an order weighs a thousand million times what a page view did: parts of that go with it."""
        tell = Teller()
        early, late = (tell.of(key=key) for key in ("early", "late"))
        storage.apply(Batch(entries=[each.view(_NOON, category="sport") for each in (tell, early, late)]))
        for at in ("2028-09-02T12:00", "2029-03-02T12:00"):
            bought = tell.purchase(at, order_id=at, category="sport")
            storage.apply(Batch(entries=[bought, late.view(at, category="sport")]))
        storage.apply(Batch(entries=[tell.refund("2029-03-03T12:00", "2029-03-02T12:00")]))
        assert storage.verify(*_EVER) == []
        storage.apply(Batch(entries=[tell.purchase("2027-09-02T12:00", "2028-09-02T12:00", category="music")]))
        assert storage.verify(*_EVER) == []
        for number, key in enumerate(("late", KEY)):
            storage.erase(_SPACE, key, instant("2029-03-04T12:00"))
            assert storage.category_sums(_SPACE)["sport"].whole == 2 - number
            assert storage.verify(*_EVER) == []

    def test_as_many_pages_as_are_kept(self, storage: Storage) -> None:
        """And one more, of which nobody can tell from the events whether it is kept."""
        tell = Teller()
        for number in range(PAGES_KEPT + 1):
            storage.apply(Batch(entries=[tell.view(_NOON, path=f"/{number}"), tell.view(_NOON, path="/")]))
            assert storage.verify(*_EVER) == []

    def test_a_service_that_joined_others(self, storage: Storage) -> None:
        """An alias from before names somebody else: both are checked, under one name of the service."""
        alone = Origin(service=NEWS.service, namespace=NEWS.service, visit_gap_us=GAP_US)
        tell = Teller()
        _feed(
            storage,
            [
                tell.of(origin=alone).view("2026-03-01T12:00", category="music"),
                tell.of(origin=alone).purchase("2026-03-01T12:00", "A", category="sport"),
                tell.view(_NOON, category="music"),
                tell.purchase(_NOON, "A", category="music"),
            ],
            size=1,
        )
        assert storage.verify(*_EVER) == []
        storage.erase(alone.namespace, KEY, instant("2026-03-03T12:00"))
        assert storage.verify(*_EVER) == []
        assert storage.category_sums(_SPACE)["music"].whole == 6
