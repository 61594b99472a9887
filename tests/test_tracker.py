"""The tracker: namespaces, pseudonyms, counters over processes, fork, close and reuse."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alias_middleware import HeaderAlias, Tracker, Visitor
from alias_middleware.recorder import Recorder
from tests.support.site import ALIAS, HTML, Given, Seen, Site


def who(visitor: Visitor, request: Seen) -> Given:
    """A page that says who is there."""
    return 200, HTML, [str(visitor.alias).encode()]


def test_another_operators_header(site: Site) -> None:
    """`HeaderAlias` reads an opaque id; Vary names its header, and the app does not see it."""
    site.settings["source"] = HeaderAlias("X-ACR", "[0-9a-f]{8}")

    def handler(visitor: Visitor, request: Seen) -> Given:
        assert "x-acr" not in request.headers
        return who(visitor, request)

    site.handler = handler
    answer = site.get(alias=None, headers=[("X-ACR", "0123cafe")])
    assert (answer.chunks, answer.all("Vary")) == ([b"0123cafe"], ["x-acr"])
    with site.tracker.visitor("0123cafe") as visitor:
        assert visitor.profile.page_views == 0
    with pytest.raises(ValueError, match="no alias"):
        site.tracker.visitor(ALIAS)


def test_a_history_page_by_page(make_site: Callable[..., Site]) -> None:
    """The next page is the one before the last event's time; a time without zone is refused."""
    site = make_site("wsgi", "sqlite")
    for path in ("/a", "/b", "/c"):
        site.get(path)
        site.clock.advance(seconds=1)
    site.flush()
    with site.tracker.visitor(ALIAS) as visitor:
        first = visitor.history(2)
        second = visitor.history(2, before=first[-1].time)
        assert [event.path for event in first + second] == ["/c", "/b", "/a"]  # type: ignore[attr-defined]
        assert visitor.history(2, before=second[-1].time) == []
        with pytest.raises(ValueError, match="time zone"):
            visitor.history(before=first[-1].time.replace(tzinfo=None))


def test_attached_services_share_their_visitors(make_site: Callable[..., Site]) -> None:
    """Services of one reference share profiles and histories; figures stay each service's own."""
    site = make_site("wsgi", "sqlite", reference="portal")
    site.get("/ringtones")
    site.flush()
    videos = site.another_tracker(service="videos", spool=None)
    with videos.visitor(ALIAS) as visitor:
        assert [event.path for event in visitor.history()] == ["/ringtones"]  # type: ignore[attr-defined]
        visitor.profile["font"] = "large"
    today = site.clock.now.date()
    assert videos.statistics.summary(today, today.replace(day=30)).page_views == 0
    assert site.stored()["preferences"] == {"font": "large"}
    alone = site.another_tracker(service="videos", reference=None, spool=None)
    with alone.visitor(ALIAS) as visitor:
        assert "font" not in visitor.profile
    for tracker in (videos, alone):
        tracker.close()


def test_pseudonyms(make_site: Callable[..., Site]) -> None:
    """With `pseudonym_keys` the alias is in no file, and everything works as without."""
    site = make_site("wsgi", "sqlite", pseudonym_keys=["one key of 16 bytes or more", "another key of 16 bytes"])

    def handler(visitor: Visitor, request: Seen) -> Given:
        visitor.profile.increment("n")
        visitor.track("look")
        return 200, HTML, [b"x"]

    site.handler = handler
    site.get()
    spooled = [path.read_bytes() for path in site.folder.rglob("*") if path.is_file()]
    stored = site.stored()
    assert stored["preferences"] == {"n": 1}
    assert len(stored["history"]) == 2
    files = [path for path in site.folder.rglob("*") if path.is_file()]
    assert files
    assert not any(ALIAS.encode() in content for content in [*spooled, *(path.read_bytes() for path in files)])


def test_a_clock_stepped_back(site: Site) -> None:
    """Time running backwards harms nobody: events keep their times, preferences their order of arrival."""
    site.handler = lambda visitor, request: (
        200,
        HTML,
        [str(visitor.profile.setdefault("p", request.path)).encode()],
    )
    site.get("/a")
    site.clock.advance(hours=-2)
    site.get("/b")
    stored = site.stored()
    assert [event["path"] for event in stored["history"]] == ["/a", "/b"]
    with site.tracker.visitor(ALIAS) as visitor:
        visitor.profile["p"] = "later"
    assert site.stored()["preferences"] == {"p": "later"}


def test_counters_add_up_over_processes(make_site: Callable[..., Site]) -> None:
    """`seen = stored + deduplicated + spooled + dropped` over every tracker of one spool."""
    site = make_site("wsgi", "sqlite")
    other = site.another_tracker(raise_errors=False)
    site.get()
    other.visitor(ALIAS).track("look")
    site.handler = lambda visitor, request: (200, HTML, [b"x" if visitor.track("look") else b""])
    site.get(alias=None)
    counters = site.counters()
    assert (counters["seen"], counters["spooled"], counters["dropped"]) == (3, 2, {"no_alias": 1})
    site.flush()
    other.visitor(ALIAS).track("look")
    counters = site.counters()
    assert (counters["seen"], counters["stored"], counters["spooled"]) == (4, 2, 1)
    other.close()


def test_a_fork(make_site: Callable[..., Site]) -> None:
    """A forked child records its own events; what the parent counted is not counted again."""
    site = make_site("wsgi", "sqlite")
    site.get("/parent")
    site.get(alias=None)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            done = site.tracker.visitor(ALIAS).track("child")
            site.tracker.close()
            os.write(write, b"1" if done else b"0")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 1) == b"1"
    os.close(read)
    os.close(write)
    site.get("/parent")
    counters = site.counters()
    assert (counters["seen"], counters["identity"]) == (3, {"OK": 2, "ABSENT": 1})
    summary = site.summary()
    assert (summary.page_views, summary.unidentified_page_views) == (2, 1)


def test_threads_of_a_forked_child_share_one_recorder(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the child's own part is ready, nobody gets the parent's, whose locks may be held for ever."""
    tracker = make_site("wsgi").tracker
    parents = tracker._recorder
    seen: list[bool] = []

    class Watching(Recorder):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            seen.append(tracker._pid == os.getpid())
            super().__init__(*args, **kwargs)

    monkeypatch.setattr("alias_middleware.tracker.Recorder", Watching)
    tracker._pid = -1
    assert tracker._here() is not parents
    assert seen == [False]


def test_close_and_use_again(site: Site) -> None:
    """A closed tracker has handed everything on; a later use begins anew."""
    site.get()
    site.tracker.close()
    assert site.counters()["stored"] == 1
    site.get()
    assert site.summary().page_views == 2


def test_a_tracker_that_is_only_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file, no folder, no thread before there is something to record."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for storage in ("memory://", f"sqlite:///{tmp_path}/alias.db"):
        Tracker(service="sonneries", storage=storage, trusted_gateways=[]).close()
    assert list(tmp_path.iterdir()) == []


def test_a_thread_drains_by_itself(tmp_path: Path) -> None:
    """Without `writer="external"` nobody has to ask: `flush` waits for it."""
    url = f"sqlite:///{tmp_path}/alias.db"
    tracker = Tracker(service="sonneries", storage=url, trusted_gateways=[], writer_interval=0.01)
    tracker.visitor(ALIAS).track("look")
    assert tracker.flush()
    assert tracker.counters()["stored"] == 1
    assert tracker.rest() == 0.01
    tracker.close()
