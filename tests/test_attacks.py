"""Attacks that once succeeded: each test is one of them, and what must hold instead."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from alias_middleware import Item, Tracker, Visitor
from alias_middleware.exchange import Request
from alias_middleware.imports.logs import Hit
from alias_middleware.profile import Operation, ProfileDocument, StoredProfile, apply_change, latest_consents
from alias_middleware.statistics.clients import Place
from alias_middleware.storage.base import Batch
from alias_middleware.storage.chronicle import Chronicle, VisitorRow
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.storage.outbox import Dispatch, Evidence
from alias_middleware.storage.sqlite import SQLiteStorage, erasure
from alias_middleware.testing.histories import KEY, NEWS, Teller, change, instant
from alias_middleware.wsgi import AliasMiddleware
from tests.support.site import ALIAS, GATEWAY, HTML, SECRET_KEYS, Given, Seen, Site

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SPACE = NEWS.namespace
ERASED = instant("2026-03-03T12:00")


@pytest.fixture
def storage(sqlite_storage: SQLiteStorage) -> SQLiteStorage:
    return sqlite_storage


class TestErasure:
    """What was there before is gone for good; what came after stays."""

    def test_a_cookie_given_to_a_request_in_flight(self, site: Site) -> None:
        """A request that began before the erasure and is answered after it brings no cookie that outlives it."""
        site.settings.update(continuity=True, secret_keys=SECRET_KEYS)

        def handler(visitor: Visitor, request: Seen) -> Given:
            site.clock.advance(seconds=1)
            site.tracker.privacy.erase(ALIAS)
            site.clock.advance(seconds=1)
            return 200, HTML, [str(visitor.alias).encode()]

        site.handler = handler
        cookie = site.get().cookie()
        site.handler = lambda visitor, request: (200, HTML, [str(visitor.alias).encode()])
        assert site.get(alias=None, headers=[("Cookie", cookie)]).chunks == [b"None"]

    def test_what_came_after_an_erasure_cut_short_stays(self, storage: SQLiteStorage) -> None:
        """Finishing it does not take what the visitor chose meanwhile: his preferences were erased already."""
        hashes = storage._keyring.every(erasure.TOMBSTONE, SPACE, KEY)
        with storage._files.wrapped() as connection, connection.profile_changes(5) as (sql, renew):
            erasure.erase_preferences(sql, SPACE, KEY, hashes, ERASED, renew)
        chosen = change(Operation("set", "preferences", "font", "large"), at=ERASED + 1)
        storage.change_profile(SPACE, chosen, timeout=1)
        storage.apply(Batch(entries=[Teller().view(ERASED)]))
        assert storage.read_profile(SPACE, KEY).preferences == b'{"font":"large"}'
        with storage._files.wrapped() as connection:
            assert erasure.unfinished(connection.sql) == []


class TestConsent:
    """The visitor's last word holds, whatever the clock and the app do."""

    def test_a_withdrawal_after_the_clock_was_stepped_back(self, site: Site) -> None:
        """It is the last word although its time is before that of the consent it withdraws."""
        visitor = site.tracker.visitor(ALIAS)
        visitor.consent("contact", True)
        site.clock.advance(hours=-1)
        visitor.consent("contact", False)
        assert not site.tracker.visitor(ALIAS).allows("contact")

    def test_a_late_word_is_put_where_it_belongs(self) -> None:
        """One that waited in the spool does not overrule a later one, and does overrule an earlier one."""
        document = ProfileDocument()
        for at, granted, late in ((10, True, False), (30, False, False), (20, True, True)):
            said = Operation("consent", "consents", "contact", [granted, None])
            apply_change(document, change(said, at=at), late=late)
        assert [consent.time_us for consent in document.consents["contact"]] == [10, 20, 30]
        assert not latest_consents(document.consents)["contact"].granted

    def test_a_nested_value_of_who_refuses_to_be_personalised(self, site: Site) -> None:
        """A change inside it is kept no more than the value itself."""
        site.tracker.visitor(ALIAS).consent("personalise", False)

        def handler(visitor: Visitor, request: Seen) -> Given:
            visitor.profile["seen"] = ["a"]
            visitor.profile["seen"].append("b")
            return 200, HTML, [b"x"]

        site.handler = handler
        site.get()
        assert site.stored()["preferences"] == {}


