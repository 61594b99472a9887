"""A real browser: Debian's Chromium, with what it must never do noted while it does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright

from tests.support.real import require_program

SCREENSHOTS = Path(__file__).parent.parent.parent / "build" / "screenshots"

DESKTOP, PHONE = (1280, 900), (390, 844)

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}

Scheme = Literal["light", "dark"]


def launch(playwright: Playwright) -> Browser:
    """Start the browser; it is on the machine, none is fetched."""
    return playwright.chromium.launch(executable_path=require_program("chromium"), args=_FLAGS)


def press(target: Locator) -> None:
    """Click what leads to another page, and wait until that is wholly there.

    Whatever is read before would be the old page's, or half of the new one; leaving before gives a request up.
    """
    with target.page.expect_navigation():
        target.click()


class Watch:
    """What went wrong on the pages of a context: console errors, failed requests, requests to other hosts."""

    def __init__(self, context: BrowserContext, host: str) -> None:
        self.problems: list[str] = []
        self._host = host
        context.on("console", lambda message: self._heard(message.type, message.text))
        context.on("weberror", lambda error: self.problems.append(f"error: {error.error}"))
        context.on("request", lambda request: self._asked(request.url))
        context.on("requestfailed", lambda request: self._failed(request.url, request.failure or ""))

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.problems.append(f"console: {text}")

    def _failed(self, url: str, why: str) -> None:
        if not (why == "net::ERR_ABORTED" and urlsplit(url).path.endswith(".csv")):  # a download leaves its page
            self.problems.append(f"failed: {url} {why}")

    def _asked(self, url: str) -> None:
        if urlsplit(url).netloc != self._host and not url.startswith("data:"):
            self.problems.append(f"outside: {url}")


@contextmanager
def looking(
    browser: Browser, site: str, *, size: tuple[int, int] = DESKTOP, scheme: Scheme = "light", **options: Any
) -> Iterator[Page]:
    """Open a page that may do nothing but ask the site; without script unless said otherwise.

    At the end nothing may have gone wrong.
    """
    width, height = size
    options.setdefault("java_script_enabled", False)
    options.setdefault("locale", "en-GB")
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, base_url=site, **options
    )
    watch = Watch(context, urlsplit(site).netloc)
    try:
        yield context.new_page()
        assert watch.problems == [], watch.problems
    finally:
        context.close()


def violations(page: Page) -> list[str]:
    """Ask axe what breaks WCAG 2.2, levels A and AA. The page's own policy forbids scripts: axe comes past it.

    Pictures are left out: they are hidden from assistive technology, and their tables are not.
    """
    found = Axe().run(page, context={"exclude": [[".chart svg"]]}, options=_RULES)
    return [
        f"{each['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:300]}"
        for each in found.response["violations"]
        for node in each["nodes"]
    ]


def keep(page: Page, name: str) -> None:
    """Keep a screenshot of the whole page, to be looked at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
