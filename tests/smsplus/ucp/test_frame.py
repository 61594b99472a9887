"""Frames: read, made, refused, and found in a stream."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alias_middleware.identity import WapNetworkInfo
from alias_middleware.smsplus import ucp
from alias_middleware.smsplus.ucp.layout import LAYOUTS
from tests.smsplus.ucp.strategies import DELIVERED, FRAMES, changed, damaged, messages, sealed

Argument = TypeVar("Argument")
Result = TypeVar("Result")

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
MO = FRAMES[3]
SUBMITTED = next(frame for frame in FRAMES if b"/O/51/" in frame)
LOGIN = next(frame for frame in FRAMES if b"/O/60/" in frame)


@pytest.mark.parametrize("case", DELIVERED, ids=[case["text"] for case in DELIVERED])
@pytest.mark.parametrize("framed", [False, True], ids=["bare", "with STX and ETX"])
def test_delivered_messages_are_read(case: dict[str, Any], framed: bool) -> None:
    """The frames of the specification and of the field give who wrote what to which short code."""
    frame = case["frame"].encode()
    message = ucp.parse(b"\x02" + frame + b"\x03" if framed else frame)
    assert message.operation is ucp.Operation.DELIVER
    assert not message.is_response
    found = message.adc, message.oadc, message.scts, message.text
    assert found == (case["adc"], case["oadc"], case["scts"], case["text"])
    assert WapNetworkInfo().accepts(message.oadc) == (case["alias"] is not None)


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame[:15].decode())
def test_frames_of_others_are_made_alike(frame: bytes) -> None:
    """What was read from somebody else's frame is written as that frame again."""
    assert ucp.encode(ucp.parse(frame)) == b"\x02" + frame + b"\x03"


def test_every_field_of_a_submission_has_its_name() -> None:
    """Operation 51 has 33 fields, each in its place."""
    message = ucp.parse(SUBMITTED)
    found = {name: value for name in LAYOUTS[51, "O"].names if (value := getattr(message, name))}
    assert len(LAYOUTS[51, "O"].names) == 33
    assert found == {
        "adc": "012345",
        "oadc": "09876",
        "nrq": "1",
        "nadc": "1920870340125000",
        "nt": "4",
        "npid": "0539",
        "vp": "3012961212",
        "mt": "3",
        "msg": "4D657373616765203531",
    }
    assert (message.trn, message.text) == (18, "Message 51")


def test_logins_alerts_and_calls_are_read() -> None:
    """Operations 60, 31 and 01 give their own fields."""
    login, alert = ucp.parse(LOGIN), ucp.parse(FRAMES[5])
    assert (login.oadc, login.password, login.styp, login.vers) == ("07656765", "Password", "1", "0100")
    assert (alert.operation, alert.adc, alert.pid) == (31, "0234765439845", "0139")
    assert ucp.parse(FRAMES[4]).text == "Short Message"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param("R/52/A//076567:010196010101", ("A", "", "", "076567:010196010101"), id="accepted"),
        pytest.param("R/51/A/0101960101/", ("A", "", "0101960101", ""), id="accepted, another validity"),
        pytest.param("R/31/A/0003", ("A", "", "", "0003"), id="alert accepted"),
        pytest.param("R/60/A/BIND AUTHENTICATED", ("A", "", "", "BIND AUTHENTICATED"), id="login accepted"),
        pytest.param("R/01/A/01234567890:090196103258", ("A", "", "", "01234567890:090196103258"), id="call"),
        pytest.param("R/51/N/06/AdC invalid", ("N", "06", "", "AdC invalid"), id="refused"),
        pytest.param("R/60/N/07/", ("N", "07", "", ""), id="login refused"),
    ],
)
def test_answers_are_read(data: str, expected: tuple[str, ...]) -> None:
    """An answer accepts or refuses; longer ones have MVP before what the system says."""
    message = ucp.parse(sealed(f"42/00000/{data}/".encode()))
    assert message.is_response
    assert (message.ack, message.ec, message.mvp, message.sm) == expected
    assert ucp.parse(ucp.encode(message)) == message


@given(messages())
def test_messages_survive_their_frame(message: ucp.Message) -> None:
    """Whatever the kind and the fields, parsing the encoded frame gives the message again."""
    assert ucp.parse(ucp.encode(message)) == message


