"""Interests, rank and shortcuts as an app sees them: on both edges, with both storages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from alias_middleware import Item, Visitor
from alias_middleware.interests import Population
from tests.support.site import ALIAS, HTML, OTHER_ALIAS, Given, Seen, Site

MENU = ["news", "sport", "music"]
CATEGORIES = {"/sport/*": "sport", "/music/*": "music", "/news/*": "news"}


@pytest.fixture
def lively(site: Site) -> Site:
    """A site where everybody reads news, and one visitor mostly music."""
    site.settings["categories"] = CATEGORIES
    for number in range(8):
        site.get(f"/news/{number}", alias=OTHER_ALIAS)
        site.get(f"/music/{number % 2}")
        site.clock.advance(minutes=1)
    site.get("/")
    site.flush()
    return site


def asked(site: Site, ask: Callable[[Visitor], Any], **request: Any) -> Any:
    """Ask a visitor something within a request."""
    answers: list[Any] = []

    def handler(visitor: Visitor, seen: Seen) -> Given:
        answers.append(ask(visitor))
        return 200, HTML, [b""]

    site.handler = handler
    site.get("/excluded", **request)
    return answers[0]


def test_a_visitor_s_interests(lively: Site) -> None:
    """Categories by the settings' patterns; the evidence says how much of what."""
    with lively.tracker.visitor(ALIAS) as visitor:
        visitor.purchase("A", [Item("1", "Tone", category="music", price=Decimal(1))], currency="EUR")
        visitor.track("cart", category="sport")
    lively.flush()
    music, sport = lively.tracker.visitor(ALIAS).profile.interests()
    assert (music.category, music.evidence.pages, music.evidence.purchases) == ("music", 8, 1)
    assert (sport.category, sport.evidence.carts, sport.evidence.since) == ("sport", 1, lively.clock.now)
    assert music.evidence.population_at == lively.clock.now
    assert music.score > 1


def test_a_menu_in_his_order(lively: Site) -> None:
    """His first, for others as it is; strangers included."""
    assert asked(lively, lambda visitor: visitor.profile.rank(MENU)) == ["music", "news", "sport"]
    assert asked(lively, lambda visitor: visitor.profile.rank(MENU), alias="000000000099") == MENU
    assert asked(lively, lambda visitor: visitor.profile.rank(MENU), alias=None) == MENU
    assert asked(lively, lambda visitor: visitor.profile.shortcuts(), alias=None) == []


def test_his_own_way_in(lively: Site) -> None:
    """The pages he goes to most, with the title that they were last shown with."""

    def titled(visitor: Visitor, seen: Seen) -> Given:
        visitor.page(title="Tones", category="tones")
        return 200, HTML, [b""]

    lively.handler = titled
    lively.get("/music/1")
    lively.flush()
    first, second, home = asked(lively, lambda visitor: visitor.profile.shortcuts(3))
    assert [(each.path, each.title) for each in (first, second, home)] == [
        ("/music/1", "Tones"),
        ("/music/0", None),
        ("/", None),
    ]
    assert first.weight == pytest.approx(5, rel=1e-3)
    events = lively.stored()["history"]
    assert events[1]["category"] == "tones"  # what `page` says goes before the patterns
    assert asked(lively, lambda visitor: visitor.profile.shortcuts(1)) == [first]


def test_who_refuses_gets_neutral_answers(lively: Site) -> None:
    """Nothing personal: the default order, everybody's favourites, no shortcuts; until he agrees again."""
    visitor = lively.tracker.visitor(ALIAS)
    visitor.consent("personalise", False)
    assert visitor.profile.rank(MENU) == MENU
    assert visitor.profile.shortcuts() == []
    assert {each.evidence.basis for each in visitor.profile.interests()} == {"population"}
    assert asked(lively, lambda visitor: visitor.profile.rank(MENU)) == MENU
    visitor.consent("personalise", True)
    assert visitor.profile.rank(MENU)[0] == "music"


def test_they_come_with_the_one_knowledge_read(lively: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a request nothing else is read: the population is read by a thread, for the next one."""
    storage = lively.tracker.storage
    reads: list[str] = []
    for verb in ("read_knowledge", "category_sums"):
        monkeypatch.setattr(storage, verb, _noting(getattr(storage, verb), reads))
    submitted: list[Callable[[], None]] = []
    recorder = lively.tracker._recorder
    monkeypatch.setattr(recorder._outlook, "_submit", submitted.append)

    def everything(visitor: Visitor) -> Any:
        profile = visitor.profile
        return profile.visits, profile.rank(MENU), profile.shortcuts(), profile.interests(), profile.interests(1)

    *_, first, _ = asked(lively, everything)
    assert reads == ["read_knowledge"]
    assert first[0].evidence.population_at is None
    assert len(submitted) == 1
    submitted[0]()
    *_, second, _ = asked(lively, everything)
    assert reads == ["read_knowledge", "category_sums", "read_knowledge"]
    assert second[0].evidence.population_at is not None
    lively.clock.advance(seconds=timedelta(minutes=5).total_seconds())
    asked(lively, everything)
    assert len(submitted) == 2


def _noting(verb: Callable[..., Any], reads: list[str]) -> Callable[..., Any]:
    def noted(*arguments: Any) -> Any:
        reads.append(verb.__name__)
        return verb(*arguments)

    return noted


def test_the_thread_reads_the_population(lively: Site) -> None:
    """What a request asked for is there soon after."""
    recorder = lively.tracker._here()
    asked(lively, lambda visitor: visitor.profile.rank(MENU))
    recorder.executor().submit(lambda: None).result()
    recorder.executor().shutdown()
    assert recorder.population(wait=False) != Population()


def test_an_export_shows_the_habits(lively: Site) -> None:
    """The visitor has a right to what is derived from his history; an erasure leaves nothing of it."""
    assert lively.stored()["habits"]["categories"]["music"]["pages"] == 8
    lively.clock.advance(minutes=1)
    lively.tracker.privacy.erase(ALIAS)
    assert lively.stored()["habits"] == {"categories": {}, "pages": {}}
    assert set(lively.tracker.storage.category_sums("sonneries")) == {"news"}
