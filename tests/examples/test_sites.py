"""Both example apps, through their real edges: the same site, in HTML and WML, personal without a login."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode
from xml.etree import ElementTree

import httpx
import pytest

from alias_middleware import Tracker
from alias_middleware.errors import SettingsError
from examples.flask_app import app as flask_app
from examples.site import NEWS, STATIC, markup
from examples.starlette_app import app as starlette_app
from tests.support.servers import uvicorn_server, waitress_server
from tests.support.waiting import PATIENCE

ALIAS, OTHER = "314522927347", "271828182845"
HTML = "text/html,application/xhtml+xml,*/*;q=0.8"
WML = "text/vnd.wap.wml, image/vnd.wap.wbmp"
PAGES = ["/", "/news/sport", "/shop", "/settings"]
NASTY = '<b>&"$x'


class Site(NamedTuple):
    """A running example, and the engine that sees what it recorded."""

    client: httpx.Client
    tracker: Tracker

    def get(self, path: str, alias: str | None = ALIAS, accept: str = HTML) -> httpx.Response:
        return self.client.get(path, headers=headers_of(alias) | {"Accept": accept})

    def post(self, path: str, fields: list[tuple[str, str]], alias: str | None = ALIAS) -> httpx.Response:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.client.post(path, content=urlencode(fields), headers=headers_of(alias) | form)


def headers_of(alias: str | None) -> dict[str, str]:
    return {} if alias is None else {"wap-network-info": f"mUserAlias:{alias}"}


@pytest.fixture(params=["flask", "starlette"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """An example app under a real server, asked by its gateway."""
    settings: dict[str, Any] = {
        "storage": f"sqlite:///{tmp_path}/alias.db",
        "trusted_gateways": ["127.0.0.1"],
        "raise_errors": True,
    }
    if request.param == "flask":
        app = flask_app.create_app(**settings)
        with app.app_context():
            tracker = flask_app.alias.tracker
        serving = waitress_server(app)
    else:
        tracker = Tracker(service="vitrine", **settings)
        serving = uvicorn_server(starlette_app.create_app(tracker=tracker))
    with serving as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield Site(client, tracker)
    tracker.close()


def text_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200
    return answer.text


def categories_of(page: str) -> list[str]:
    """Give the categories in the order in which a page links to them."""
    return sorted((name for name in NEWS if f"/news/{name}" in page), key=lambda name: page.index(f"/news/{name}"))


@pytest.mark.parametrize("alias", [ALIAS, None], ids=["recognised", "unrecognised"])
def test_wml_is_well_formed(site: Site, alias: str | None) -> None:
    """A phone that asks for WML gets it: of that type, a deck of WML 1.1 that an XML parser takes."""
    for path in PAGES:
        answer = site.get(path, alias, WML)
        assert answer.headers["Content-Type"] == "text/vnd.wap.wml; charset=utf-8"
        assert '"-//WAPFORUM//DTD WML 1.1//EN"' in text_of(answer)
        deck = ElementTree.fromstring(answer.content)
        assert (deck.tag, [card.tag for card in deck]) == ("wml", ["card"])
        assert {child.tag for card in deck for child in card} == {"p"}


@pytest.mark.parametrize("alias", [ALIAS, None], ids=["recognised", "unrecognised"])
def test_html_is_html(site: Site, alias: str | None) -> None:
    """Other browsers get HTML that would also do as XML, and no cache mixes up the two or two visitors."""
    for path in PAGES:
        answer = site.get(path, alias)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        ElementTree.fromstring(text_of(answer))
        assert answer.headers["Vary"] == "Accept, wap-network-info"
        assert answer.headers["Cache-Control"] == "private"


def test_stylesheet_is_served(site: Site) -> None:
    """The pages' stylesheet is there and is no page view."""
    assert text_of(site.get("/static/site.css")) == (STATIC / "site.css").read_text()
    assert site.tracker.flush(PATIENCE)
    assert site.tracker.visitor(ALIAS).history() == []


@pytest.mark.parametrize("accept", [HTML, WML], ids=["HTML", "WML"])
def test_two_visitors_see_different_pages(site: Site, accept: str) -> None:
    """What one chose and read orders his menu and greets him by name; the other and a stranger see none of it."""
    site.post("/settings", [("name", "Chloé"), ("font", "large"), ("favourites", "cinema")])
    for _ in range(2):
        site.get("/news/games", accept=accept)
    his, others, strangers = (text_of(site.get("/", alias, accept)) for alias in (ALIAS, OTHER, None))
    assert "Hello Chloé" in his
    assert categories_of(his)[:2] == ["cinema", "games"]
    for page in (others, strangers):
        assert "Chloé" not in page
        assert categories_of(page) == list(NEWS)
    assert "Hello" in others
    assert "Hello" not in strangers


