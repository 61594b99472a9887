"""One process's part: durability, lateness, hand-over of counts, what happens when nobody can drain."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alias_middleware import Item, Tracker
from alias_middleware.errors import SettingsError, SpoolError
from alias_middleware.spool import Spool
from alias_middleware.storage.base import Abilities
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.writer import Writer
from tests.support.site import ALIAS, HTML, Site
from tests.support.storages import FailingStorage, down

ORDER = [Item("rt-42", "Sonnerie", price=Decimal("3.00"))]


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site in memory."""
    return make_site("wsgi")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes each time the spool was made durable."""
    times: list[str] = []
    monkeypatch.setattr(Spool, "sync", lambda self: times.append("sync"))
    return times


def test_a_deleted_database_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The site goes on in an empty one: a line in the log and a counter say that the history is gone."""
    storage = f"sqlite:///{tmp_path / 'alias.db'}"
    with closing(Tracker(service="s", storage=storage, trusted_gateways=[], writer_interval=60)) as tracker:
        for _ in range(2):
            tracker.visitor(ALIAS).track("look")
            assert tracker.flush()
        assert "storage_replaced" not in tracker.counters()
        for path in tmp_path.glob("alias.db*"):
            if path.is_file():
                path.unlink()
        tracker.visitor(ALIAS).track("look")
        assert tracker.flush()
        assert tracker.counters()["storage_replaced"] == 1
    assert sum("not that of the last batch" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize(
    ("settings", "after_page", "after_order"),
    [
        pytest.param({}, 0, 1, id="orders by default"),
        pytest.param({"durability": "power"}, 1, 2, id="everything"),
        pytest.param({"purchase_durability": "process"}, 0, 0, id="nothing"),
    ],
)
def test_what_survives_the_loss_of_power(
    site: Site, synced: list[str], settings: dict[str, Any], after_page: int, after_order: int
) -> None:
    """fdatasync is asked for where the settings say, once for an answer."""
    site.settings.update(settings)
    site.get()
    assert len(synced) == after_page

    def buy(visitor: Any, request: Any) -> Any:
        visitor.purchase("CMD-1", ORDER, currency="EUR")
        visitor.refund("CMD-1")
        return 303, HTML, []

    site.handler = buy
    site.get(method="POST")
    assert len(synced) == after_order


def test_a_disk_that_does_not_sync(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is recorded all the same; the counter tells that it may not survive the loss of power."""

    def fail(self: Spool) -> None:
        raise SpoolError("input/output error", reason="unwritable")

    monkeypatch.setattr(Spool, "sync", fail)
    site.settings["raise_errors"] = False
    assert site.tracker.visitor(ALIAS).purchase("CMD-1", ORDER, currency="EUR")
    counters = site.counters()
    assert (counters["sync_failed"], counters["spooled"]) == (1, 1)


def test_counts_are_handed_on_once_a_second(site: Site) -> None:
    """Page views without an alias reach the spool within a second, so that a crash takes few with it."""
    counters = site.tracker._recorder.counters
    for _ in range(3):
        site.get(alias=None)
    assert counters.peek() == {"identity.ABSENT": 2}
    site.clock.advance(seconds=1)
    site.get(alias=None)
    assert counters.peek() == {}
    assert site.summary().unidentified_page_views == 4


def test_counts_that_cannot_be_handed_on_are_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the spool takes nothing, counts wait in memory."""

    def full(self: Spool, record: object) -> None:
        raise SpoolError(reason="full")

    with monkeypatch.context() as broken:
        broken.setattr(Spool, "append", full)
        site.get(alias=None)
        site.clock.advance(seconds=1)
        site.get(alias=None)
    assert site.counters()["identity"] == {"ABSENT": 2}
    assert site.summary().unidentified_page_views == 2


def test_without_a_thread_to_be_had_recording_goes_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may start no thread still records; somebody else drains."""

    def start(self: Writer) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Writer, "start", start)
    site.settings["writer"] = "thread"
    assert site.tracker.visitor(ALIAS).track("look")
    assert site.stored()["history"]


@pytest.mark.parametrize("profile_readable", [True, False])
def test_history_when_the_storage_is_down(site: Site, profile_readable: bool) -> None:
    """It is empty and counted, as a profile is."""
    site.settings.update(storage=FailingStorage(None if profile_readable else down()), raise_errors=False)
    visitor = site.tracker.visitor(ALIAS)
    assert visitor.history() == []
    assert site.counters().get("profile_unavailable", 0) == (not profile_readable)


def test_refused_operations_are_counted(site: Site) -> None:
    """An operation that no longer fits the field, because another request changed it, is refused and counted."""
    with site.tracker.visitor(ALIAS) as slow:
        slow.profile.increment("n")
        site.tracker.visitor(ALIAS).profile["n"] = "a text"
    assert site.counters()["preferences_refused"] == 1
    assert site.stored()["preferences"] == {"n": "a text"}


def test_a_shared_storage_without_a_place_needs_a_folder(site: Site) -> None:
    """A server storage refuses at start-up: its spool belongs on a persistent volume."""

    class ServerStorage(MemoryStorage):
        abilities = Abilities(reads_block=True, shared=True)

    site.settings.update(storage=ServerStorage(), spool=None)
    with pytest.raises(SettingsError, match="persistent volume") as refused:
        _ = site.tracker
    assert refused.value.setting == "spool"


def test_a_drain_in_vain_leaves_the_spool_to_the_drainer(site: Site) -> None:
    """With an external writer nobody here goes on trying: the next to drain is another process."""
    storage = FailingStorage(down())
    site.settings["storage"] = storage
    site.get()
    assert not site.tracker.flush(0.1)
    storage.failure = None
    drainer = site.another_tracker()
    assert drainer.drain()
    assert drainer.counters()["stored"] == 1


def test_closing_while_the_storage_is_down(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """What is in the spool stays there for the next writer, and one line says so."""
    storage = FailingStorage()
    site.settings["storage"] = storage
    site.get()
    storage.failure = down()
    with caplog.at_level(logging.WARNING, "alias_middleware"):
        site.tracker.close()
    assert ["events wait in the spool" in record.getMessage() for record in caplog.records] == [True]
    storage.failure = None
    assert site.counters()["spooled"] == 1
    assert site.summary().page_views == 1
