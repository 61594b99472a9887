"""Connections to PostgreSQL, each for one use at a time, with a deadline for what is asked over it.

Not psycopg's own pool: that one connects from threads of its own, which a fork ends, waits out its time where the
server refuses at once, and tries a server that came back later and later. Here whoever finds no connection idle
makes one, and learns in a millisecond that nobody listens.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

from alias_middleware.errors import StorageError, StorageUnavailable
from alias_middleware.storage.postgresql import arrays
from alias_middleware.storage.postgresql.address import Address
from alias_middleware.storage.postgresql.failures import DRIVER_ERRORS, OutOfTime, is_about_data, wrapped

_LONGEST_WAIT = 0.5

RV = TypeVar("RV")


class Connection(psycopg.Connection[Any]):
    """A connection on which nothing is waited for past `deadline` (monotonic seconds)."""

    deadline: float = float("inf")
    ran_out: bool = False
    """Whether a wait ended at the deadline. What the driver raises as it cleans up may say something else."""

    is_spread: bool | None = None
    """Whether the tables lie on several machines; None until somebody asks (`citus.is_spread`)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what the driver's own connections take."""
        super().__init__(*args, **kwargs)
        arrays.prepare(self)

    def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:
        """Wait for the server, at most until the deadline.

        Raises:
            OutOfTime: it did not answer. The connection is of no use any more.
        """
        left = max(0.0, self.deadline - time.monotonic())
        kwargs["interval"] = min(left, _LONGEST_WAIT)
        try:
            return super().wait(_until(gen, self.deadline), **kwargs)
        except OutOfTime:
            self.ran_out = True
            raise

    @cached_property
    def reader(self) -> psycopg.Cursor[Any]:
        """A cursor kept for small questions: making one takes a tenth of such a question."""
        return self.cursor(binary=True)

    def give_up(self) -> None:
        """Close without a word that would have to be waited for."""
        with suppress(psycopg.Error, OSError):
            self.close()


def _until(gen: PQGen[RV], deadline: float) -> PQGen[RV]:
    """Pass on what a conversation waits for, and what came, until the deadline."""
    try:
        waits_for = next(gen)
        while True:
            ready = yield waits_for
            if not ready and time.monotonic() >= deadline:
                raise OutOfTime
            waits_for = gen.send(ready)
    except StopIteration as ended:
        result: RV = ended.value
        return result


