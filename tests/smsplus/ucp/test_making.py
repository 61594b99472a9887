"""Messages made of what they are to say, and their answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware import gsm
from alias_middleware.smsplus import ucp
from tests.smsplus.ucp.strategies import ANY_TEXT, GSM_TEXT

ALIAS, SHORT_CODE = "314522927347", "36123"
NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "mt", "msg", "xser"),
    [
        pytest.param("Prix : 3 €", "3", "50726978203A2033201B65", "", id="the euro sign is an extension"),
        pytest.param("déjà", "3", "64056A7F", "", id="accents of the alphabet"),
        pytest.param("ça", "4", "00E70061", "020108", id="a c-cedilla makes it UCS-2"),
        pytest.param("😀", "4", "D83DDE00", "020108", id="a pair of units"),
        pytest.param("", "3", "", "", id="nothing"),
    ],
)
def test_a_text_chooses_its_alphabet(text: str, mt: str, msg: str, xser: str) -> None:
    """Septets where the alphabet has every character, UCS-2 with its coding scheme otherwise."""
    (message,) = ucp.submit(text, adc=ALIAS, oadc=SHORT_CODE)
    assert (message.mt, message.msg, message.xser) == (mt, msg, xser)
    assert message.nb == (f"{len(msg) * 4:04}" if mt == "4" else "")
    assert ucp.parse(ucp.encode(message)).text == text


def test_a_long_text_is_numbered() -> None:
    """Its parts share a reference and are numbered in the user data header, as every phone reads them."""
    parts = ucp.submit("a" * 160 + "b", adc=ALIAS, oadc=SHORT_CODE, reference=0xCC)
    assert [part.xser for part in parts] == ["0106050003CC0201", "0106050003CC0202"]
    assert [part.part for part in parts] == [ucp.Part(0xCC, 2, 1), ucp.Part(0xCC, 2, 2)]
    assert [part.text for part in parts] == ["a" * 153, "a" * 7 + "b"]


def test_a_wide_reference_has_an_element_of_its_own() -> None:
    """Above 255 the reference takes two octets."""
    parts = ucp.submit("a" * 161, adc=ALIAS, oadc=SHORT_CODE, reference=0x1234)
    assert [part.xser for part in parts] == ["010706080412340201", "010706080412340202"]
    assert parts[1].part == ucp.Part(0x1234, 2, 2)


def test_one_character_decides_the_alphabet_of_all_parts() -> None:
    """A long text with one foreign character is UCS-2 in every part, whatever stands in it."""
    parts = ucp.submit("a" * 100 + "ç", adc=ALIAS, oadc=SHORT_CODE)
    assert [part.mt for part in parts] == ["4", "4"]
    assert [part.xser for part in parts] == ["0201080106050003000201", "0201080106050003000202"]


@given((GSM_TEXT | ANY_TEXT).map(lambda text: text * 5), st.integers(0, 0xFFFF))
def test_the_parts_of_any_text_are_the_text(text: str, reference: int) -> None:
    """As many parts as segments are charged for; read one by one and joined, they are the text."""
    parts = ucp.submit(text, adc=ALIAS, oadc=SHORT_CODE, reference=reference)
    assert [ucp.parse(ucp.encode(part)).text for part in parts] == gsm.segments(text)


def test_more_parts_than_can_be_numbered_are_refused() -> None:
    """A header numbers at most 255 parts."""
    with pytest.raises(ucp.UcpError):
        ucp.submit("a" * (153 * 255 + 1), adc=ALIAS, oadc=SHORT_CODE)


@pytest.mark.parametrize(
    ("name", "oadc"),
    [
        pytest.param("ALPHA@NUM", "10412614190438AB4D", id="the specification's example"),
        pytest.param("INFO", "0749A7F109", id="seven half-octets"),
        pytest.param("Sonneri", "0DD3B7DB5D96A701", id="seven septets"),
        pytest.param("Sonnerie", "0ED3B7DB5D96A7CB", id="eight septets"),
        pytest.param("Sonneries36", "14D3B7DB5D96A7CBF3990D", id="as long as a name may be"),
    ],
)
def test_a_name_is_a_sender(name: str, oadc: str) -> None:
    """A sender that is no number is packed septets after the count of their half-octets, as OTOA says."""
    (message,) = ucp.submit("Bonjour", adc=ALIAS, oadc=name)
    frame = ucp.encode(message)
    assert f"/{ALIAS}/{oadc}/".encode() in frame
    assert (ucp.parse(frame).oadc, ucp.parse(frame).otoa) == (name, "5039")


def test_seven_letters_in_seven_octets_are_no_eight() -> None:
    """A sender that counts whole octets gives an eighth septet of zero bits, which is no part of the name."""
    (message,) = ucp.submit("Bonjour", adc=ALIAS, oadc="Sonneri")
    frame = ucp.encode(message).replace(b"/0DD3", b"/0ED3")
    frame = frame[:-3] + b"%02X\x03" % (sum(frame[1:-3]) & 0xFF)
    assert ucp.parse(frame).oadc == "Sonneri"


@pytest.mark.parametrize("name", ["Sonneries 36", "GARÇON ç", "1234567@", "ABCDEFG@"])
def test_what_is_no_name_is_refused(name: str) -> None:
    """At most 11 septets of the alphabet; eight that end in "@" could not be told from seven."""
    with pytest.raises(ucp.UcpError) as caught:
        ucp.encode(ucp.submit("Bonjour", adc=ALIAS, oadc=name)[0])
    assert caught.value.field == "oadc"


def test_a_subscribers_message_says_when_it_came() -> None:
    """SCTS is the moment on the clock it is given by."""
    paris = timezone(timedelta(hours=2))
    (message,) = ucp.deliver("ABO", adc=SHORT_CODE, oadc=ALIAS, at=NOON.astimezone(paris))
    assert (message.operation, message.scts) == (ucp.Operation.DELIVER, "010426140000")
    assert message.received_at(paris) == NOON


def test_a_notification_says_what_became_of_a_message() -> None:
    """Operation 53 finds its message by number and SCTS, and carries the outcome."""
    message = ucp.notify(
        adc=SHORT_CODE,
        oadc=ALIAS,
        submitted_at=NOON,
        at=NOON + timedelta(seconds=5),
        status=2,
        reason=108,
        text="no",
    )
    read = ucp.parse(ucp.encode(message))
    assert (read.scts, read.dscts, read.dst, read.rsn) == ("010426120000", "010426120005", "2", "108")
    assert (read.text, read.delivered_at(UTC)) == ("no", NOON + timedelta(seconds=5))


def test_a_notification_is_asked_for() -> None:
    """With `notify` the SMSC tells of delivery and of failure."""
    (message,) = ucp.submit("Bonjour", adc=ALIAS, oadc=SHORT_CODE, notify=True)
    assert (message.nrq, message.nt) == ("1", "3")


def test_a_session_opens_and_stays_open() -> None:
    """A login carries its password in digits, an alert says that we are there."""
    login, alert = ucp.parse(ucp.encode(ucp.login("36123", "secret €"))), ucp.parse(ucp.encode(ucp.alert("36123")))
    assert (login.operation, login.oadc, login.password) == (60, "36123", "secret €")
    assert (alert.operation, alert.adc) == (31, "36123")
    with pytest.raises(ucp.UcpError):
        ucp.login("36123", "gar\u00e7on")


@pytest.mark.parametrize("operation", list(ucp.Operation))
def test_every_question_has_its_answers(operation: ucp.Operation) -> None:
    """An answer has the number and the operation of its question."""
    question = ucp.Message(operation=operation, trn=42)
    accepted = ucp.parse(ucp.encode(ucp.accept(question, sm="36123:010426120000")))
    refused = ucp.parse(ucp.encode(ucp.refuse(question, ucp.ErrorCode.NOT_ALLOWED, sm="no")))
    assert (accepted.trn, accepted.operation, accepted.ack, accepted.sm) == (
        42,
        operation,
        "A",
        "36123:010426120000",
    )
    assert (refused.trn, refused.operation, refused.ack, refused.ec, refused.sm) == (
        42,
        operation,
        "N",
        "04",
        "no",
    )
