"""Carrying a profile over the day on which the aliases changed, on both edges and both storages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from alias_middleware import Tracker, Visitor
from alias_middleware.continuity import COOKIE, Continuity
from alias_middleware.errors import BlockingCallError, StorageUnavailable
from alias_middleware.profile import LINK_NOTE, PROFILE_LIMIT
from alias_middleware.storage.base import Storage
from tests.support.site import GATEWAY, HTML, SECRET_KEYS, STRANGER, Answer, Given, Seen, Site

OLD, NEW = "314522927347", "271828182845"
BEFORE = datetime(2026, 2, 20, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 2, 28, 23, tzinfo=UTC)
"""The local day on which the service was attached begins."""
AFTER = datetime(2026, 3, 2, 12, tzinfo=UTC)
KEYS = [key.encode() for key in SECRET_KEYS]
ATTACHED: dict[str, Any] = {
    "reference": "news",
    "attached_on": "2026-03-01",
    "continuity": True,
    "secret_keys": SECRET_KEYS,
}

Given_ = TypeVar("Given_")


class Attached:
    """A site that was attached, one of its visitors, and what it kept of him before."""

    def __init__(self, site: Site) -> None:
        """Serve him before the day, when his profile came about, then move on."""
        self.site = site
        site.clock.now = AFTER
        site.settings.update(ATTACHED)
        self.storage: Storage = site.tracker.storage
        site.clock.now = BEFORE
        self.earlier = Site(site.edge, "memory", site.folder / "before")
        self.earlier.clock = site.clock
        self.earlier.settings.update(storage=self.storage, continuity=True, secret_keys=SECRET_KEYS)
        self.earlier.handler = fills
        self.cookie = self.earlier.get(alias=OLD).cookie()
        site.clock.now = AFTER

    @property
    def known(self) -> Tracker:
        """The tracker of before."""
        return self.earlier.tracker

    def ask(self, do: Callable[[Visitor], object], *, alias: str | None = NEW, **more: Any) -> tuple[Any, Answer]:
        """Serve one request with the old cookie; give what the app did with the visitor, and the answer."""
        done: list[object] = []

        def handler(visitor: Visitor, request: Seen) -> Given:
            done.append(aside(lambda: do(visitor)))
            return 200, list(HTML), [b"x"]

        self.site.handler = handler
        answer = self.site.get(alias=alias, headers=[("Cookie", more.pop("cookie", self.cookie))], **more)
        return done[0], answer

    def profile(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the visitor's next request sees."""
        visitor = self.site.tracker.visitor(NEW)
        return dict(visitor.profile), dict(visitor.profile.personal)


def aside(work: Callable[[], Given_]) -> Given_:
    """Do what blocks on another thread, as `run_in_threadpool` does."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def fills(visitor: Visitor, request: Seen) -> Given:
    """What he left before."""
    visitor.profile.update(font="large", favourites=["sport"])
    visitor.profile.personal["city"] = "Lyon"
    visitor.consent("contact", True, source="order form")
    return 200, list(HTML), [b"x"]


def links(visitor: Visitor) -> tuple[bool, bool]:
    return visitor.linkable, visitor.link()


CARRIED = {"font": "large", "favourites": ["sport"]}, {"city": "Lyon"}


@pytest.fixture
def attached(site: Site) -> Iterator[Attached]:
    made = Attached(site)
    yield made
    made.earlier.close()


def test_it_carries_the_profile_over(attached: Attached) -> None:
    """Preferences and personal data, and nothing else; the request that links sees them already."""

    def looks(visitor: Visitor) -> object:
        assert dict(visitor.profile) == {}
        return links(visitor), visitor.profile["font"], visitor.alias

    seen, _ = attached.ask(looks)
    assert seen == ((True, True), "large", NEW)
    assert attached.profile() == CARRIED
    assert not attached.site.tracker.visitor(NEW).consents
    assert dict(attached.known.visitor(OLD).profile) == CARRIED[0]
    assert attached.site.tracker.visitor(NEW).profile.page_views == 0
    assert "preferences_deferred" not in attached.site.counters()


def test_nothing_happens_by_itself(attached: Attached) -> None:
    """Without the app's word nothing is copied, and today's cookie takes the place of the old one."""
    _, answer = attached.ask(lambda visitor: dict(visitor.profile))
    assert attached.profile() == ({}, {})
    assert answer.cookie().partition("=")[2] != attached.cookie.partition("=")[2]
    assert attached.ask(links, cookie=answer.cookie())[0] == (False, False)


def test_the_app_may_ask_the_visitor_first(attached: Attached) -> None:
    """The old cookie stays until the app has linked; then today's replaces it."""
    offered, answer = attached.ask(lambda visitor: visitor.linkable)
    assert (offered, answer.all("Set-Cookie"), attached.profile()) == (True, [], ({}, {}))
    _, answer = attached.ask(links)
    assert answer.cookie() != attached.cookie


