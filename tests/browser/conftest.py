"""One browser for all, and the dashboard served to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from alias_middleware import Tracker
from alias_middleware.dashboard import dashboard
from tests.browser.phones import launch
from tests.dashboard.audience import NOW, PASSWORD, fill, make_tracker
from tests.support.servers import uvicorn_server

_PATIENCE_MS = 30_000
"""A loaded machine takes its time; what is wrong is wrong then, too."""


@pytest.fixture(scope="package", autouse=True)
def _patience() -> None:
    expect.set_options(timeout=_PATIENCE_MS)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Give a running Chromium."""
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


@pytest.fixture(scope="package")
def known() -> Iterator[Tracker]:
    """Give a tracker with a known history."""
    tracker = make_tracker()
    fill(tracker)
    yield tracker
    tracker.close()


@pytest.fixture(scope="package")
def site(known: Tracker) -> Iterator[str]:
    """Give the address of its dashboard."""
    with uvicorn_server(dashboard(known, password=PASSWORD, now=NOW.timestamp)) as port:
        yield f"http://127.0.0.1:{port}"