class Pool:
    """This process's connections; a child after a fork begins with none."""

    def __init__(self, address: Address, prepare: Callable[[Connection], None]) -> None:
        """Connect to `address`; `prepare` is called with the first connection of each process."""
        self._address = address
        self._prepare = prepare
        self._inherited: list[list[Connection]] = []
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._idle: list[Connection] = []
        self._free: SimpleQueue[None] = SimpleQueue()  # several times cheaper than a semaphore
        for _ in range(self._address.max_connections):
            self._free.put(None)
        self._prepared = False
        self._preparing = threading.Lock()

    def _here(self) -> None:
        """After a fork: leave the parent's connections to the parent, closing none."""
        self._inherited.append(self._idle)
        self._begin()

    def take(self, seconds: float) -> Connection:
        """Give a connection for one use, over which everything must be said within `seconds`.

        Raises:
            StorageUnavailable: all connections are in use for so long.
            psycopg.Error: the server does not let us in.
        """
        if self._pid != os.getpid():
            self._here()
        deadline = time.monotonic() + seconds
        try:
            self._free.get(timeout=seconds)
        except Empty:
            raise StorageUnavailable("all connections of this process are in use", reason="busy") from None
        try:
            held = self._idle.pop()
        except IndexError:
            held = self._connected(deadline)
            if time.monotonic() > deadline:  # it had to make the tables: what is asked has its own time
                deadline = time.monotonic() + seconds
        held.deadline = deadline
        return held

    @contextmanager
    def unprepared(self, seconds: float) -> Iterator[Connection]:
        """Give a connection of its own that was not looked at by `prepare`, and close it afterwards."""
        held: Connection | None = None
        try:
            held = Connection.connect(**self._address.parameters, autocommit=True)
            held.deadline = time.monotonic() + seconds
            yield held
        except (*DRIVER_ERRORS, OutOfTime) as error:
            raise wrapped(error) from error
        finally:
            if held is not None:
                held.give_up()

    @contextmanager
    def locked(self, query: str, values: tuple[str, ...], seconds: float) -> Iterator[bool]:
        """Keep a connection of its own for the length of a block: what the query, a lock, gave is told.

        The lock goes with the connection. What the block raises is the block's own.
        """
        held = None
        try:
            held = self._connect(time.monotonic() + seconds)
            row = held.execute(query.encode(), values).fetchone()
        except (*DRIVER_ERRORS, OutOfTime) as error:
            if held is not None:
                held.give_up()
            raise wrapped(error) from error
        try:
            yield bool(row and row[0])
        finally:
            held.deadline = time.monotonic() + seconds
            with suppress(*DRIVER_ERRORS, OutOfTime):
                held.execute("SELECT pg_advisory_unlock_all()")  # the next may come before the server sees our end
            held.give_up()

    def _connect(self, deadline: float) -> Connection:
        held = Connection.connect(**self._address.parameters, autocommit=True, prepare_threshold=0)
        try:
            held.deadline = max(deadline, time.monotonic() + 0.05)
            if not self._prepared:
                with self._preparing:
                    if not self._prepared:
                        self._prepare(held)
                        self._prepared = True
        except BaseException:
            held.give_up()
            raise
        return held

    def _connected(self, deadline: float) -> Connection:
        try:
            return self._connect(deadline)
        except BaseException:
            self._free.put(None)
            raise

    def give(self, held: Connection) -> None:
        """Take a connection back; one that is not at rest is closed."""
        if held.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE and self._pid == os.getpid():
            self._idle.append(held)
        else:
            held.give_up()
        self._free.put(None)

    def discard(self, held: Connection | None) -> None:
        """Close a connection that may be in any state, and those idle beside it, which may have gone with it."""
        if held is not None:
            held.give_up()
            self._free.put(None)
        self.close()

    def failure(self, held: Connection | None, error: Exception) -> StorageError:
        """Wrap a driver's error and let go of the connection it came over, if it was one."""
        ran_out = held is not None and held.ran_out
        found = wrapped(OutOfTime() if ran_out else error)
        lost = held is None or held.closed or held.broken or ran_out
        if lost or found_elsewhere(found):
            self.discard(held)
        elif held is not None:
            self.give(held)
        return found

    def row(self, query: str, values: tuple[str, str], seconds: float) -> Any:
        """Give the first row of a small question, None without one: the shortest way there and back."""
        held: Connection | None = None
        try:
            held = self.take(seconds)
            row = held.reader.execute(query, values).fetchone()
        except (*DRIVER_ERRORS, OutOfTime) as error:
            raise self.failure(held, error) from error
        except BaseException:  # a signal, in the middle of a conversation
            if held is not None:
                self.discard(held)
            raise
        self.give(held)
        return row

    @contextmanager
    def connection(self, seconds: float) -> Iterator[Connection]:
        """Give a connection for the length of a block; wrap what the driver raises, except about the data."""
        held: Connection | None = None
        try:
            held = self.take(seconds)
            yield held
        except (*DRIVER_ERRORS, OutOfTime) as error:
            if held is not None and is_about_data(error) and not held.closed:
                self.give(held)
                raise ValueError(f"PostgreSQL cannot store this ({type(error).__name__})") from error
            raise self.failure(held, error) from error
        except BaseException:
            if held is not None:
                self.give(held)
            raise
        self.give(held)

    def close(self) -> None:
        """Close the connections that are not in use."""
        if self._pid == os.getpid():
            idle, self._idle = self._idle, []
            for held in idle:
                held.give_up()


def found_elsewhere(error: StorageError) -> bool:
    """Tell whether another server may be the one to ask: after a failover the old one is read-only."""
    return isinstance(error, StorageUnavailable) and error.reason in ("read_only", "down", "error")
