"""Links between pages lead somewhere, as plain files on a forge and on the site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.pages import DOCS, ROOT, name_of, pages, prose

pytestmark = pytest.mark.once
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(?P<text>.+?)\s*$", re.MULTILINE)


def targets(page: Path) -> list[str]:
    """Give what a page links to, other hosts left out."""
    found = [match["target"] for match in _LINK.finditer(prose(page))]
    return [target for target in found if not target.startswith(("http://", "https://", "mailto:"))]


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, as forges and the site make them."""
    headings = [match["text"] for match in _HEADING.finditer(prose(page))]
    return {re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """A link names a file of the project and, behind `#`, a heading in it."""
    broken = []
    for target in targets(page):
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        if not aim.exists() or not aim.is_relative_to(ROOT) or (anchor and anchor not in anchors(aim)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", [page for page in pages() if page.is_relative_to(DOCS)], ids=name_of)
def test_pages_link_to_pages(page: Path) -> None:
    """A page of the site links to nothing outside docs/: it would be missing there."""
    aims = [(page.parent / target.partition("#")[0]).resolve() for target in targets(page)]
    assert [aim for aim in aims if not aim.is_relative_to(DOCS)] == []


def test_every_page_can_be_reached() -> None:
    """Who begins at docs/index.md comes to every page by links."""
    known, reached = {DOCS / "index.md"}, set[Path]()
    while new := known - reached:
        reached |= new
        known |= {
            aim
            for page in new
            for target in targets(page)
            if (aim := (page.parent / target.partition("#")[0]).resolve()).suffix == ".md" and aim.exists()
        }
    assert [name_of(page) for page in pages()[1:] if page not in reached] == []