class TestFailedAnswers:
    """An answer that never left is no page view."""

    @staticmethod
    def at_once(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", list(HTML))
        raise LookupError("oops")

    @staticmethod
    def in_the_first_chunk(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", list(HTML))
        raise LookupError("oops")
        yield b"x"

    @pytest.mark.parametrize("app", [at_once, in_the_first_chunk])
    def test_an_app_that_fails_after_start_response(
        self, make_site: Callable[..., Site], app: WSGIApplication
    ) -> None:
        """No byte was passed on, so the server answers 500: nothing was shown."""
        site = make_site("wsgi")
        middleware = AliasMiddleware(app, tracker=site.tracker)
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/",
            "REMOTE_ADDR": GATEWAY,
            "HTTP_WAP_NETWORK_INFO": f"mUserAlias:{ALIAS}",
        }

        def serve() -> None:
            body: Any = middleware(environ, lambda status, headers, exc_info=None: lambda chunk: None)
            with closing(body):
                list(body)

        with pytest.raises(LookupError):
            serve()
        assert site.summary().page_views == 0


def test_a_price_of_a_class_of_the_apps_own(site: Site) -> None:
    """It is an exact Decimal like any other, and the order is recorded."""

    class Price(Decimal):
        pass

    visitor = site.tracker.visitor(ALIAS)
    assert visitor.purchase("1", [Item("rt-42", "Ringtone", price=Price("1.50"))], currency="EUR")
    assert site.summary().revenue == {"EUR": Decimal("1.50")}


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_child_forked_while_a_profile_is_changed(kind: str, storage: SQLiteStorage) -> None:
    """The lock that another thread of the parent holds at that moment does not lock the child out for ever."""
    memory = MemoryStorage()
    chosen = change(Operation("set", "preferences", "font", "large"), at=ERASED)
    tried, lock = (memory, memory._lock) if kind == "memory" else (storage, storage._changing)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    child = os.fork()
    if not child:
        status = 1
        try:
            tried.change_profile(SPACE, chosen, timeout=0.1)
            status = 0
        finally:
            os._exit(status)
    done.set()
    holder.join()
    assert os.waitpid(child, 0)[1] == 0


def test_a_dropped_tracker_keeps_no_file_open(tmp_path: Path) -> None:
    """Nobody closes it, and still its segment is left to the writers and its connections are closed."""

    def open_files() -> int:
        folder = Path("/proc/self/fd")
        return sum(str(tmp_path) in os.readlink(link) for link in folder.iterdir() if link.is_symlink())

    tracker = Tracker(
        service="s",
        storage=f"sqlite:///{tmp_path}/alias.db",
        trusted_gateways=["10.12.0.0/16"],
        writer="external",
    )
    with tracker.visitor(ALIAS) as visitor:
        visitor.track("download")
        visitor.profile["font"] = "large"
    del visitor
    assert open_files() > 0
    del tracker
    gc.collect()
    assert open_files() == 0


def test_no_alias_in_the_repr_of_what_lives_in_frames() -> None:
    """Error reporters show the locals of every frame: neither a request nor an event may tell the alias."""
    request = Request([(b"wap-network-info", f"mUserAlias:{ALIAS}".encode())], GATEWAY, "GET", "/", False)
    tell = Teller(key=ALIAS)
    entries = [tell.view(1), tell.track(1), tell.purchase(1, "A"), tell.refund(1, "A")]
    assert ALIAS not in repr([request, *entries, change(at=1, key=ALIAS)])


@pytest.mark.parametrize(
    "held",
    [
        pytest.param(Evidence(ALIAS, b"[]", StoredProfile(), (), ()), id="the evidence of a message"),
        pytest.param(Evidence("k", b"[]", StoredProfile(b"{}", ALIAS.encode()), (), ()), id="personal data"),
        pytest.param(Dispatch("noel", ALIAS, "sent", "", 0, 0, "m"), id="a message's state"),
        pytest.param(VisitorRow(1, SPACE, ALIAS, 0, Chronicle()), id="a visitor's row"),
        pytest.param(Place(3, ALIAS), id="the last row of a page"),
        pytest.param(Hit(1, GATEWAY, b"GET", b"/", 200, b"", None, ALIAS.encode()), id="a log's line"),
    ],
)
def test_no_alias_in_the_repr_of_what_judging_and_importing_hold(held: object) -> None:
    """A frame that reads evidence, folds a batch or imports a line names nobody in an error report."""
    assert ALIAS not in repr([held])
