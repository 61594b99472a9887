"""Whatever fails in here, the site answers: a storage that is down or slow, a full spool, a bug of ours."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from alias_middleware import Visitor, exchange
from alias_middleware.errors import SpoolError, StorageUnavailable
from alias_middleware.identity import WapNetworkInfo
from alias_middleware.recorder import Recorder
from alias_middleware.spool import Spool
from tests.support.site import ALIAS, HTML, Given, Seen, Site
from tests.support.storages import FailingStorage, down


def personal(visitor: Visitor, request: Seen) -> Given:
    """A page that uses all there is."""
    size = visitor.profile.get("size", "default")
    visitor.profile["size"] = "large"
    visitor.profile.increment("pages")
    visitor.page(title="Home")
    visitor.track("look", category="sport")
    return 200, HTML, [str(size).encode()]


@pytest.fixture
def storage(site: Site) -> FailingStorage:
    """The site's storage, in production."""
    failing = FailingStorage()
    site.settings.update(storage=failing, raise_errors=False)
    site.handler = personal
    return failing


def test_the_storage_is_down(site: Site, storage: FailingStorage, caplog: pytest.LogCaptureFixture) -> None:
    """The site answers; preferences wait in the spool and are applied once; the counters and one line tell."""
    storage.failure = down()
    with caplog.at_level(logging.WARNING, "alias_middleware"):
        for _ in range(5):
            assert site.get().chunks == [b"default"]
        counters = site.counters()
        assert counters["storage_unavailable"] == 1
        assert counters["preferences_deferred"] == 10
        assert counters["profile_unavailable"] == 5
        assert counters["spooled"] == 10
        assert sum("requests go on without it" in record.getMessage() for record in caplog.records) == 1
        storage.failure = None
        site.clock.advance(seconds=2)
        assert site.get().chunks == [b"default"]
        assert site.get().chunks == [b"large"]
        assert sum("answers again" in record.getMessage() for record in caplog.records) == 1
    stored = site.stored()
    assert stored["preferences"] == {"size": "large", "pages": 7}
    assert stored["knowledge"]["page_views"] == 7
    assert not any(ALIAS in record.getMessage() for record in caplog.records)


def test_the_breaker_leaves_a_failing_storage_alone(site: Site, storage: FailingStorage) -> None:
    """After three failures in a row requests do not ask any more, but for one trial a second."""
    storage.failure = down()
    site.handler = lambda visitor, request: (200, HTML, [str(visitor.profile.get("size")).encode()])
    for _ in range(10):
        site.get()
    assert storage.asked == 3
    site.clock.advance(seconds=1)
    for _ in range(10):
        site.get()
    assert storage.asked == 4
    counters = site.counters()
    assert (counters["breaker_opened"], counters["breaker_open"], counters["storage_failures"]) == (1, 1, 4)
    storage.failure = None
    site.clock.advance(seconds=1)
    site.get()
    assert "breaker_open" not in site.counters()
    assert site.counters()["breaker_opened"] == 1


