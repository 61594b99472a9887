"""The storage as requests ask it where its calls may wait for a network: each call within the time budget.

A call is made on one of a few threads of our own. When it is not done in time the request goes on without it;
the thread stays with the call until that ends. Storages that do not block are asked directly.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

from alias_middleware.errors import StorageUnavailable
from alias_middleware.events import Event
from alias_middleware.profile import ProfileChange, StoredProfile
from alias_middleware.storage.base import Ledger, Storage

_MOST_THREADS = 8
_GRACE_SECONDS = 0.01
_LET_DOWN_US = 1_000_000

_NAME = "alias-middleware-storage"

Answer = TypeVar("Answer")
_Queue: TypeAlias = "SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]"


class Threads:
    """A few threads, begun when needed, on which work is waited for no longer than said.

    They are daemons: work that never ends does not keep the process from ending.
    """

    def __init__(self, most: int = _MOST_THREADS) -> None:
        """Begin at most `most` threads; so many calls can be left behind before later ones wait for a thread."""
        self._most = most
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._queue: _Queue = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._begun = 0

    def do(self, work: Callable[[], Answer], seconds: float) -> Answer:
        """Do work and give what it gives, or raise what it raises. Work not begun in time is never begun.

        Raises:
            StorageUnavailable: it was not done within `seconds`, and was left behind.
        """
        if not self._idle.acquire(blocking=False) and not self._has_begun_another():
            return work()
        future: Future[Answer] = Future()
        self._queue.put((future, work))
        try:
            return future.result(seconds)
        except TimeoutError:
            if not future.cancel() and future.done():  # done this moment, or the work's own error
                return future.result()
        raise StorageUnavailable(f"no answer within {seconds:g} s", reason="timeout")

    def _has_begun_another(self) -> bool:
        """Begin one more thread, unless there are enough; False where there is none at all to be had."""
        with self._lock:
            if self._begun < self._most:
                try:
                    arguments = self._queue, self._idle
                    threading.Thread(target=_serve, args=arguments, name=_NAME, daemon=True).start()
                    self._begun += 1
                except RuntimeError:
                    return self._begun > 0
        return True

    def close(self) -> None:
        """Let threads end as soon as they have nothing to do; later work begins new ones."""
        with self._lock:
            for _ in range(self._begun):
                self._queue.put(None)
            self._begin()


def _serve(queue: _Queue, idle: threading.Semaphore) -> None:
    while (task := queue.get()) is not None:
        future, work = task
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it is raised where the work is waited for
                future.set_exception(error)
        del task, future, work
        idle.release()


class Budgeted:
    """What requests ask of a storage, answered in time or by `StorageUnavailable`.

    A visitor for whom a call was left behind is not waited for again for a second, so that one request waits
    once, however many calls it makes.
    """

    def __init__(self, storage: Storage, *, seconds: float, now: Callable[[], int]) -> None:
        """Ask `storage`, each time for at most `seconds`; `now` gives microseconds since the epoch."""
        self._storage = storage
        self._seconds = seconds
        self._now = now
        self._threads = Threads()
        self._let_down: dict[str, int] = {}

    def read_profile(self, namespace: str, key: str) -> StoredProfile:
        """Give a visitor's documents."""
        return self._ask(key, lambda: self._storage.read_profile(namespace, key))

    def read_knowledge(self, namespace: str, key: str) -> bytes:
        """Give what is derived from a visitor's history."""
        return self._ask(key, lambda: self._storage.read_knowledge(namespace, key))

    def erased_at(self, namespace: str, key: str) -> int | None:
        """Give the time of a visitor's latest erasure."""
        return self._ask(key, lambda: self._storage.erased_at(namespace, key))

    def history(self, namespace: str, key: str, limit: int, *, before_us: int | None = None) -> list[Event]:
        """Give a visitor's latest events."""
        return self._ask(key, lambda: self._storage.history(namespace, key, limit, before_us=before_us))

    def change_profile(self, namespace: str, change: ProfileChange, *, timeout: float) -> int:
        """Carry out operations. The storage's own word that it did not is waited for a moment longer."""
        deadline = time.monotonic() + timeout

        def change_in_time() -> int:
            left = max(0.0, deadline - time.monotonic())
            return self._storage.change_profile(namespace, change, timeout=left)

        return self._ask(change.key, change_in_time, timeout + _GRACE_SECONDS)

    def ledger(self) -> Ledger:
        """Give the counters and the drained positions."""
        return self._threads.do(self._storage.ledger, self._seconds)

    def do(self, work: Callable[[], Answer], seconds: float) -> Answer:
        """Do other work with the storage that is waited for no longer than said."""
        return self._threads.do(work, seconds)

    def _ask(self, key: str, work: Callable[[], Answer], seconds: float | None = None) -> Answer:
        if self._is_let_down(self._let_down.get(key)):
            raise StorageUnavailable("it has just not answered", reason="timeout")
        try:
            return self._threads.do(work, self._seconds if seconds is None else seconds)
        except StorageUnavailable as error:
            if error.reason == "timeout":
                still = {other: since for other, since in self._let_down.items() if self._is_let_down(since)}
                self._let_down = {**still, key: self._now()}
            raise

    def _is_let_down(self, since_us: int | None) -> bool:
        return since_us is not None and 0 <= self._now() - since_us < _LET_DOWN_US

    def close(self) -> None:
        """Let go of the threads that are not left with a call."""
        self._threads.close()
