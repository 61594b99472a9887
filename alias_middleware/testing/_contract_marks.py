"""The part of the storage contract about marks: answers can be kept as long as theirs is the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from alias_middleware.storage.base import Batch, Scope, Storage
from alias_middleware.testing._contract_case import ContractCase, counted
from alias_middleware.testing.histories import KEY, NEWS, Teller, local_day

_SCOPE = Scope(NEWS.namespace, NEWS.service)
_DAYS = local_day("2026-03-01"), local_day("2026-04-01")
_ERASED_US = 2**50


def _view(storage: Storage) -> None:
    storage.apply(Batch(entries=[Teller().of(key="b").view("2026-03-04T12:00")]))


def _unidentified(storage: Storage) -> None:
    storage.apply(Batch(unidentified={(NEWS, local_day("2026-03-02")): 3}))


def _erase(storage: Storage) -> None:
    storage.erase(NEWS.namespace, KEY, _ERASED_US)


def _erase_a_stranger(storage: Storage) -> None:
    storage.erase(NEWS.namespace, "z", _ERASED_US)


class MarksContract(ContractCase):
    """A storage that gives marks gives another one with every change of its figures."""

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(_view, id="an event"),
            pytest.param(_unidentified, id="page views without an alias"),
            pytest.param(_erase, id="an erasure"),
            pytest.param(_erase_a_stranger, id="an erasure of somebody who was never there"),
        ],
    )
    def test_a_change_changes_the_mark(self, storage: Storage, change: Callable[[Storage], None]) -> None:
        """What was answered before is not taken for what would be answered now."""
        storage.apply(Batch(entries=[Teller().view("2026-03-02T12:00")]))
        before = storage.mark(_SCOPE)
        counted(storage, NEWS.service, *_DAYS)
        assert storage.mark(_SCOPE) == before, "asking changes nothing"
        change(storage)
        assert before is None or storage.mark(_SCOPE) not in (None, before)

    def test_a_mark_outlives_the_process(self, storage: Storage) -> None:
        """Who opens the storage again finds the mark that was there, and nothing else changes it."""
        storage.apply(Batch(entries=[Teller().view("2026-03-02T12:00")]))
        before = storage.mark(_SCOPE)
        storage.close()
        assert storage.mark(_SCOPE) == before