def test_the_storage_is_busy(site: Site, storage: FailingStorage) -> None:
    """A change that the storage cannot take within `storage_timeout` is deferred, and applied in time order."""
    site.settings["storage_timeout"] = 0.01
    site.handler = lambda visitor, request: (200, HTML, [b"x" if visitor.profile.increment("n") else b""])
    asked: list[float] = []

    def busy(namespace: str, change: object, *, timeout: float) -> int:
        asked.append(timeout)
        raise StorageUnavailable("somebody holds the lock", reason="locked")

    original = storage.change_profile
    storage.change_profile = busy  # type: ignore[method-assign]
    site.get()
    storage.change_profile = original  # type: ignore[method-assign]
    assert asked == [0.01]
    assert site.counters()["storage_timeouts"] == 1
    assert site.counters()["preferences_deferred"] == 1
    assert site.stored()["preferences"] == {"n": 1}


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        pytest.param(WapNetworkInfo, "recognise", id="recognising"),
        pytest.param(FailingStorage, "read_profile", id="reading"),
        pytest.param(FailingStorage, "change_profile", id="changing"),
        pytest.param(FailingStorage, "history", id="history"),
        pytest.param(Spool, "append", id="recording"),
        pytest.param(exchange, "is_page_view", id="judging the page"),
        pytest.param(Visitor, "commit", id="committing"),
        pytest.param(Visitor, "has_work", id="looking for work"),
        pytest.param(Recorder, "unidentified", id="counting strangers"),
    ],
)
@pytest.mark.parametrize("alias", [ALIAS, None])
def test_a_bug_never_reaches_the_site(
    site: Site,
    storage: FailingStorage,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: Any,
    name: str,
    alias: str | None,
) -> None:
    """In production an error of ours is counted and logged without its text, and the answer is what it was."""

    def bug(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"a bug that says {ALIAS}")

    def handler(visitor: Visitor, request: Seen) -> Given:
        assert visitor.history() == []
        return personal(visitor, request)

    site.handler = handler
    monkeypatch.setattr(owner, name, bug)
    answer = site.get(alias=alias)
    assert (answer.status, answer.chunks) == (200, [b"default"])
    assert ALIAS not in caplog.text
    monkeypatch.undo()
    site.handler = personal
    assert site.get().status == 200


def test_errors_are_raised_where_the_settings_say_so(
    site: Site, storage: FailingStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `raise_errors` a developer sees the bug."""
    site.settings["raise_errors"] = True

    def bug(*args: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(WapNetworkInfo, "recognise", bug)
    with pytest.raises(RuntimeError, match="a bug"):
        site.get()


def test_a_change_that_trips_over_a_bug_is_deferred(
    site: Site, storage: FailingStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where a storage breaks its word and raises something else, the visitor's change is not lost."""
    with monkeypatch.context() as broken:
        broken.setattr(FailingStorage, "change_profile", lambda *args, **kwargs: 1 / 0)
        site.get()
    assert site.counters()["errors"] == 1
    assert site.stored()["preferences"] == {"size": "large", "pages": 1}


def test_the_spool_is_full(
    site: Site, storage: FailingStorage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Events are dropped and counted, the app is told, one line says so and one says when it is over."""
    said: list[bool] = []

    def handler(visitor: Visitor, request: Seen) -> Given:
        said.append(visitor.track("look"))
        return 200, HTML, [b"x"]

    def full(self: Spool, record: object) -> None:
        raise SpoolError("no space left", reason="disk_full")

    site.handler = handler
    with monkeypatch.context() as broken, caplog.at_level(logging.WARNING, "alias_middleware"):
        broken.setattr(Spool, "append", full)
        for _ in range(3):
            assert site.get().status == 200
    with caplog.at_level(logging.WARNING, "alias_middleware"):
        site.get()
    assert said == [False, False, False, True]
    assert site.counters()["dropped"] == {"spool_disk_full": 6}
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_profile_error_of_the_app_is_put_back(site: Site, storage: FailingStorage) -> None:
    """A nested value that is no JSON any more is counted and put back; the answer and all the rest go on."""

    def handler(visitor: Visitor, request: Seen) -> Given:
        visitor.profile["font"] = "large"
        visitor.profile["list"] = [1]
        visitor.profile["list"].append(object())
        return 200, HTML, [b"x"]

    site.handler = handler
    assert site.get().status == 200
    assert site.counters()["errors"] == 1
    assert site.stored()["preferences"] == {"list": [1], "font": "large"}


def test_an_unwritable_spool_folder(site: Site, storage: FailingStorage) -> None:
    """A spool folder that cannot be made drops events, counted, and serves again when it is there."""
    blocked = Path(site.settings["spool"])
    blocked.write_text("a file where the folder should be")
    assert site.get().status == 200
    blocked.unlink()
    assert site.get().status == 200
    assert site.counters()["dropped"] == {"spool_unwritable": 2}
    assert site.counters()["spooled"] == 2
