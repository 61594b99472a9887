"""Statistics only, on both edges: because a browser asks for privacy, or because the site keeps no profiles."""

from __future__ import annotations

from decimal import Decimal

import pytest

from alias_middleware import Item, Visitor
from alias_middleware.errors import SettingsError
from tests.support.site import ALIAS, HTML, SECRET_KEYS, Given, Header, Seen, Site

GPC: Header = ("Sec-GPC", "1")
DNT: Header = ("DNT", "1")


def keeps_a_font(visitor: Visitor, request: Seen) -> Given:
    """A page that shows what it was told before, and notes something new."""
    shown = str(visitor.profile.get("font"))
    visitor.profile["font"] = request.path
    visitor.purchase(request.path, [Item("rt-42", "Sonnerie", price=Decimal("3.00"))], currency="EUR")
    return 200, HTML, [shown.encode()]


def shown(site: Site, path: str, *headers: Header) -> bytes:
    return b"".join(site.get(path, headers=headers).chunks)


@pytest.mark.parametrize("signal", [pytest.param(GPC, id="Sec-GPC"), pytest.param(DNT, id="DNT")])
def test_a_signal_means_statistics_only(site: Site, signal: Header) -> None:
    """Pages and orders count like anybody's; the profile is neither shown nor changed; the next request has it."""
    site.handler = keeps_a_font
    assert shown(site, "/a") == b"None"
    assert shown(site, "/b", signal) == b"None"
    assert shown(site, "/c") == b"/a"
    summary = site.summary()
    assert (summary.visitors, summary.page_views, summary.orders) == (1, 3, 3)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([("Sec-GPC", "0")], id="said no"),
        pytest.param([("DNT", "")], id="empty"),
        pytest.param([("Sec-GPC", "11")], id="no number one"),
        pytest.param([("Sec-Purpose", "1")], id="another header"),
    ],
)
def test_nothing_else_is_a_signal(site: Site, headers: list[Header]) -> None:
    """Only the value 1 asks for privacy."""
    site.handler = keeps_a_font
    shown(site, "/a")
    assert shown(site, "/b", *headers) == b"/a"


def test_signals_can_be_ignored(site: Site) -> None:
    """The setting says so; then the headers are not even looked at."""
    site.settings["privacy_signals"] = "ignore"
    site.handler = keeps_a_font
    shown(site, "/a")
    assert shown(site, "/b", GPC, DNT) == b"/a"
    assert not {b"sec-gpc", b"dnt"} & site.tracker.watched


def test_the_visitors_own_word_outweighs_the_signal(site: Site) -> None:
    """Who told this site that it may, in a request with the signal, means this site."""

    def agrees(visitor: Visitor, request: Seen) -> Given:
        assert (visitor.allows("personalise"), visitor.allows("contact"), visitor.allows("measure")) == (
            False,
            False,
            True,
        )
        visitor.consent("personalise", True, source="settings page")
        return keeps_a_font(visitor, request)

    site.handler = agrees
    shown(site, "/a", GPC)
    site.handler = keeps_a_font
    assert shown(site, "/b", GPC) == b"/a"


def test_no_cookie_follows_a_signal(site: Site) -> None:
    """Nobody is recognised later by a cookie he asked not to have."""
    site.settings |= {"continuity": True, "secret_keys": SECRET_KEYS}
    assert site.get(headers=[GPC], https=True).all("Set-Cookie") == []
    assert site.get(https=True).all("Set-Cookie") != []


def test_a_site_without_profiles(site: Site) -> None:
    """Everything is counted, nothing is remembered of a person but his history and his refusals."""
    site.settings["statistics_only"] = True
    site.handler = keeps_a_font
    assert [shown(site, path) for path in ("/a", "/b")] == [b"None", b"None"]
    with site.tracker.visitor(ALIAS) as visitor:
        visitor.profile["font"] = "large"
        visitor.consent("personalise", True)
        assert not visitor.allows("personalise")
    stored = site.stored()
    assert (stored["preferences"], stored["personal"]) == ({}, {})
    summary = site.summary()
    assert (summary.visitors, summary.page_views, summary.orders) == (1, 2, 2)
    with pytest.raises(SettingsError, match="nobody is contacted"):
        _ = site.tracker.contact


def test_a_site_without_profiles_keeps_refusals(site: Site) -> None:
    """Who refuses to be measured is not measured any more."""
    site.settings["statistics_only"] = True

    def refuses(visitor: Visitor, request: Seen) -> Given:
        if request.path == "/a":
            visitor.consent("measure", False)
        return 200, HTML, [b""]

    site.handler = refuses
    site.get("/a")
    site.clock.advance(seconds=1)
    site.get("/b")
    assert site.summary().page_views == 0
    assert site.counters()["dropped"] == {"no_consent": 2}