def test_it_never_overwrites(attached: Attached) -> None:
    """What the new profile has stays, also what the same request set."""
    attached.site.tracker.visitor(NEW).profile["font"] = "small"

    def sets(visitor: Visitor) -> object:
        visitor.profile.personal["city"] = "Nantes"
        return visitor.link(), visitor.profile.personal["city"]

    assert attached.ask(sets)[0] == (True, "Nantes")
    assert attached.profile() == ({"font": "small", "favourites": ["sport"]}, {"city": "Nantes"})


def test_where_nothing_is_missing_there_is_no_link(attached: Attached) -> None:
    """Nobody is offered what would change nothing."""
    with attached.site.tracker.visitor(NEW) as visitor:
        visitor.profile.update(font="small", favourites=[])
        visitor.profile.personal["city"] = "Nantes"
    assert attached.ask(links)[0] == (False, False)


def test_it_is_done_once(attached: Attached) -> None:
    """A second call does nothing, even where a field is missing again."""
    attached.ask(links)
    del attached.site.tracker.visitor(NEW).profile["font"]
    assert attached.ask(links)[0] == (False, False)
    assert attached.profile()[0] == {"favourites": ["sport"]}


def test_it_is_taken_back(attached: Attached) -> None:
    """What was copied goes; what was there before, or was changed since, stays. It is not linked again."""
    attached.site.tracker.visitor(NEW).profile["theme"] = "dark"
    attached.ask(links)
    attached.site.clock.advance(minutes=1)
    attached.site.tracker.visitor(NEW).profile["favourites"].append("news")
    attached.site.tracker.visitor(NEW).profile.append("favourites", "news")
    assert attached.ask(lambda visitor: (visitor.unlink(), visitor.profile.get("font")))[0] == (True, None)
    assert attached.profile() == ({"theme": "dark", "favourites": ["sport", "news"]}, {})
    assert attached.ask(lambda visitor: (visitor.unlink(), *links(visitor)))[0] == (False, False, False)


def test_a_field_confirmed_since_stays(attached: Attached) -> None:
    """Setting the same value makes it the visitor's own."""
    attached.ask(links)
    attached.site.clock.advance(minutes=1)
    attached.site.tracker.visitor(NEW).profile["font"] = "large"
    assert attached.site.tracker.visitor(NEW).unlink()
    assert attached.profile() == ({"font": "large"}, {})


def test_it_is_taken_back_without_a_request(attached: Attached) -> None:
    """By alias, as a support desk does; there it cannot be made, for want of the cookie."""
    attached.ask(links)
    with attached.site.tracker.visitor(NEW) as visitor:
        assert links(visitor) == (False, False)
        assert visitor.unlink()
    assert attached.profile() == ({}, {})


def test_without_a_link_there_is_nothing_to_take_back(attached: Attached) -> None:
    """The answer says so."""
    attached.site.tracker.visitor(NEW).profile["font"] = "small"
    assert attached.ask(lambda visitor: visitor.unlink())[0] is False
    assert attached.profile()[0] == {"font": "small"}


def issued(
    alias: str = OLD, *, service: str = "sonneries", at: datetime = BEFORE, keys: list[bytes] = KEYS
) -> str:
    """A cookie, by whoever."""
    micros = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return f"{COOKIE}={Continuity(service, keys).issue(alias, micros)}"


