"""The documentation builds as a site, without a warning and without anything from another host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support.pages import DOCS, ROOT

pytestmark = pytest.mark.once
_LOADED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does."""
    pytest.importorskip("properdocs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "properdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    done = subprocess.run(
        command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_site_has_every_page(built: Path) -> None:
    """Each Markdown file is a page of the site."""
    expected = [page.relative_to(DOCS).with_suffix(".html") for page in DOCS.rglob("*.md")]
    assert [page for page in expected if not (built / page).is_file()] == []


class Loads(HTMLParser):
    """Gathers what a browser would load for a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in _LOADED and given.get("rel") not in {"canonical", "prev", "next"}:
            self.found.append(given.get(_LOADED[tag]) or "")


def test_site_asks_no_other_host(built: Path) -> None:
    """Styles, scripts, fonts and pictures are the site's own."""
    loaded = {address for page in built.rglob("*.html") for address in Loads(page).found}
    styles = "".join(sheet.read_text(encoding="utf-8") for sheet in built.rglob("*.css"))
    loaded |= set(re.findall(r"url\(([^)]+)\)", styles))
    assert [address for address in loaded if re.match(r"['\"]?(https?:)?//", address)] == []