def test_purchase_is_recorded_and_remembered(site: Site) -> None:
    """A ringtone bought is an order of the visitor, and his next page shows it."""
    answer = site.post("/shop", [("sku", "rt-2")])
    assert (answer.status_code, answer.headers["Location"]) == (303, "/shop")
    assert "Accordéon &amp; bass" in text_of(site.get("/", accept=WML))
    assert site.tracker.flush(PATIENCE)
    today, day = datetime.now(UTC).date(), timedelta(days=1)
    figures = site.tracker.statistics.summary(today - day, today + 2 * day)
    assert (figures.orders, figures.revenue) == (1, {"EUR": Decimal("3.00")})


def test_the_last_three_ringtones_are_kept(site: Site) -> None:
    """Of many ringtones the profile keeps the last three."""
    for sku in ("rt-1", "rt-2", "rt-3", "rt-4"):
        site.post("/shop", [("sku", sku)])
    assert site.tracker.visitor(ALIAS).profile["ringtones"] == ["rt-2", "rt-3", "rt-4"]


@pytest.mark.parametrize(
    ("sku", "alias", "status"),
    [
        pytest.param("rt-1", None, 403, id="nobody to bill"),
        pytest.param("rt-9", ALIAS, 400, id="no such ringtone"),
        pytest.param("", ALIAS, 400, id="no ringtone"),
    ],
)
def test_purchase_that_cannot_be(site: Site, sku: str, alias: str | None, status: int) -> None:
    """Who is not recognised cannot buy, and what is not for sale cannot be bought."""
    assert site.post("/shop", [("sku", sku)], alias).status_code == status


def test_page_that_is_not_there(site: Site) -> None:
    """An unknown category is not found."""
    assert site.get("/news/nonsense").status_code == 404


@pytest.mark.parametrize("path", ["/", "/settings"])
@pytest.mark.parametrize("accept", [HTML, WML], ids=["HTML", "WML"])
def test_what_a_visitor_typed_is_escaped(site: Site, path: str, accept: str) -> None:
    """A name is text in both markups, and in WML no variable either."""
    site.post("/settings", [("name", NASTY), ("font", "small")])
    page = text_of(site.get(path, accept=accept))
    ElementTree.fromstring(page)
    assert "&lt;b&gt;&amp;&#34;" + ("$$x" if accept == WML else "$x") in page
    assert "<b>" not in page


def test_settings_are_kept(site: Site) -> None:
    """What the settings page asks is in the profile: the name as personal data, consent with its source."""
    fields = [("name", " Zoé "), ("font", "large"), ("favourites", "games"), ("favourites", "sport")]
    site.post("/settings", [*fields, ("asked", "contact"), ("contact", "yes")])
    visitor = site.tracker.visitor(ALIAS)
    assert dict(visitor.profile) == {"font": "large", "favourites": ["sport", "games"]}
    assert dict(visitor.profile.personal) == {"name": "Zoé"}
    assert visitor.consents["contact"].source == "settings page"
    assert 'class="large"' in text_of(site.get("/settings"))
    site.post("/settings", [*fields, ("asked", "contact")])
    assert not site.tracker.visitor(ALIAS).allows("contact")


def test_settings_from_a_wml_phone(site: Site) -> None:
    """WML sends several choices in one field, and does not ask for consent: that stays as it was."""
    site.post("/settings", [("name", ""), ("font", "huge"), ("favourites", "games;sport")])
    visitor = site.tracker.visitor(ALIAS)
    assert dict(visitor.profile) == {"font": "medium", "favourites": ["sport", "games"]}
    assert visitor.consents == {}


@pytest.mark.parametrize(
    ("accept", "suffix"),
    [
        pytest.param("", "html", id="says nothing"),
        pytest.param("*/*", "html", id="takes anything"),
        pytest.param("text/vnd.wap.wml", "wml", id="WML only"),
        pytest.param("Text/VND.WAP.WML;q=1", "wml", id="in other letters"),
        pytest.param("text/vnd.wap.wml, application/vnd.wap.xhtml+xml", "html", id="WML and something newer"),
    ],
)
def test_markup_follows_accept(accept: str, suffix: str) -> None:
    """WML is for phones that name it and nothing newer."""
    assert markup(accept)[0] == suffix


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(flask_app.create_app, id="flask"),
        pytest.param(lambda: starlette_app.create_app().build_middleware_stack(), id="starlette"),
    ],
)
def test_environment_says_where_data_goes(start: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """ALIAS_STORAGE reaches the middleware."""
    monkeypatch.setenv("ALIAS_STORAGE", "nosuch://")
    with pytest.raises(SettingsError, match="storage"):
        start()
