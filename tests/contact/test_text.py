"""What goes out as an SMS: the STOP mention, the encoding, the segments."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware.contact import SmsText, sms_text
from alias_middleware.errors import ContactError


def transactional(text: str) -> SmsText:
    """A text to which nothing is added."""
    return sms_text(text, kind="transactional", sender="38123")


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        pytest.param("", "GSM 03.38", 0, 1, id="nothing is one message"),
        pytest.param("a" * 160, "GSM 03.38", 160, 1, id="160 fill one"),
        pytest.param("a" * 161, "GSM 03.38", 161, 2, id="161 need two"),
        pytest.param("a" * 306, "GSM 03.38", 306, 2, id="two of 153"),
        pytest.param("a" * 307, "GSM 03.38", 307, 3, id="three"),
        pytest.param("€" * 80, "GSM 03.38", 160, 1, id="80 euro signs fill one"),
        pytest.param("€" * 81, "GSM 03.38", 162, 2, id="81 need two"),
        pytest.param("a" * 152 + "€" + "a" * 152, "GSM 03.38", 306, 3, id="no extension character is split"),
        pytest.param("a" * 151 + "€" + "a" * 153, "GSM 03.38", 306, 2, id="one that ends a segment"),
        pytest.param("éèùìòàÇñäöüÅ", "GSM 03.38", 12, 1, id="accents of the alphabet"),
        pytest.param("[]{}\\~^|", "GSM 03.38", 16, 1, id="the extension"),
        pytest.param("ça", "UCS-2", 2, 1, id="c-cedilla in lower case"),
        pytest.param("fête", "UCS-2", 4, 1, id="e-circumflex"),
        pytest.param("ê" * 70, "UCS-2", 70, 1, id="70 fill one"),
        pytest.param("ê" * 71, "UCS-2", 71, 2, id="71 need two"),
        pytest.param("ê" * 134, "UCS-2", 134, 2, id="two of 67"),
        pytest.param("ê" * 135, "UCS-2", 135, 3, id="three of UCS-2"),
        pytest.param("😀" * 35, "UCS-2", 70, 1, id="35 signs of two units"),
        pytest.param("ê" * 66 + "😀" + "ê" * 66, "UCS-2", 134, 3, id="no surrogate pair is split"),
        pytest.param("ê" * 65 + "😀" + "ê" * 67, "UCS-2", 134, 2, id="a pair that ends a segment"),
    ],
)
def test_segments(text: str, encoding: str, units: int, segments: int) -> None:
    """160 or 153 septets, 70 or 67 units; nothing is split between two segments."""
    counted = transactional(text)
    assert (counted.encoding, counted.units, counted.segments) == (encoding, units, segments)
    assert (counted.text, counted.stop_mention) == (text, None)


def test_what_makes_it_dear() -> None:
    """The characters outside the alphabet are named, each once, in order."""
    assert transactional("Ça va être la fête, garçon ! 😀").outside == "êç😀"
    assert transactional("Ça va").outside == ""


def test_combining_accents_are_composed() -> None:
    """What some keyboards send as a letter and an accent is the letter of the alphabet."""
    assert transactional("e\u0301te\u0301") == SmsText("été", "GSM 03.38", 1, 3, None, "")


@pytest.mark.parametrize(
    ("text", "sent", "appended"),
    [
        pytest.param("Promo", "Promo STOP 36123", "STOP 36123", id="appended"),
        pytest.param("Promo. \n", "Promo. STOP 36123", "STOP 36123", id="after the text, not after blanks"),
        pytest.param("", "STOP 36123", "STOP 36123", id="alone"),
        pytest.param("Promo STOP 36123", "Promo STOP 36123", None, id="already there"),
        pytest.param("Promo stop au 36123.", "Promo stop au 36123.", None, id="already there, in words"),
        pytest.param("Promo (STOP au 36123)", "Promo (STOP au 36123)", None, id="in parentheses"),
        pytest.param("STOP 36123 fin", "STOP 36123 fin STOP 36123", "STOP 36123", id="not at the end"),
        pytest.param("NONSTOP 36123", "NONSTOP 36123 STOP 36123", "STOP 36123", id="another word"),
        pytest.param("Promo STOP", "Promo STOP STOP 36123", "STOP 36123", id="without its number"),
    ],
)
def test_marketing_ends_with_its_stop(text: str, sent: str, appended: str | None) -> None:
    """The visitor learns how to stop it, once, at the end."""
    made = sms_text(text, kind="marketing", sender="36123")
    assert (made.text, made.stop_mention) == (sent, appended)


def test_the_mention_is_counted() -> None:
    """A text that just fits is two segments with its mention."""
    assert sms_text("a" * 149, kind="marketing", sender="36123").segments == 1
    assert sms_text("a" * 150, kind="marketing", sender="36123").segments == 2


def test_a_name_needs_a_number_for_stop() -> None:
    """Nobody can answer a name: the number is told, and asked for."""
    made = sms_text("Promo", kind="marketing", sender="SONNERIES", stop_code="36105")
    assert made.text == "Promo STOP 36105"
    with pytest.raises(ContactError) as refused:
        sms_text("Promo", kind="marketing", sender="SONNERIES")
    assert refused.value.field == "stop_code"


@pytest.mark.parametrize("kind", ["transactional", "reply"])
def test_other_kinds_carry_no_mention(kind: Any) -> None:
    """Transactional messages and replies go out as they are."""
    assert sms_text("Code 1234", kind=kind, sender="38123").text == "Code 1234"


@pytest.mark.parametrize(
    ("text", "arguments", "field"),
    [
        pytest.param("x", {"kind": "promo", "sender": "36123"}, "kind", id="no such kind"),
        pytest.param("x", {"kind": "marketing", "sender": "MA BOUTIQUE"}, "sender", id="a sender with a blank"),
        pytest.param("x", {"kind": "reply", "sender": ""}, "sender", id="no sender"),
        pytest.param(
            "x", {"kind": "marketing", "sender": "SHOP", "stop_code": "SHOP"}, "stop_code", id="STOP to a name"
        ),
        pytest.param("x STOP 36999", {"kind": "marketing", "sender": "36123"}, "text", id="another code's STOP"),
        pytest.param("\ud83d", {"kind": "reply", "sender": "36123"}, "text", id="half a character"),
        pytest.param("a" * (153 * 255 + 1), {"kind": "reply", "sender": "36123"}, "text", id="too long"),
    ],
)
def test_what_cannot_be_sent_is_refused(text: str, arguments: dict[str, Any], field: str) -> None:
    """The error names the argument."""
    with pytest.raises(ContactError) as refused:
        sms_text(text, **arguments)
    assert refused.value.field == field


@given(st.text(st.characters(codec="utf-8"), max_size=400))
def test_any_text_fits_its_segments(text: str) -> None:
    """The segments have room for the units, and with one less they would not, but for characters kept whole."""
    made = transactional(text)
    single, part = (160, 153) if made.encoding == "GSM 03.38" else (70, 67)
    if made.units <= single:
        assert made.segments == 1
    else:
        assert made.units <= made.segments * part
        assert made.units > (made.segments - 1) * (part - 1)


@given(st.text(st.sampled_from("abé €ç\nSTOP36123."), max_size=60))
def test_the_mention_is_added_once(text: str) -> None:
    """Sending what was made adds nothing more."""
    made = sms_text(f"{text} x", kind="marketing", sender="36123")
    again = sms_text(made.text, kind="marketing", sender="36123")
    assert (again.text, again.stop_mention) == (made.text, None)
    assert again.segments == made.segments
