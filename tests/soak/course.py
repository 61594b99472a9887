"""The course of a soak: two servers on one database, phones, restarts, readings; and the verdict at the end."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests.servers.catalogue import GTHREAD, UVICORN_PAIR
from tests.servers.launch import Served, Site
from tests.soak.phones import Account, Phones, account
from tests.soak.readings import Growth, Readings

SERVERS = [UVICORN_PAIR, GTHREAD]
_STEADY = 0.75
"""The part of the time in which a worker of each server is spared, so that its growth can be told."""
_LONG_SECONDS = 60.0
"""From which time on a slope means something."""
MOST_MB_AN_HOUR = 40.0
"""At a hundred requests a second, about a hundred bytes of each: less is hidden by caches that fill."""
MOST_MORE = 12
"""How many files or threads a warm process may gain: a connection, of a pool that fills late, is six files."""
_TROUBLES = ("errors", "torn", "preferences_lost", "storage_unavailable", "sync_failed")


class Result(NamedTuple):
    """What a soak came to. `growth`: of each server's longest-lived worker, by the server's name."""

    seconds: float
    kills: int
    reloads: int
    processes: int
    growth: dict[str, Growth]
    account: Account
    counters: dict[str, Any]

    @property
    def balance(self) -> int:
        """What the counters do not account for."""
        counters = self.counters
        accounted = counters["stored"] + counters["deduplicated"] + counters["spooled"]
        return int(counters["seen"] - accounted - sum(counters["dropped"].values()))

    def complaints(self) -> list[str]:
        """What is not as it must be."""
        found = []
        if self.account.lost or self.account.extra:
            found.append(f"{self.account.lost} lost, {self.account.extra} too many")
        if self.balance or self.counters["spooled"] or self.counters["dropped"]:
            found.append("the counters do not add up, or something was dropped")
        found += [f"{self.counters[trouble]} {trouble}" for trouble in _TROUBLES if trouble in self.counters]
        for server, growth in self.growth.items():
            if growth.seconds >= _LONG_SECONDS and growth.slope_kb > MOST_MB_AN_HOUR * 1024:
                found.append(f"{server} grows by {growth.slope_kb / 1024:.1f} MB an hour")
            if max(growth.more_files, growth.more_threads) > MOST_MORE:
                found.append(f"{server} gains files or threads")
        return found


class Course:
    """One soak, from the servers' start to their end."""

    def __init__(self, folder: Path, *, seconds: float, seed: int, threads: int = 4) -> None:
        self._folder = folder
        self._seconds = seconds
        self._seed = seed
        self._threads = threads
        self._dice = random.Random(seed)
        self._kills = self._reloads = 0

    def run(self) -> Result:
        """Go the whole course and give what it came to."""
        storage = f"sqlite:///{self._folder}/alias.db"
        with ExitStack() as stack:
            served = []
            for number, server in enumerate(SERVERS):
                own = self._folder / str(number)
                own.mkdir()
                served.append(stack.enter_context(Site(own, storage=storage).served_by(server)))
            readings = [Readings(one) for one in served]
            phones = Phones(served, threads=self._threads, seed=self._seed)
            try:
                self._live_through(served, readings)
            finally:
                asked = phones.stop()
        with Site(self._folder, storage=storage).tracker() as tracker:
            assert tracker.flush(60)
            return Result(
                seconds=self._seconds,
                kills=self._kills,
                reloads=self._reloads,
                processes=sum(one.processes for one in readings),
                growth={server.name: one.growth() for server, one in zip(SERVERS, readings, strict=True)},
                account=account(tracker, asked),
                counters=tracker.counters(),
            )

    def _live_through(self, served: list[Served], readings: list[Readings]) -> None:
        """Take readings all the time; kill workers, and in the last part of the time change them all."""
        begun = time.monotonic()
        pause = threading.Event()
        pace = max(0.2, self._seconds / 120)
        next_restart = 3 * pace
        while (at := time.monotonic() - begun) < self._seconds:
            alive = [one.take(at) for one in readings]
            if at > next_restart:
                next_restart = at + self._dice.uniform(2, 6) * pace
                which = self._dice.randrange(len(served))
                if at > _STEADY * self._seconds and self._dice.random() < 0.5:
                    self._reload(served[which])
                else:
                    self._kill({pid for pid in alive[which] if pid != readings[which].eldest})
            pause.wait(pace)

    def _kill(self, candidates: set[int]) -> None:
        """Kill a worker where it stands; its server starts another."""
        for pid in list(candidates)[:1]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self._kills += 1

    def _reload(self, served: Served) -> None:
        served.reload()
        self._reloads += 1