@pytest.mark.parametrize(
    ("cookie", "opens"),
    [
        pytest.param(issued(), True, id="its own"),
        pytest.param(issued(at=MIDNIGHT - timedelta(microseconds=1)), True, id="the evening before"),
        pytest.param(issued(at=MIDNIGHT), False, id="of the day itself"),
        pytest.param(issued(at=AFTER - timedelta(days=30)), False, id="expired"),
        pytest.param(issued(keys=[b"somebody else's secret key"]), False, id="forged"),
        pytest.param(issued()[:-6], False, id="cut"),
        pytest.param(f"{COOKIE}={OLD}", False, id="the alias in clear"),
        pytest.param(issued(service="club"), False, id="another service's"),
        pytest.param(issued(service="news"), False, id="the reference's own"),
        pytest.param(issued("000000000009"), False, id="of one of whom nothing is kept"),
        pytest.param(issued("nobody's alias"), False, id="no alias"),
        pytest.param(f"{issued()}; {issued('000000000009')}", False, id="two of them"),
        pytest.param("", False, id="none"),
    ],
)
def test_which_cookie_opens_it(attached: Attached, cookie: str, opens: bool) -> None:
    """One that this service issued while its aliases were its own, in the last 30 days."""
    assert attached.ask(links, cookie=cookie)[0] == (opens, opens)
    assert attached.profile() == (CARRIED if opens else ({}, {}))


@pytest.mark.parametrize(
    ("alias", "peer"),
    [
        pytest.param(NEW, STRANGER, id="a header that a stranger wrote"),
        pytest.param(None, GATEWAY, id="no header"),
    ],
)
def test_the_old_alias_identifies_nobody(attached: Attached, alias: str | None, peer: str) -> None:
    """The cookie alone opens nothing."""
    seen, _ = attached.ask(lambda visitor: (visitor.alias, *links(visitor)), alias=alias, peer=peer)
    assert seen == (None, False, False)
    assert attached.profile() == ({}, {})


def test_todays_cookie_is_no_header(attached: Attached) -> None:
    """A visitor who is known by continuity has nothing to link, and can take a link back."""
    today = attached.ask(links)[1].cookie()
    seen, _ = attached.ask(
        lambda visitor: (visitor.alias, *links(visitor), visitor.unlink()), alias=None, cookie=today
    )
    assert seen == (NEW, False, False, True)


@pytest.mark.parametrize(("namespace", "alias"), [("sonneries", OLD), ("news", NEW)], ids=["the old", "the new"])
def test_who_was_erased_is_not_brought_back(attached: Attached, namespace: str, alias: str) -> None:
    """Of either side, whatever was kept there since."""
    attached.storage.erase(namespace, alias, int(attached.site.clock() // 1000))
    attached.site.clock.advance(minutes=1)
    attached.known.visitor(OLD).profile["font"] = "large"
    assert attached.ask(links)[0] == (False, False)
    assert attached.profile() == ({}, {})


def test_an_erasure_takes_the_copies_and_their_note(attached: Attached) -> None:
    """Nothing of the link is left then, and it is not made again."""
    attached.ask(links)
    attached.site.clock.advance(minutes=1)
    attached.site.tracker.privacy.erase(NEW)
    attached.site.clock.advance(minutes=1)
    assert attached.ask(lambda visitor: (visitor.unlink(), *links(visitor)))[0] == (False, False, False)
    assert attached.site.stored(NEW)["personal"] == {}


@pytest.mark.parametrize("side", ["the old", "the new"])
def test_who_refuses_to_be_personalised_is_not_linked(attached: Attached, side: str) -> None:
    """His word counts on the side where he gave it."""
    tracker, alias = (attached.known, OLD) if side == "the old" else (attached.site.tracker, NEW)
    tracker.visitor(alias).consent("personalise", False)
    assert attached.ask(links)[0] == (False, False)
    assert not attached.storage.read_profile("news", NEW).personal.strip(b"{}")


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"attached_on": None}, id="without attached_on"),
        pytest.param({"continuity": False}, id="without continuity"),
        pytest.param({"statistics_only": True}, id="without profiles"),
    ],
)
def test_what_it_takes(attached: Attached, settings: dict[str, Any]) -> None:
    """The settings that it takes are those that keep the cookie and tell the day."""
    site = attached.site
    site.close()
    site._tracker = site.another_tracker(storage=attached.storage, **settings)
    assert attached.ask(lambda visitor: (*links(visitor), visitor.unlink()))[0] == (False, False, False)
    assert attached.storage.read_profile("news", NEW).preferences == b"{}"


