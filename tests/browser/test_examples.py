"""Both example sites as two subscribers see them, each through the simulated gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from alias_middleware.testing.gateway import SimulatedGateway, constant_subscriber
from examples.flask_app.app import create_app as make_flask
from examples.site import settings
from examples.starlette_app.app import create_app as make_starlette
from tests.browser.phones import PHONE, keep, looking, press, violations
from tests.support.servers import uvicorn_server, waitress_server

ZOE, NOBODY_YET = "314522927347", "271828182845"


@contextmanager
def seen_by(port: int, alias: str) -> Iterator[str]:
    """Give the address at which a site is seen by one subscriber."""
    with SimulatedGateway(f"http://127.0.0.1:{port}", constant_subscriber(alias)) as gateway:
        yield gateway.url


@pytest.fixture(params=["flask", "starlette"])
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """Serve an example site, and give its port."""
    storage = f"sqlite:///{tmp_path}/alias.db"
    if request.param == "flask":
        with waitress_server(make_flask(storage=storage)) as at:
            yield at
    else:
        with uvicorn_server(make_starlette(**settings() | {"storage": storage})) as at:
            yield at


def submit(page: Page, which: Literal["first", "last"]) -> None:
    """Send one of the page's forms."""
    press(getattr(page.locator("form button, form input[type=submit]"), which))


def choose(page: Page) -> None:
    """Fill in the settings, as Zoé likes the site."""
    page.goto("/settings")
    page.locator('[name="name"]').fill("Zoé")
    page.locator('[name="font"]').select_option("large")
    page.locator('[name="favourites"][value="cinema"]').check()
    submit(page, "last")


def test_a_site_is_another_for_each_subscriber(
    browser: Browser, port: int, request: pytest.FixtureRequest
) -> None:
    """What one chose and read shapes his pages, without a login; the other's are as before."""
    framework = request.node.callspec.params["port"]
    with seen_by(port, ZOE) as hers, looking(browser, hers, size=PHONE) as page:
        choose(page)
        expect(page.locator("body")).to_contain_text("Zoé")
        page.goto("/shop")
        submit(page, "first")
        page.goto("/news/music")
        page.goto("/")
        expect(page.locator("body")).to_contain_text("Zoé")
        menu = page.locator("body").inner_text()
        assert menu.index("cinema") < menu.index("sport")
        keep(page, f"example-{framework}-{ZOE}")
    with seen_by(port, NOBODY_YET) as his, looking(browser, his, size=PHONE) as page:
        page.goto("/")
        expect(page.locator("body")).not_to_contain_text("Zoé")
        keep(page, f"example-{framework}-{NOBODY_YET}")


def test_everybody_can_use_the_examples(browser: Browser, port: int) -> None:
    """No page of them breaks WCAG 2.2, A or AA."""
    with seen_by(port, ZOE) as hers, looking(browser, hers, size=PHONE, java_script_enabled=True) as page:
        for path in ("/", "/news/sport", "/shop", "/settings"):
            page.goto(path)
            found = violations(page)
            assert found == [], found