REFUSED = [
    pytest.param(b"", 2, "header", id="nothing"),
    pytest.param(b"\x02\x03", 2, "header", id="an empty frame"),
    pytest.param(b"\x02", 2, "header", id="STX alone"),
    pytest.param(MO + b"\x03", 2, "header", id="ETX without STX"),
    pytest.param(b"\x02" + MO, 2, "header", id="STX without ETX"),
    pytest.param(MO + b"\n", 2, "header", id="a final newline"),
    pytest.param(MO.replace(b"/O/", b"/X/"), 2, "header", id="neither question nor answer"),
    pytest.param(MO.replace(b"07/", b"7/", 1), 2, "header", id="TRN of one digit"),
    pytest.param("\u06607/".encode() + MO[3:], 2, "header", id="Arabic digits"),
    pytest.param(sealed(b"07/0/O/52/" + b"a" * 5000 + b"/"), 2, "header", id="longer than any frame"),
    pytest.param(MO.replace(b"00083", b"00082"), 2, "len", id="another length"),
    pytest.param(MO[:40] + MO[41:], 2, "len", id="a byte lost"),
    pytest.param(MO[:-2] + b"C9", 1, "chk", id="another checksum"),
    pytest.param(MO[:-2] + b"c8", 1, "chk", id="checksum in lower case"),
    pytest.param(MO.replace(b"81234", b"81235"), 1, "chk", id="a byte changed"),
    pytest.param(sealed(b"07/0/O/30/1/"), 3, "ot", id="an operation not served here"),
    pytest.param(sealed(b"07/0/O/99/1/"), 3, "ot", id="an operation nobody has"),
    pytest.param(sealed(b"07/0/O/31/1/0139/2/"), 2, "data", id="a field too many"),
    pytest.param(sealed(b"07/0/O/31/1/"), 2, "data", id="a field too few"),
    pytest.param(sealed("07/0/O/31/é/0139/".encode()), 2, "data", id="not ASCII"),
    pytest.param(changed(MO, adc="8123A"), 2, "adc", id="letters in an address"),
    pytest.param(changed(MO, adc="1" * 23), 2, "adc", id="an endless address"),
    pytest.param(changed(MO, oadc="31452292734F"), 2, "oadc", id="hexadecimal without its type"),
    pytest.param(changed(MO, otoa="5039", oadc="07C9A7"), 2, "oadc", id="a name cut short"),
    pytest.param(changed(MO, otoa="5039", oadc="07C9A"), 2, "oadc", id="half an octet of a name"),
    pytest.param(changed(MO, otoa="5039", oadc=""), 2, "oadc", id="a name of no length"),
    pytest.param(changed(MO, scts="1509081200"), 2, "scts", id="a stamp without seconds"),
    pytest.param(changed(MO, scts="310208120000"), 2, "scts", id="31 February"),
    pytest.param(changed(MO, dscts="290223120000"), 2, "dscts", id="29 February of a usual year"),
    pytest.param(changed(MO, scts="150908246000"), 2, "scts", id="24:60"),
    pytest.param(changed(MO, mt="5"), 23, "mt", id="a type of message not served here"),
    pytest.param(changed(MO, mt="33"), 23, "mt", id="no type of message at all"),
    pytest.param(changed(MO, mt="x"), 2, "mt", id="a letter for a type"),
    pytest.param(changed(MO, mt=""), 2, "msg", id="a message without a type"),
    pytest.param(changed(MO, mt="2"), 2, "msg", id="letters in a numeric message"),
    pytest.param(changed(MO, msg="474"), 2, "msg", id="half an octet"),
    pytest.param(changed(MO, msg="47E9"), 2, "msg", id="what is no septet"),
    pytest.param(changed(MO, msg="4G"), 2, "msg", id="no hexadecimal digit"),
    pytest.param(changed(MO, msg="41" * 641), 24, "msg", id="more than 640 characters"),
    pytest.param(changed(MO, mt="4", msg="004"), 2, "msg", id="transparent, half an octet"),
    pytest.param(changed(MO, mt="4", msg="00", xser="020108"), 2, "msg", id="half a character of UCS-2"),
    pytest.param(changed(MO, mt="4", msg="0041", nb="0024"), 2, "nb", id="more bits than there are"),
    pytest.param(changed(MO, mt="4", msg="0041", nb="0008"), 2, "nb", id="fewer bits than there are"),
    pytest.param(changed(MO, xser="0105000302"), 2, "xser", id="a service cut short"),
    pytest.param(changed(MO, xser="01"), 2, "xser", id="a service without its length"),
    pytest.param(changed(MO, xser="0100"), 2, "xser", id="an empty user data header"),
    pytest.param(changed(MO, xser="0106060003CC0201"), 2, "xser", id="a header of another length"),
    pytest.param(changed(MO, xser="0106050004CC0201"), 2, "xser", id="an element of another length"),
    pytest.param(changed(MO, xser="0106050003CC020102"), 2, "xser", id="a second service cut short"),
    pytest.param(changed(LOGIN, styp=""), 2, "styp", id="a login of no kind"),
    pytest.param(changed(LOGIN, pwd="80"), 2, "pwd", id="a password of no septets"),
    pytest.param(sealed(b"07/0/R/52/X///"), 2, "ack", id="an answer neither A nor N"),
    pytest.param(sealed(b"07/0/R/52/A//"), 2, "data", id="an answer without MVP"),
    pytest.param(sealed(b"07/0/R/31/A///"), 2, "data", id="an answer with MVP that has none"),
    pytest.param(sealed(b"07/0/R/52/N/1//"), 2, "ec", id="an error code of one digit"),
]