def test_the_note_is_none_of_the_apps_business(attached: Attached) -> None:
    """The profile does not show it, an export does; neither it nor a log nor a repr has the old alias."""
    attached.ask(links)
    personal = attached.site.stored(NEW)["personal"]
    assert personal.pop(LINK_NOTE)["personal"] == ["city"]
    assert personal == {"city": "Lyon"}
    assert OLD not in str(attached.site.stored(NEW))
    attached.site.tracker.visitor(NEW).profile.personal.clear()
    assert LINK_NOTE in attached.site.stored(NEW)["personal"]
    assert repr(attached.site.tracker.visitor(NEW).bridge) == "<Bridge>"


def test_a_note_that_is_none_means_that_nothing_is_known(attached: Attached) -> None:
    """Where the app wrote in its place nothing is linked, and nothing taken away."""
    attached.site.tracker.visitor(NEW).profile.personal[LINK_NOTE] = "mine"
    assert attached.ask(lambda visitor: (*links(visitor), visitor.unlink()))[0] == (False, False, False)


def test_it_is_carried_over_whole_or_not_at_all(attached: Attached) -> None:
    """Where a profile has no room for everything, nothing is copied that could not be taken back."""
    attached.site.tracker.visitor(NEW).profile["long"] = "x" * (PROFILE_LIMIT - 120)
    assert attached.ask(links)[0] == (False, False)
    assert set(attached.profile()[0]) == {"long"}


def test_pseudonyms_are_those_of_their_namespace(site: Site) -> None:
    """With pseudonym keys the two profiles are found under the keys of their own namespaces."""
    site.settings["pseudonym_keys"] = ["a pseudonym key of some length"]
    site.clock.now = AFTER
    site.settings.update(ATTACHED)
    earlier = site.clock
    tracker = site.tracker
    earlier.now = BEFORE
    settings = {
        "reference": None,
        "attached_on": None,
        "storage": tracker.storage,
        "spool": site.folder / "before",
    }
    known = site.another_tracker(**settings)
    known.visitor(OLD).profile["font"] = "large"
    earlier.now = AFTER
    done: list[bool] = []

    def handler(visitor: Visitor, request: Seen) -> Given:
        done.append(aside(visitor.link))
        return 200, list(HTML), [b"x"]

    site.handler = handler
    site.get(alias=NEW, headers=[("Cookie", issued())])
    assert (done, dict(tracker.visitor(NEW).profile)) == ([True], {"font": "large"})
    known.close()


def test_a_storage_that_fails_is_asked_again_later(
    attached: Attached, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing goes by way of the spool; the old cookie stays for the next try, and no log has an alias."""

    def fails(*_: object, **__: object) -> int:
        raise StorageUnavailable("busy", reason="locked")

    with caplog.at_level(logging.DEBUG), monkeypatch.context() as patched:
        patched.setattr(attached.storage, "change_profile", fails)
        done, answer = attached.ask(links)
        assert (done, answer.all("Set-Cookie")) == ((True, False), [])
    attached.site.clock.advance(minutes=1)
    assert "preferences_deferred" not in attached.site.counters()
    assert attached.ask(links)[0] == (True, True)
    assert OLD not in caplog.text
    assert NEW not in caplog.text


def test_it_does_not_block_an_event_loop(attached: Attached) -> None:
    """Neither is to be called there; asking whether it could be is allowed where reading does not wait."""
    with attached.site.tracker.visitor(NEW) as visitor:

        async def on_the_loop() -> None:
            assert not visitor.linkable
            for call in (visitor.link, visitor.unlink):
                with pytest.raises(BlockingCallError, match="run_in_threadpool"):
                    call()

        asyncio.run(on_the_loop())
