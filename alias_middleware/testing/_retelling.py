"""Telling storages the same history in different ways: at once, or in pieces and another order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from alias_middleware.storage.base import Batch, Storage
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.testing.histories import History, Phase, shuffled_batches


def retold(
    history: History, seed: int, storage: Storage, after: Callable[[], object] = lambda: None
) -> Iterator[MemoryStorage]:
    """Tell a storage a history in pieces and another order; give after each phase one that was told it at once.

    `after` is called after each piece.
    """
    reference = MemoryStorage()
    for number, phase in enumerate(history.phases):
        reference.apply(Batch(entries=phase.entries, unidentified=dict(phase.unidentified)))
        for batch in shuffled_batches(seed + number, phase):
            storage.apply(batch)
            after()
        for each in (reference, storage):
            conclude(each, phase)
        yield reference


def conclude(storage: Storage, phase: Phase) -> None:
    """Carry out what happens once all of a phase is there."""
    for namespace, changed in phase.changes:
        storage.change_profile(namespace, changed, timeout=5)
    for erasure in phase.erasures:
        storage.erase(*erasure)
