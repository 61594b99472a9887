from __future__ import annotations

import re
from string import Formatter
from zoneinfo import ZoneInfo

import pytest

from alias_middleware.contact import RULES
from alias_middleware.dashboard.tables import Column
from alias_middleware.dashboard.texts import en, fr
from alias_middleware.dashboard.words import CATALOGUES, Words
from alias_middleware.statistics.definitions import DEFINITIONS


def test_catalogues_say_the_same() -> None:
    """Each language has every text, with the same places to fill in; and no text is the other's by mistake."""

    def places(text: str) -> set[str | None]:
        return {name for _, name, _, _ in Formatter().parse(text)}

    assert set(en.TEXTS) == set(fr.TEXTS)
    assert [key for key in en.TEXTS if places(en.TEXTS[key]) != places(fr.TEXTS[key])] == []


@pytest.mark.parametrize("language", sorted(CATALOGUES))
def test_every_definition_and_rule_has_its_text(language: str) -> None:
    """A figure or rule that is added must be explained in every language."""
    for name in DEFINITIONS:
        assert CATALOGUES[language][f"definition.{name}"], name
    for name in RULES:
        assert CATALOGUES[language][f"rule.{name}"], name


def test_a_definition_goes_by_table_then_by_figure() -> None:
    """A column's own definition goes before that of the figure of its name."""
    words = Words("en", ZoneInfo("Europe/Paris"))
    assert words.definition("pages.visitors") == DEFINITIONS["pages.visitors"]
    assert words.definition("visits.since") == DEFINITIONS["since"]
    assert words.definition("nothing.known") == ""


@pytest.mark.parametrize(("language", "said"), [("en", "continued"), ("fr", "poursuivie")])
def test_a_visit_that_went_on_is_called_so(language: str, said: str) -> None:
    """In the table of visitors by visits, not where visits are counted."""
    words = Words(language, ZoneInfo("Europe/Paris"))
    cells = [words.cell("0", Column("visits", "text")), words.cell("1", Column("visits", "text"))]
    assert [*cells, words.cell(0, Column("visits", "count"))] == [said, "1", "0"]


def test_typography() -> None:
    """French has its spaces before double signs, English none."""
    assert [key for key, text in fr.TEXTS.items() if re.search(r"\w[;!?]", text)] == []
    assert [key for key, text in en.TEXTS.items() if re.search(r"\s[;!?]", text)] == []