@pytest.mark.parametrize(("frame", "code", "field"), REFUSED)
def test_what_is_no_frame_is_refused_with_its_code(frame: bytes, code: int, field: str) -> None:
    """Every fault has UCP's own code, the field at fault, and no value of any field in its message."""
    with pytest.raises(ucp.UcpError) as caught:
        ucp.parse(frame)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert "314522927347" not in str(caught.value)


@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        pytest.param(MO[:-2] + b"C9", "07/00022/R/52/N/01//", id="checksum"),
        pytest.param(sealed(b"42/0/O/30/1/"), "42/00022/R/30/N/03//", id="unknown operation"),
        pytest.param(changed(MO, adc="8123A"), "07/00022/R/52/N/02//", id="syntax"),
        pytest.param(b"nonsense", None, id="nobody to answer"),
        pytest.param(sealed(b"07/0/R/52/X///"), None, id="an answer is not answered"),
    ],
)
def test_a_faulty_frame_is_refused_where_it_can_be(frame: bytes, answer: str | None) -> None:
    """The answer has the number and the operation of the frame that could not be read."""
    with pytest.raises(ucp.UcpError) as caught:
        ucp.parse(frame)
    refusal = ucp.refuse_frame(caught.value)
    if answer is None:
        assert refusal is None
    else:
        assert refusal == b"\x02" + sealed(answer.encode()) + b"\x03"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param({"adc": "36/123"}, "adc", id="a slash in an address"),
        pytest.param({"sm": "a/b", "is_response": True, "ack": "A"}, "sm", id="a slash in an answer"),
        pytest.param({"ac": "\x03"}, "ac", id="ETX in a field"),
        pytest.param({"ac": "é"}, "ac", id="not ASCII"),
        pytest.param({"msg": "414"}, "msg", id="half an octet"),
        pytest.param({"oadc": "NAME"}, "oadc", id="a name without its type"),
        pytest.param({"oadc": "AVERYLONGNAME", "otoa": "5039"}, "oadc", id="a name too long"),
        pytest.param({"oadc": "GARÇON ê", "otoa": "5039"}, "oadc", id="a name outside the alphabet"),
        pytest.param({"scts": "300224000000"}, "scts", id="30 February"),
        pytest.param({"trn": 100}, "header", id="TRN of three digits"),
        pytest.param({"trn": -1}, "header", id="TRN below zero"),
        pytest.param({"is_response": True}, "header", id="an answer that neither accepts nor refuses"),
    ],
)
def test_what_fits_into_no_frame_is_not_encoded(changes: dict[str, Any], field: str) -> None:
    """No field can break out of its place."""
    fields: dict[str, Any] = {"operation": ucp.Operation.DELIVER, "mt": "3", **changes}
    with pytest.raises(ucp.UcpError) as caught:
        ucp.encode(ucp.Message(**fields))
    assert caught.value.field == field


def outcome(work: Callable[[Argument], Result], argument: Argument) -> Result | ucp.UcpError:
    """What comes of some work: its result, or the error with one of UCP's codes."""
    try:
        return work(argument)
    except ucp.UcpError as error:
        if error.code not in list(ucp.ErrorCode):
            raise
        return error


def look_at(message: ucp.Message) -> None:
    """Read all that a message says."""
    assert isinstance(message.text, str)
    message.text.encode()  # no half of a pair
    assert isinstance(message.data, bytes)
    assert message.part is None or 1 <= message.part.number <= message.part.total
    assert isinstance(message.password, str)
    message.received_at(UTC)
    message.delivered_at(UTC)
    assert ucp.parse(ucp.encode(message)) == message


VARIED = [
    *FRAMES,
    *(
        ucp.encode(message)[1:-1]
        for message in [
            *ucp.submit("Déjà 12 € " * 20, adc="314522927347", oadc="INFO", reference=7, notify=True),
            *ucp.deliver("Ça va, François ? " * 5, adc="36123", oadc="314522927347", at=NOON, reference=300),
            ucp.notify(
                adc="36123", oadc="314522927347", submitted_at=NOON, at=NOON, status=2, reason=108, text="ç"
            ),
            ucp.accept(ucp.parse(MO), sm="314522927347:010196010101"),
            ucp.refuse(ucp.parse(LOGIN), ucp.ErrorCode.AUTHENTICATION),
        ]
    ),
]


