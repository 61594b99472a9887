"""Storages that misbehave on purpose."""

from __future__ import annotations

import threading
import time
from typing import Any

from alias_middleware.errors import StorageUnavailable
from alias_middleware.profile import ProfileChange, StoredProfile
from alias_middleware.storage.base import Abilities, Batch, Ledger, Outcome
from alias_middleware.storage.memory import MemoryStorage


class FailingStorage(MemoryStorage):
    """A memory storage whose every verb raises `failure` while there is one; it counts how often it was asked."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__()
        self.failure = failure
        self.asked = 0

    def _fail(self) -> None:
        self.asked += 1
        if self.failure is not None:
            raise self.failure

    def read_profile(self, namespace: str, key: str) -> StoredProfile:
        self._fail()
        return super().read_profile(namespace, key)

    def change_profile(self, namespace: str, change: ProfileChange, *, timeout: float) -> int:
        self._fail()
        return super().change_profile(namespace, change, timeout=timeout)

    def apply(self, batch: Batch) -> Outcome:
        self._fail()
        return super().apply(batch)

    def ledger(self) -> Ledger:
        self._fail()
        return super().ledger()

    def history(self, namespace: str, key: str, limit: int, *, before_us: int | None = None) -> list[Any]:
        self._fail()
        return super().history(namespace, key, limit, before_us=before_us)

    def erased_at(self, namespace: str, key: str) -> int | None:
        self._fail()
        return super().erased_at(namespace, key)


def down() -> StorageUnavailable:
    """What a storage raises that does not answer."""
    return StorageUnavailable("connection refused", reason="down")


class RemoteStorage(MemoryStorage):
    """A storage whose reads may wait for a network; it notes the threads on which it was asked."""

    abilities = Abilities(reads_block=True, shared=False)

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[threading.Thread] = []
        self.writers: list[threading.Thread] = []

    def read_profile(self, namespace: str, key: str) -> StoredProfile:
        self.readers.append(threading.current_thread())
        return super().read_profile(namespace, key)

    def read_knowledge(self, namespace: str, key: str) -> bytes:
        self.readers.append(threading.current_thread())
        return super().read_knowledge(namespace, key)

    def erased_at(self, namespace: str, key: str) -> int | None:
        self.readers.append(threading.current_thread())
        return super().erased_at(namespace, key)

    def change_profile(self, namespace: str, change: ProfileChange, *, timeout: float) -> int:
        self.writers.append(threading.current_thread())
        return super().change_profile(namespace, change, timeout=timeout)


class BlackHole(MemoryStorage):
    """A storage beyond a network that swallows what is sent: while it is shut, every verb waits to no end.

    A change keeps its word all the same: what was not done in time is not done later.
    """

    abilities = Abilities(reads_block=True, shared=False)

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.open.set()
        self.asked: list[str] = []
        self.slow = 0.0
        """How long the way to it and back takes, seconds."""

    def _cross(self, verb: str) -> None:
        self.asked.append(verb)
        time.sleep(self.slow)
        assert self.open.wait(60)

    def read_profile(self, namespace: str, key: str) -> StoredProfile:
        self._cross("read_profile")
        return super().read_profile(namespace, key)

    def read_knowledge(self, namespace: str, key: str) -> bytes:
        self._cross("read_knowledge")
        return super().read_knowledge(namespace, key)

    def erased_at(self, namespace: str, key: str) -> int | None:
        self._cross("erased_at")
        return super().erased_at(namespace, key)

    def history(self, namespace: str, key: str, limit: int, *, before_us: int | None = None) -> list[Any]:
        self._cross("history")
        return super().history(namespace, key, limit, before_us=before_us)

    def change_profile(self, namespace: str, change: ProfileChange, *, timeout: float) -> int:
        deadline = time.monotonic() + timeout
        self._cross("change_profile")
        if time.monotonic() > deadline:
            raise StorageUnavailable(reason="timeout")
        return super().change_profile(namespace, change, timeout=timeout)

    def apply(self, batch: Batch) -> Outcome:
        self._cross("apply")
        return super().apply(batch)

    def ledger(self) -> Ledger:
        self._cross("ledger")
        return super().ledger()
