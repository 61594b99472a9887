"""The reference says what the code says. With ALIAS_WRITE_DOCS=1 its pages are written anew."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import Any, get_args, get_type_hints

import pytest

from alias_middleware.errors import SpoolError
from alias_middleware.identity import Status
from alias_middleware.storage.base import Outcome
from tests.docs import prose
from tests.docs.reference import NOTE, PAGES
from tests.support.pages import DOCS, ROOT

pytestmark = pytest.mark.once
COUNTERS = (DOCS / "reference/counters.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_page_is_what_the_code_says(name: str) -> None:
    """Whatever a user may set, call or meet is on its page, with its present default and meaning."""
    for extra in ("click", "flask", "starlette", "httpx"):
        pytest.importorskip(extra)
    page = DOCS / "reference" / f"{name}.md"
    made = NOTE + PAGES[name]().rstrip() + "\n"
    if os.environ.get("ALIAS_WRITE_DOCS") == "1":
        page.write_text(made, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == made, "write it anew: ALIAS_WRITE_DOCS=1"


def counted() -> set[str]:
    """The counters that the code counts."""
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "alias_middleware").rglob("*.py"))
    names = set(re.findall(r'counters\.add\(\s*"([a-z_]+)"', source))
    for dropped in (r'dropped\["([a-z_]+)"\]', r'"dropped\.([a-z_]+)"', r'\b(?:add_)?dropped\(\s*"([a-z_]+)"'):
        names |= set(re.findall(dropped, source))
    names |= {f"spool_{reason}" for reason in get_args(get_type_hints(SpoolError.__init__)["reason"])}
    names |= {name.partition(".")[2] or name for name in Outcome(1, 1, Counter(erased=1), 1, 1).counts()}
    names |= {str(status) for status in Status}
    names |= {"continuity", *re.findall(r'"(duplicate|msisdn_seen|underscore_variant|unknown_key)"', source)}
    return names | {"seen", "spooled", "dropped", "identity", "storage_unavailable", "torn", "breaker_open"}


@pytest.mark.parametrize("name", sorted(counted()))
def test_counter_is_explained(name: str) -> None:
    """A counter that the code counts is on its page."""
    assert f"`{name}`" in COUNTERS


class Undocumented:
    """Has a method without a word."""

    loud = True
    """Whether it is heard."""

    def __init__(self) -> None:
        """Say nothing of it."""
        self._hidden = 1
        """Nobody's business."""
        self.seen = 2
        """What is to be seen."""

    def silent(self) -> None: ...

    def spoken(self, one: int, *, two: str = "2", **more: Any) -> None:
        """Say something.

        Raises:
            ValueError: what was said,
                and went on.
        """


def test_silence_is_noticed() -> None:
    """What has no docstring cannot get into the reference."""
    with pytest.raises(ValueError, match="undocumented"):
        prose.docstring(Undocumented.silent)


def test_docstring_becomes_markdown() -> None:
    """Sections become lists, signatures lose their types."""
    assert prose.docstring(Undocumented.spoken) == (
        "Say something.\n\nRaises:\n\n- `ValueError`: what was said, and went on."
    )
    assert prose.signature(Undocumented.spoken) == "(one, *, two='2', **more)"
    assert prose.table(("a", "b"), [("x|y", "z")]) == "| a | b |\n| --- | --- |\n| x\\|y | z |\n"


def test_attributes_are_found() -> None:
    """What is said behind a public attribute, in the class or its constructor, is its documentation."""
    found = {"loud": "Whether it is heard.", "seen": "What is to be seen."}
    assert prose.said_of_attributes(Undocumented) == found
