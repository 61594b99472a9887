"""Which sender carries which kind of message, and what the publisher's short codes stand for."""

from __future__ import annotations

from typing import Any

import pytest

from alias_middleware.contact import Kind, ShortCode, ShortCodes
from alias_middleware.contact.senders import sender_problem
from alias_middleware.errors import SettingsError


@pytest.mark.parametrize(
    ("sender", "marketing", "transactional"),
    [
        pytest.param("36123", None, "wrong_sender", id="36xxx"),
        pytest.param("38123", "wrong_sender", None, id="38xxx"),
        pytest.param("SONNERIES", None, None, id="letters"),
        pytest.param("Info2026", None, None, id="letters and digits"),
        pytest.param("ABCDEFGHIJK", None, None, id="eleven letters"),
        pytest.param("ABCDEFGHIJKL", "bad_sender", "bad_sender", id="twelve letters"),
        pytest.param("MON SITE", "bad_sender", "bad_sender", id="a blank"),
        pytest.param("été", "bad_sender", "bad_sender", id="accents"),
        pytest.param("", "bad_sender", "bad_sender", id="nothing"),
        pytest.param("SITE\n", "bad_sender", "bad_sender", id="a line's end"),
        pytest.param("٣٦١٢٣", "bad_sender", "bad_sender", id="digits of another script"),
        pytest.param("81234", "undeclared_sender", "undeclared_sender", id="an undeclared short code"),
        pytest.param("361234", "undeclared_sender", "undeclared_sender", id="36, and too long"),
        pytest.param("3612", "undeclared_sender", "undeclared_sender", id="36, and too short"),
        pytest.param("12345678901", "undeclared_sender", "undeclared_sender", id="digits only"),
    ],
)
def test_a_sender_fits_its_kind(sender: str, marketing: str | None, transactional: str | None) -> None:
    """Marketing from 36xxx, transactional from 38xxx, either from a name; anything else is refused."""
    assert sender_problem(sender, "marketing") == marketing
    assert sender_problem(sender, "transactional") == transactional


@pytest.mark.parametrize(
    ("declared", "marketing", "transactional"),
    [
        pytest.param({"marketing"}, None, "wrong_sender", id="for marketing"),
        pytest.param({"transactional"}, "wrong_sender", None, id="for transactional"),
        pytest.param({"marketing", "transactional"}, None, None, id="for both"),
        pytest.param({"reply"}, "wrong_sender", "wrong_sender", id="for replies only"),
    ],
)
def test_other_short_codes_carry_what_is_declared(
    declared: set[Kind], marketing: str | None, transactional: str | None
) -> None:
    """An SMS+ short code carries the kinds that the settings declare."""
    assert sender_problem("81234", "marketing", frozenset(declared)) == marketing
    assert sender_problem("81234", "transactional", frozenset(declared)) == transactional


def test_no_declaration_overrides_the_numbering() -> None:
    """36xxx is for marketing whatever the settings say."""
    assert sender_problem("36123", "transactional", frozenset({"transactional"})) == "wrong_sender"


PUSH = ShortCode(service="sonneries", offer="premium_push")
GAME = ShortCode(service="jeux", offer="premium_express")
CODES = ShortCodes(
    {
        "36123": PUSH,
        ("36124", "Jeu"): GAME,
        ("36124", "abo"): ShortCode(service="jeux", offer="premium_push"),
        "81234": ShortCode(service="chat", kinds=frozenset({"marketing"})),
        ("81234", "INFO"): ShortCode(service="chat", kinds=frozenset({"transactional"})),
    }
)


@pytest.mark.parametrize(
    ("short_code", "text", "entry"),
    [
        pytest.param("36123", "ABO", PUSH, id="by the code alone"),
        pytest.param("36123", "", PUSH, id="without a word"),
        pytest.param("36124", "jeu", GAME, id="by its keyword"),
        pytest.param("36124", "  Jéu! 42", GAME, id="by its keyword, folded"),
        pytest.param("36124", "autre", None, id="by no keyword"),
        pytest.param("36124", "le jeu", None, id="a keyword that is not the first word"),
        pytest.param("36125", "JEU", None, id="an unmapped code"),
    ],
)
def test_what_a_message_is_for(short_code: str, text: str, entry: ShortCode | None) -> None:
    """The first keyword goes before the code alone; an unmapped message is for nothing."""
    assert CODES.find(short_code, text) == entry


def test_a_keyword_goes_before_its_code() -> None:
    """Both may be given: the code alone takes what no keyword takes."""
    codes = ShortCodes({"36124": PUSH, ("36124", "JEU"): GAME})
    assert (codes.find("36124", "Jeu"), codes.find("36124", "ABO")) == (GAME, PUSH)


def test_everything_on_one_code() -> None:
    """A STOP names no keyword: the caller asks for all that a code stands for, and what it may carry."""
    assert [entry.offer for entry in CODES.on("36124")] == ["premium_express", "premium_push"]
    assert CODES.on("3") == []
    assert CODES.kinds("81234") == {"marketing", "transactional"}
    assert CODES.kinds("36123") == CODES.kinds("99999") == frozenset()


def test_it_is_a_mapping_by_folded_keys() -> None:
    """What was given can be looked through."""
    assert list(CODES)[:2] == ["36123", ("36124", "JEU")]
    assert CODES["36124", "JEU"] is GAME
    assert len(CODES) == 5


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"36 123": PUSH}, id="no short code"),
        pytest.param({36123: PUSH}, id="a number"),
        pytest.param({("36123", ""): PUSH}, id="an empty keyword"),
        pytest.param({("36123", "stop"): PUSH}, id="a command for a keyword"),
        pytest.param({("36123", "jeu"): PUSH, ("36123", "JEU"): GAME}, id="a keyword twice"),
        pytest.param({"36123": "sonneries"}, id="a plain name"),
        pytest.param({"36123": ShortCode(service="s", kinds=frozenset({"transactional"}))}, id="against 36xxx"),
        pytest.param({"38123": ShortCode(service="s", kinds=frozenset({"marketing"}))}, id="against 38xxx"),
    ],
)
def test_unusable_short_codes_are_refused(given: Any) -> None:
    """A setting that could not work is refused when it is made, under its name."""
    with pytest.raises(SettingsError) as refused:
        ShortCodes(given)
    assert refused.value.setting == "short_codes"


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"service": ""}, id="no service"),
        pytest.param({"service": "s", "offer": "premium"}, id="an unknown offer"),
        pytest.param({"service": "s", "kinds": {"spam"}}, id="an unknown kind"),
        pytest.param({"service": "s", "kinds": "marketing"}, id="a bare text"),
    ],
)
def test_an_unusable_short_code_is_refused(given: dict[str, Any]) -> None:
    """An unknown offer would open no window and refuse every message: better to say so at once."""
    with pytest.raises(SettingsError, match="short_codes"):
        ShortCode(**given)


def test_kinds_may_be_any_collection() -> None:
    """A list reads better in settings; it is kept as a set."""
    listed: Any = ["marketing", "reply"]
    assert ShortCode(service="s", kinds=listed).kinds == {"marketing", "reply"}
