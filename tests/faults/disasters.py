"""What happens to the files of a site while it is browsed: each disaster begins, lasts, and is mended."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from alias_middleware import Tracker
from tests.faults.load import Clients, Reckoning, mixed, reckon
from tests.support.disks import tiny_disk
from tests.support.processes import SteppedClock, make_tracker, process, wait_until_ready
from tests.support.real import require_program
from tests.support.waiting import PATIENCE, wait_until

FILES = ("alias.db", "alias.db-wal", "alias.db-shm")
PREFERENCES = ("alias.db-preferences", "alias.db-preferences-wal", "alias.db-preferences-shm")
_SMALL_DISK_KB = 3_000
_SMALL_SPOOL = 20_000
_FILLS_IT = 300
"""So many pages are more than a small spool holds."""


class Scene(NamedTuple):
    """Where a disaster strikes. `lasts`: for how many seconds and pages; `clients`: who browses meanwhile."""

    folder: Path
    clients: Clients
    lasts: float
    pages: int

    @property
    def spool(self) -> Path:
        return self.folder / "alias.db-spool"

    def last(self) -> None:
        """Let it last, while the site is browsed on."""
        end = time.monotonic() + self.lasts
        self.clients.served(self.pages)
        wait_until(lambda: time.monotonic() > end, "it has lasted", within=self.lasts + PATIENCE)


@contextmanager
def locked(scene: Scene) -> Iterator[None]:
    """Another program keeps both files locked."""
    with ExitStack() as stack:
        for name in (FILES[0], PREFERENCES[0]):
            other = sqlite3.connect(scene.folder / name, isolation_level=None, timeout=20)
            stack.callback(other.close)
            other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def spool_full(scene: Scene) -> Iterator[None]:
    """Nothing is drained, so that the spool reaches its limit."""
    with locked(scene):
        yield


@contextmanager
def forbidden(scene: Scene) -> Iterator[None]:
    """Nobody may read or write the files any more, nor make new ones."""
    with _mode(scene.folder, 0o500), ExitStack() as stack:
        for name in (FILES[0], PREFERENCES[0]):
            stack.enter_context(_mode(scene.folder / name, 0o000))
        yield


@contextmanager
def forbidden_spool(scene: Scene) -> Iterator[None]:
    """No new segments can be made, and none be taken away."""
    with _mode(scene.spool, 0o500):
        yield


@contextmanager
def _mode(path: Path, mode: int) -> Iterator[None]:
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(before)


@contextmanager
def deleted(scene: Scene) -> Iterator[None]:
    """All files of the database are gone, and made anew by who comes next."""
    for name in (*FILES, *PREFERENCES):
        (scene.folder / name).unlink(missing_ok=True)
    yield


@contextmanager
def garbage(scene: Scene) -> Iterator[None]:
    """Other files are in the place of the database; at last its own are put back."""
    aside = scene.folder / "aside"
    aside.mkdir()
    for name in (*FILES, *PREFERENCES):
        if (scene.folder / name).exists():
            (scene.folder / name).rename(aside / name)
    for name in (FILES[0], PREFERENCES[0]):
        (scene.folder / name).write_bytes(b"no database at all " * 400)
    yield
    for name in (*FILES, *PREFERENCES):
        (scene.folder / name).unlink(missing_ok=True)
    for path in aside.iterdir():
        path.rename(scene.folder / path.name)


@contextmanager
def disk_full(scene: Scene) -> Iterator[None]:
    """Something else takes all the room that is left."""
    ballast = scene.folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    yield
    ballast.unlink()


@contextmanager
def clock_back(scene: Scene) -> Iterator[None]:
    """The clock is put back by an hour, and stays there."""
    SteppedClock.step(scene.folder / "clock", -3600)
    yield


class Disaster(NamedTuple):
    """`strike` begins it and mends it. `settings`: of the site. `drops`: whether it makes the site drop events.

    `pages`: how many it lasts, at least.
    """

    strike: Callable[[Scene], AbstractContextManager[None]]
    settings: Mapping[str, Any] = MappingProxyType({})
    drops: bool = False
    pages: int = 50
    deletes: bool = False
    tiny: bool = False

    @property
    def name(self) -> str:
        return self.strike.__name__


DISASTERS = [
    Disaster(locked),
    Disaster(forbidden),
    Disaster(deleted, deletes=True),
    Disaster(garbage),
    Disaster(disk_full, drops=True, tiny=True),
    Disaster(forbidden_spool, {"spool_limit": _SMALL_SPOOL}, drops=True, pages=_FILLS_IT),
    Disaster(spool_full, {"spool_limit": _SMALL_SPOOL}, drops=True, pages=_FILLS_IT),
    Disaster(clock_back),
]


def suffer(disaster: Disaster, folder: Path, server: str, *, lasts: float, clients: int = 3) -> Reckoning:
    """Serve a site, let a disaster come over it, mend it, let it be browsed on, and reckon up."""
    with ExitStack() as stack:
        if disaster.tiny:
            folder = stack.enter_context(tiny_disk(folder / "disk", _SMALL_DISK_KB))
        clock = folder / "clock"
        clock.write_bytes(bytes(8))
        settings = json.dumps({**disaster.settings, "clock": str(clock)})
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        number = listener.fileno()
        database = folder / "alias.db"
        started = stack.enter_context(
            process(server, database, number, settings, inherit=(number,), within=_as_anybody())
        )
        wait_until_ready(started)
        with mixed(listener.getsockname()[1], clients) as phones:
            phones.served(100)
            wait_until(database.exists, "the database is there")
            before: frozenset[str] = frozenset()
            scene = Scene(folder, phones, lasts, disaster.pages)
            with disaster.strike(scene):
                if disaster.deletes:
                    phones.served(2 * clients)  # what was being served in that moment
                    before = frozenset(phones.acknowledged)
                scene.last()
            phones.served(100)
        tracker = make_tracker(database, writer="external")
        stack.callback(tracker.close)
        if not disaster.deletes:  # what was dropped is told by the process that had to, when it can
            wait_until(lambda: _seen(tracker) >= phones.brought(), "all is counted")
        return reckon(tracker, phones, before)


def _seen(tracker: Tracker) -> int:
    seen = tracker.counters()["seen"]
    assert isinstance(seen, int)
    return seen


def _as_anybody() -> Sequence[str]:
    """For root, the command that takes away his right to read and write what he may not."""
    if os.geteuid() != 0:
        return ()
    return [require_program("setpriv"), "--bounding-set=-dac_override,-dac_read_search"]