def test_nothing_but_a_message_or_an_error_comes_of_damaged_frames() -> None:
    """A damaged frame, sealed again or not, is read whole and usable, or refused with a code."""
    fields, read = set(), 0
    for frame in islice(damaged(VARIED, random.Random(36123)), 20_000):
        message = outcome(ucp.parse, frame)
        if isinstance(message, ucp.UcpError):
            fields.add(message.field)
            refusal = ucp.refuse_frame(message)
            assert refusal is None or refusal[1:-1] == sealed(refusal[1:-3])
        else:
            read += 1
            look_at(message)
    assert read > 500
    assert {"header", "len", "chk", "ot", "data", "ack", "mt", "nb", "msg", "xser", "oadc", "scts"} <= fields


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda noise: sealed(b"00/0/O/52/" + noise + b"/")))
@example(changed(MO, mt="4", xser="0201", msg=""))
@example(changed(MO, mt="4", xser="020108", msg="D83D"))
@example(changed(MO, msg="1B"))
def test_nothing_but_a_message_or_an_error_comes_of_any_bytes(frame: bytes) -> None:
    """Bytes from anywhere are a message or refused with a code, whatever stands in them."""
    message = outcome(ucp.parse, frame)
    if not isinstance(message, ucp.UcpError):
        look_at(message)


FIELD = st.text(st.sampled_from("0123456789ABCDEF/é+ \x03"), max_size=26)


@given(st.sampled_from(sorted(LAYOUTS)), st.data())
def test_nothing_but_a_frame_or_an_error_comes_of_any_fields(kind: tuple[int, str], data: st.DataObject) -> None:
    """A frame that is made can be read, and gives the fields it was made of."""
    operation, letter = kind
    fields: dict[str, Any] = data.draw(st.dictionaries(st.sampled_from(LAYOUTS[kind].names), FIELD, max_size=6))
    fields |= {} if letter == "O" else {"ack": letter}
    message = ucp.Message(operation=ucp.Operation(operation), is_response=letter != "O", **fields)
    frame = outcome(ucp.encode, message)
    assert isinstance(frame, ucp.UcpError) or ucp.parse(frame) == message


@pytest.mark.parametrize(
    ("stream", "frames", "rest"),
    [
        pytest.param(b"", [], b"", id="nothing"),
        pytest.param(b"\x02one\x03\x02two\x03", [b"one", b"two"], b"", id="two frames"),
        pytest.param(b"\x02one\x03\x02tw", [b"one"], b"\x02tw", id="a frame and a half"),
        pytest.param(b"\r\n\x02one\x03noise\x02two\x03", [b"one", b"two"], b"", id="noise between frames"),
        pytest.param(b"\x02lost\x02one\x03", [b"one"], b"", id="a frame begun anew"),
        pytest.param(b"lost\x03\x02one\x03", [b"one"], b"", id="an end without a beginning"),
        pytest.param(b"noise", [], b"", id="no beginning"),
        pytest.param(b"\x02" + b"a" * 5000, [], b"", id="longer than any frame"),
    ],
)
def test_frames_are_cut_out_of_a_stream(stream: bytes, frames: list[bytes], rest: bytes) -> None:
    """Whole frames are given, the rest is kept for what comes next, noise is dropped."""
    assert ucp.cut(stream) == (frames, rest)


@given(st.lists(st.sampled_from(FRAMES), max_size=6), st.data())
def test_frames_arrive_however_the_stream_is_cut(sent: list[bytes], data: st.DataObject) -> None:
    """Received in pieces of any size, every frame arrives once."""
    stream = b"".join(b"\x02" + frame + b"\x03" for frame in sent)
    rest, received = b"", list[bytes]()
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        frames, rest = ucp.cut(rest + stream[:size])
        stream = stream[size:]
        received += frames
    assert (received, rest) == (sent, b"")


def test_a_message_keeps_to_itself_what_is_private() -> None:
    """Neither alias nor text nor password is in a representation."""
    assert repr(ucp.parse(MO)) == "Message(DELIVER 52, trn=07)"
    assert "Password" not in repr(ucp.parse(LOGIN))
    assert repr(ucp.refuse(ucp.parse(MO), ucp.ErrorCode.SYNTAX)) == "Message(DELIVER 52, trn=07, refused with 02)"


def test_stamps_are_moments_of_the_clock_they_are_read_by() -> None:
    """SCTS tells no zone: whoever reads it knows where the SMSC's clock stands."""
    message = ucp.parse(MO)
    assert message.received_at(UTC) == datetime(2008, 9, 15, 12, tzinfo=UTC)
    assert message.delivered_at(UTC) is None
    old = ucp.parse(FRAMES[0]).received_at(UTC)
    assert old is not None
    assert old.year == 1996
