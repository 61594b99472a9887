"""One outage of the storage is one line in a process's log, and one when it is over, whoever notices it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from alias_middleware import Visitor
from alias_middleware.errors import StorageError
from alias_middleware.outage import Outage
from alias_middleware.storage import sqlite
from alias_middleware.storage.memory import MemoryStorage
from tests.support.site import HTML, Given, Seen, Site
from tests.support.storages import FailingStorage, down
from tests.support.waiting import wait_until

FILES = ("alias.db", "alias.db-preferences")
FAILS, ANSWERS = ("ERROR", "the storage fails"), ("WARNING", "the storage answers again")

Strike = Callable[[Path], AbstractContextManager[None]]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, str]]]:
    """Tell the lines so far: the level, and what comes before the reason."""
    caplog.set_level(logging.WARNING)
    return lambda: [(record.levelname, record.getMessage().partition(";")[0]) for record in caplog.records]


def everything(visitor: Visitor, request: Seen) -> Given:
    """Ask the storage all that a page may."""
    visitor.profile.rank(["news", "sport"])
    visitor.profile.increment("pages")
    return 200, HTML, [str(visitor.profile.page_views).encode()]


@contextmanager
def corrupt(folder: Path) -> Iterator[None]:
    """Other files are in the place of both of the database's, which are put back in the end."""
    aside = folder / "aside"
    aside.mkdir()
    for path in folder.glob("alias.db*"):
        if path.is_file():
            path.rename(aside / path.name)
    for name in FILES:
        (folder / name).write_bytes(b"no database at all " * 400)
    yield
    for path in aside.iterdir():
        path.replace(folder / path.name)
    aside.rmdir()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another program keeps both files locked."""
    with ExitStack() as stack:
        for name in FILES:
            other = sqlite3.connect(folder / name, isolation_level=None)
            stack.callback(other.close)
            other.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.parametrize(("strike", "opened"), [(corrupt, 2), (locked, 1)], ids=["corrupt", "locked"])
@pytest.mark.parametrize("edge", ["wsgi", "asgi"])
def test_a_database_out_of_order_is_one_line_each_way(
    edge: str,
    strike: Strike,
    opened: int,
    make_site: Callable[..., Site],
    log: Callable[[], list[tuple[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Requests that read, requests that change, the population's tastes and the writer all meet it, each time."""
    monkeypatch.setattr(sqlite, "_BATCH_TIMEOUT_SECONDS", 0.01)
    site = make_site(edge, "sqlite", raise_errors=False, storage_timeout=0.01)
    site.handler = everything
    site.get()
    site.flush()
    for outage in (1, 2):
        site.clock.advance(minutes=6)  # tastes are due
        with strike(site.folder):
            for _ in range(4):
                site.get()
                with pytest.raises(StorageError):
                    site.tracker.drain()
            site.tracker.executor().submit(int).result()  # who reads the tastes was there before
            assert log() == [FAILS, ANSWERS] * (outage - 1) + [FAILS]
            assert site.counters()["breaker_open"] == opened
        site.clock.advance(seconds=2)
        site.get()
        site.flush()
        assert log() == [FAILS, ANSWERS] * outage
        assert site.counters()["breaker_opened"] == opened * outage
    assert site.stored()["preferences"] == {"pages": 11}


def test_the_writers_thread_shares_the_line(
    make_site: Callable[..., Site], log: Callable[[], list[tuple[str, str]]]
) -> None:
    """What a request's part has said is not said again by the thread, nor at the end of the process."""
    storage = FailingStorage(down())
    site = make_site("wsgi", raise_errors=False, writer="thread", writer_interval=0.01)
    site.settings["storage"] = storage
    site.handler = everything
    for _ in range(4):
        site.get()
    asked = storage.asked
    wait_until(lambda: storage.asked > asked + 2, "the writer has tried")
    site.close()
    assert log() == [FAILS]


def test_what_still_fails_is_said_after_good_news(
    site: Site, log: Callable[[], list[tuple[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Profiles can be read again and not yet changed: that the storage answers is not the last word."""
    storage = FailingStorage(down())
    site.settings.update(storage=storage, raise_errors=False)
    site.handler = lambda visitor, request: (200, HTML, [b"%d" % visitor.profile.increment("pages")])
    for _ in range(4):
        site.get()
    monkeypatch.setattr(storage, "read_profile", partial(MemoryStorage.read_profile, storage))
    site.clock.advance(seconds=2)
    site.get()
    assert log() == [FAILS, ANSWERS, FAILS]


def test_what_fails_for_good_hides_no_outage(
    site: Site, log: Callable[[], list[tuple[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody's tastes cannot be read any more; hours later nothing can, and an hour after that all but they."""
    storage = FailingStorage()
    monkeypatch.setattr(storage, "category_sums", lambda namespace: FailingStorage(down()).ledger())
    site.settings.update(storage=storage, raise_errors=False)
    site.handler = everything
    for _ in range(3):
        site.get()
        site.tracker.executor().submit(int).result()
        site.clock.advance(minutes=20)
    assert log() == [FAILS]
    storage.failure = down()
    for _ in range(4):
        site.get()
    assert log() == [FAILS, FAILS]
    site.clock.advance(minutes=1)
    storage.failure = None
    site.get()
    assert log() == [FAILS, FAILS, ANSWERS]


def test_only_who_noticed_an_outage_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    """An answer to somebody who never asked in vain says nothing; whoever still fails afterwards says so."""
    caplog.set_level(logging.WARNING)
    outage = Outage(now=lambda: 0)
    outage.ended("reads")
    outage.noticed("writer", down())
    outage.ended("reads")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    outage.noticed("reads", down())
    outage.ended("reads")
    outage.ended("writer")
    outage.noticed("writer", down())
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING", "ERROR"]
