"""The dashboard as a reader sees it, with a known history behind it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from alias_middleware import Tracker
from alias_middleware.dashboard.period import Period
from alias_middleware.dashboard.report import report
from tests.browser.phones import DESKTOP, PHONE, Scheme, keep, looking, press, violations
from tests.dashboard.audience import ALIAS, FIRST, LAST, NOW, PASSWORD, UNTIL

PAGES = {"overview": "/", "visitors": "/visitors", "campaigns": "/campaigns", "health": "/health"}


def enter(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Password").or_(page.get_by_label("Mot de passe")).fill(PASSWORD)
    press(page.locator("main button"))
    expect(page.locator("h1")).to_have_text(re.compile("Overview|Vue d'ensemble"))


def find(page: Page, alias: str) -> None:
    page.goto("/visitors")
    page.locator("#alias").fill(alias)
    press(page.locator("main button").first)
    expect(page.locator("h1")).to_contain_text("31…47")


def test_figures_on_screen_are_the_api_s(browser: Browser, site: str, known: Tracker) -> None:
    """What a reader reads is what the API says; every figure of every table of pages, too."""
    summary = known.statistics.summary(FIRST, UNTIL)
    with looking(browser, site) as page:
        enter(page)
        shown = {
            figure.get_attribute("data-figure"): figure.inner_text() for figure in page.locator(".value").all()
        }
        for name in ("visitors", "new_visitors", "visits", "page_views", "clients", "orders", "messages"):
            assert shown[name] == f"{getattr(summary, name):,}"
        assert shown["revenue.EUR"] == f"€{summary.revenue['EUR']:,.2f}"
        page.locator("#pages summary").click()
        cells = [row.locator("th, td").all_inner_texts() for row in page.locator("#pages tbody tr").all()]
        rows = known.statistics.pages(FIRST, UNTIL).rows
        assert [(each[0], each[2], each[3]) for each in cells] == [
            (row.path, f"{row.page_views:,}", f"{row.visitors:,}") for row in rows
        ]


def test_links_and_forms_work_without_script(browser: Browser, site: str, known: Tracker) -> None:
    """Another period, channel and language; the pages of the menu; leaving."""
    with looking(browser, site) as page:
        enter(page)
        press(page.get_by_role("link", name="Last 7 days"))
        expect(page.locator("#first")).to_have_value("2026-03-25")
        page.locator("#first").fill(str(FIRST))
        page.locator("#channel").select_option("sms")
        press(page.get_by_role("button", name="Show"))
        expected = known.statistics.summary(FIRST, UNTIL, channel="sms").messages
        expect(page.locator('[data-figure="messages"]')).to_have_text(str(expected))
        for name in ("Visitors", "Campaigns", "Health", "Overview"):
            press(page.get_by_role("navigation").get_by_role("link", name=name))
            expect(page.locator("h1")).to_have_text(name)
        press(page.get_by_role("button", name="Français"))
        expect(page.locator("h1")).to_have_text("Vue d'ensemble")
        press(page.get_by_role("button", name="Se déconnecter"))
        expect(page.locator("h1")).to_have_text("Sign in")
        page.goto("/")
        expect(page.locator("h1")).to_have_text("Sign in")


def test_downloads(browser: Browser, site: str, known: Tracker) -> None:
    """The CSV below a picture is a file of the period shown."""
    with looking(browser, site, accept_downloads=True) as page:
        enter(page)
        with page.expect_download() as download:
            page.locator("#products .download a").click()
        assert download.value.suggested_filename == f"products-{FIRST}-{LAST}.csv"
        assert Path(download.value.path()).read_text().splitlines()[0].startswith("sku,name,quantity")


def test_a_visitor_is_never_named_in_a_url(browser: Browser, site: str) -> None:
    """From the alias to the page, a verdict, and aliases shown whole when asked."""
    with looking(browser, site) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        enter(page)
        find(page, ALIAS)
        assert ALIAS not in page.content()
        expect(page.locator("main")).to_contain_text("Zoé")
        expect(page.locator("section[aria-labelledby=interests-title] tbody")).to_contain_text("pages:")
        page.locator("#offer").select_option("premium_transaction")
        press(page.get_by_role("button", name="Judge"))
        expect(page.locator(".decision")).to_contain_text("Verdict:")
        page.goto("/visitors")
        press(page.get_by_role("button", name="Show aliases whole"))
        expect(page.get_by_role("link", name=ALIAS)).to_be_visible()
        press(page.get_by_role("button", name="Shorten aliases"))
        expect(page.get_by_role("link", name=ALIAS)).to_have_count(0)
        assert ALIAS not in page.content()
        assert not any(ALIAS in url for url in asked)


def test_by_keyboard(browser: Browser, site: str) -> None:
    """The first Tab offers the way past the menu; Enter takes it."""
    with looking(browser, site) as page:
        enter(page)
        page.goto("/")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_class("skip")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile("#content$"))
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Last 7 days")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [pytest.param(DESKTOP, id="desktop"), pytest.param(PHONE, id="phone")])
def test_everybody_can_use_it(browser: Browser, site: str, size: Any, scheme: Scheme) -> None:
    """No page breaks WCAG 2.2 A or AA, or is wider than the screen."""
    name = f"{scheme}-{'phone' if size == PHONE else 'desktop'}"
    locale = "fr-FR" if size == PHONE else "en-GB"
    options: dict[str, Any] = {"java_script_enabled": True, "bypass_csp": True, "locale": locale}
    found: dict[str, list[str]] = {}

    def check(page: Page, title: str) -> None:
        keep(page, f"{title}-{name}")
        found[title] = violations(page)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), title

    with looking(browser, site, size=size, scheme=scheme, **options) as page:
        page.goto("/login")
        check(page, "login")
        enter(page)
        for title, path in PAGES.items():
            page.goto(path)
            check(page, title)
        find(page, ALIAS)
        page.locator("#offer").select_option("premium_transaction")
        press(page.locator("section[aria-labelledby=contact-title] button"))
        expect(page.locator(".decision")).to_be_visible()
        check(page, "visitor")
    assert [each for problems in found.values() for each in problems] == []


def test_the_report(browser: Browser, known: Tracker, tmp_path: Path) -> None:
    """One file from the disk: figures, no script, no request, accessible, and it prints."""
    file = tmp_path / "report.html"
    file.write_text(report(known, Period(FIRST, UNTIL, None, "news"), language="fr", now=NOW))
    with looking(browser, f"file://{tmp_path}/", java_script_enabled=True, bypass_csp=True) as page:
        page.goto(file.as_uri())
        visitors = known.statistics.summary(FIRST, UNTIL).visitors
        expect(page.locator('[data-figure="visitors"]')).to_have_text(str(visitors))
        keep(page, "report")
        assert violations(page) == []
        assert page.pdf().startswith(b"%PDF")
