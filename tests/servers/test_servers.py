"""Every server users run: recognised, recorded, drained, counted right, and stopped without a loss."""

from __future__ import annotations

import os
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest

from alias_middleware import Tracker
from alias_middleware.statistics import Summary
from tests.servers.catalogue import GUNICORN, PARSERS, PRELOAD, RELOADED, RENEWED, SERVERS, UWSGI_BARE, WAITRESS
from tests.servers.launch import ROOT, Served, Server, Site
from tests.servers.load import ALIAS, FIELD, NAMED, Asked, acts, check, under_load
from tests.support.real import stop
from tests.support.waiting import PATIENCE, wait_until

_MANY = 60
_A_FEW = 20
"""How many threads and files a process may gain while it serves many requests: some pools fill late.

A worker that becomes the writer starts a thread and opens connections of its own, each of six files.
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site with new files."""
    return Site(tmp_path)


def summary(tracker: Tracker) -> Summary:
    """Give the figures of these days."""
    today, day = datetime.now(UTC).date(), timedelta(days=1)
    return tracker.statistics.summary(today - day, today + 2 * day)


def holdings(served: Served, server: Server) -> dict[int, int]:
    """Count the threads and files of the workers that happen to answer a few times."""
    held = [served.held() for _ in range(3 * server.workers)]
    return {one["pid"]: one["threads"] + one["files"] for one in held}


@pytest.mark.parametrize("server", SERVERS, ids=str)
def test_site_is_served_and_stopped_without_a_loss(site: Site, server: Server) -> None:
    """Visitors are recognised, what they do is in the figures while the server runs, nothing piles up in it, and
    when it is told to stop under load, all that it had answered is stored, once: strangers' pages are counted too.
    """
    asked = Asked(Counter(), Counter())
    with site.served_by(server) as served:
        recognises(served, asked)
        for act in islice(acts("first"), _MANY // 3):
            assert asked.add(served, act)
        before = holdings(served, server)
        for act in islice(acts("second"), _MANY):
            assert asked.add(served, act)
        after = holdings(served, server)
        for pid in before.keys() & after.keys():
            assert after[pid] <= before[pid] + _A_FEW
        drains(site, asked)
        with under_load(served) as done:
            wait_until(lambda: sum(done().answered.values()) >= 12, "the visitors are at it")
            strangers = [served.ask("GET", "/").status for _ in range(5)]
            stop(served.process, server.stops_by)
    assert strangers == [200] * 5
    with site.tracker() as tracker:
        check(tracker, asked + done())
        assert summary(tracker).unidentified_page_views == 1 + 5


def recognises(served: Served, asked: Asked) -> None:
    """Check that a visitor is recognised, and that a stranger is served."""
    reply = served.ask("GET", "/", NAMED)
    assert (reply.status, reply.told, reply.body) == (200, "OK", ALIAS)
    asked.note(("GET", "/"))
    stranger = served.ask("GET", "/")
    assert (stranger.status, stranger.told, stranger.body) == (200, "ABSENT", "unrecognised")


def drains(site: Site, asked: Asked) -> None:
    """Check that the server itself brings all that was answered into the figures."""
    pages = sum(number for (method, _), number in asked.answered.items() if method == "GET")
    orders = sum(path.startswith("/buy/") for _, path in asked.answered)
    with site.tracker() as tracker:

        def has_drained() -> bool:
            found = summary(tracker)
            return (found.page_views, found.orders) == (pages, orders)

        wait_until(has_drained, "the server has drained its spool")
        found = summary(tracker)
        assert (found.visitors, found.visits, found.clients) == (1, 1, 1)
        assert found.revenue == {"EUR": Decimal("3.00") * orders}
        assert tracker.visitor(ALIAS).profile[FIELD] == asked.answered["POST", f"/prefer/{FIELD}"]


@pytest.mark.parametrize("server", [GUNICORN, UWSGI_BARE], ids=str)
def test_file_is_sent_by_the_server_itself(site: Site, server: Server) -> None:
    """Not by Python: its `wsgi.file_wrapper`, a class or a function, meets its own again. The page view counts."""
    with site.served_by(server) as served:
        reply = served.ask("GET", "/file", NAMED)
        assert (reply.status, reply.body) == (200, (ROOT / "tests/servers/site_app.py").read_text())
    with site.tracker() as tracker:
        assert summary(tracker).page_views == 1


@pytest.mark.parametrize("server", PARSERS, ids=str)
def test_last_counts_are_handed_on_at_the_end(tmp_path: Path, server: Server) -> None:
    """Strangers' pages of the last moment, which wait in memory, are counted though the server ends at once."""
    site = Site(tmp_path, writer_interval=3600)
    with site.served_by(server) as served:
        assert [served.ask("GET", "/").status for _ in range(9)] == [200] * 9
        stop(served.process, server.stops_by)
    with site.tracker() as tracker:
        assert tracker.flush(PATIENCE)
        assert summary(tracker).unidentified_page_views == 9


@pytest.mark.parametrize("server", RELOADED, ids=str)
def test_workers_changed_under_load_lose_nothing(site: Site, server: Server) -> None:
    """A graceful reload changes all workers; what the old and the new answered is stored, once."""
    with site.served_by(server) as served:
        with under_load(served) as done:
            wait_until(lambda: sum(done().answered.values()) >= 12, "the visitors are at it")
            old = set(holdings(served, server))
            os.kill(served.process.pid, signal.SIGHUP)
            wait_until(lambda: not still_answers(served, old), "new workers serve", within=2 * PATIENCE)
            then = sum(done().answered.values())
            wait_until(lambda: sum(done().answered.values()) >= then + 12, "the visitors go on")
        asked = done()
    with site.tracker() as tracker:
        check(tracker, asked)


def still_answers(served: Served, old: set[int]) -> bool:
    """Whether one of the old workers still answers."""
    try:
        return served.held()["pid"] in old
    except (OSError, ValueError):
        return True


@pytest.mark.parametrize("server", RENEWED, ids=str)
def test_workers_renewed_after_some_requests_lose_nothing(site: Site, server: Server) -> None:
    """Workers that end after so many requests leave nothing behind that their successors do not store."""
    with site.served_by(server) as served:
        with under_load(served) as done:
            wait_until(lambda: sum(done().answered.values()) >= 80, "several workers have come and gone")
        asked = done()
    with site.tracker() as tracker:
        check(tracker, asked)


def test_workers_forked_from_a_loaded_site_share_no_files(site: Site) -> None:
    """With --preload the tracker is made in the master: it opens nothing there, and each worker its own."""
    with site.served_by(PRELOAD) as served:
        for _ in range(20):
            assert served.ask("GET", "/", NAMED).status == 200
        master = served.process.pid
        assert {served.held()["parent"] for _ in range(4)} == {master}
        opened = {os.readlink(file) for file in Path(f"/proc/{master}/fd").iterdir()}
        assert not any("alias.db" in name for name in opened)
    with site.tracker() as tracker:
        assert tracker.flush(PATIENCE)
        assert summary(tracker).page_views == 20


def test_server_that_dies_at_the_signal_loses_no_event(site: Site) -> None:
    """Waitress has no farewell at SIGTERM: requests are cut off, what was recorded is in the spool."""
    with site.served_by(WAITRESS) as served:
        with under_load(served) as done:
            wait_until(lambda: sum(done().answered.values()) >= 12, "the visitors are at it")
            assert stop(served.process) == -signal.SIGTERM
        asked = done()
    with site.tracker() as tracker:
        check(tracker, asked)
