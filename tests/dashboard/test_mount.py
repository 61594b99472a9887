"""The dashboard in a Starlette site: every link, form, style and download stays below its path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from alias_middleware import Tracker
from alias_middleware.asgi import AliasMiddleware
from alias_middleware.dashboard import dashboard
from alias_middleware.dashboard.app import HEADERS
from alias_middleware.dashboard.drawing import Drawer
from tests.dashboard.audience import ALIAS, NOW, PASSWORD, fill, make_tracker, token_in


@pytest.fixture(scope="module")
def tracker() -> Iterator[Tracker]:
    made = make_tracker(trusted_gateways=["127.0.0.1"], excluded_paths=["/stats*"])
    fill(made, visitors=5)
    yield made
    made.close()


@pytest.fixture
def client(tracker: Tracker, drawer: Drawer) -> TestClient:
    """A browser at the site, signed in to its dashboard."""
    app = dashboard(tracker, password=PASSWORD, drawer=drawer, now=NOW.timestamp)
    home = Route("/", lambda request: HTMLResponse("the site"))
    site = AliasMiddleware(Starlette(routes=[home, Mount("/stats", app)]), tracker=tracker)
    browser = TestClient(site, follow_redirects=False, client=("127.0.0.1", 50_000))
    token = token_in(browser.get("/stats/login").text)
    answer = browser.post("/stats/login", data={"token": token, "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/stats/")
    assert "Path=/stats/" in answer.headers["set-cookie"]
    return browser


def follow(client: TestClient, answer: Any) -> Any:
    """Go where a form led."""
    assert answer.status_code == 303
    return client.get(answer.headers["location"])


def test_the_site_is_as_it_was(client: TestClient) -> None:
    """What is not below the path goes to the site, without the dashboard's headers."""
    answer = client.get("/")
    assert (answer.text, set(answer.headers) & {name.lower() for name in HEADERS}) == ("the site", set())


def test_every_link_leads_somewhere(client: TestClient) -> None:
    """Whatever a page links to is below the path, and is there: pages, periods, downloads, styles, visitors."""
    seen: set[str] = set()
    waiting = ["/stats/"]
    while waiting and len(seen) < 60:
        path = waiting.pop()
        seen.add(path)
        answer = client.get(path)
        assert answer.status_code == 200, path
        if answer.headers["content-type"].startswith("text/html"):
            links = map(unescape, re.findall(r'(?:href|src|action)="([^"#]+)"', answer.text))
            found = [link for link in links if not link.endswith(("/language", "/logout", "/aliases"))]
            assert all(link.startswith("/stats/") for link in found), path
            waiting += [link for link in found if link not in seen and not link.startswith("/stats/visitor/")]
    assert {"/stats/static/style.css", "/stats/static/icon.svg", "/stats/campaigns.csv"} <= seen
    assert any(path.startswith("/stats/table/cohorts.csv?") for path in seen)


def test_its_path_without_a_slash_leads_there(client: TestClient) -> None:
    """Typed without the last slash, the address is that of the dashboard all the same."""
    assert client.get("/stats", follow_redirects=True).status_code == 200


def test_forms_stay_there(client: TestClient) -> None:
    """Language, whole aliases, a visitor's page and leaving, each by its form."""
    token = token_in(client.get("/stats/").text)
    chosen = {"token": token, "language": "fr", "back": "health"}
    french = follow(client, client.post("/stats/language", data=chosen))
    assert "<h1>Santé</h1>" in french.text
    whole = follow(client, client.post("/stats/aliases", data={"token": token, "whole": "yes"}))
    assert ALIAS in whole.text
    visitor = follow(client, client.post("/stats/visitors", data={"token": token, "alias": ALIAS}))
    assert ALIAS in visitor.text
    left = follow(client, client.post("/stats/logout", data={"token": token}))
    assert 'action="/stats/login"' in left.text
    assert client.get("/stats/").headers["location"] == "/stats/login"


def test_looking_is_no_page_view(client: TestClient, tracker: Tracker) -> None:
    """Who looks at the figures from a phone of the operator's does not change them."""
    headers = {"wap-network-info": f"mUserAlias:{ALIAS}"}
    seen = [tracker.counters()["seen"]]
    for path in ("/stats/", "/"):
        assert client.get(path, headers=headers).status_code == 200
        seen.append(tracker.counters()["seen"])
    assert (seen[0] == seen[1], seen[1] == seen[2]) == (True, False)
