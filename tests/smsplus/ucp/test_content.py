"""What XSer, its header and its coding scheme say of a message."""

from __future__ import annotations

import pytest

from alias_middleware.smsplus import ucp

UTF16 = "00E70061"


@pytest.mark.parametrize(
    ("xser", "text"),
    [
        pytest.param("020108", "ça", id="UCS-2"),
        pytest.param("020118", "ça", id="with a class"),
        pytest.param("020148", "ça", id="to be deleted by itself"),
        pytest.param("0201E0", "ça", id="a waiting message"),
        pytest.param("0106050003CC0201020108", "ça", id="after a user data header"),
        pytest.param("", "", id="no coding scheme"),
        pytest.param("020104", "", id="octets"),
        pytest.param("0201F5", "", id="octets with a class"),
        pytest.param("020128", "", id="compressed"),
        pytest.param("020188", "", id="reserved"),
        pytest.param("0200", "", id="a scheme of no octet"),
        pytest.param("030108", "", id="another service"),
    ],
)
def test_the_coding_scheme_tells_text_from_octets(xser: str, text: str) -> None:
    """A transparent message is text when its scheme says UCS-2, else octets for whoever knows them."""
    message = ucp.Message(operation=ucp.Operation.DELIVER, mt="4", msg=UTF16, nb="0032", xser=xser)
    read = ucp.parse(ucp.encode(message))
    assert (read.text, read.data) == (text, bytes.fromhex(UTF16))


@pytest.mark.parametrize(
    ("xser", "part"),
    [
        pytest.param("", None, id="none"),
        pytest.param("020100", None, id="no header"),
        pytest.param("0106050003CC0201", ucp.Part(0xCC, 2, 1), id="one octet"),
        pytest.param("010706080412340302", ucp.Part(0x1234, 3, 2), id="two octets"),
        pytest.param("010C0B0504158200000003CC0201", ucp.Part(0xCC, 2, 1), id="after ports"),
        pytest.param("0106050003CC0200", None, id="part 0"),
        pytest.param("0106050003CC0203", None, id="part 3 of 2"),
        pytest.param("0106050003CC0001", None, id="of no parts"),
        pytest.param("01050400020201", None, id="an element of another length"),
    ],
)
def test_the_header_numbers_parts(xser: str, part: ucp.Part | None) -> None:
    """An element that cannot number a part is ignored, as TS 23.040 asks."""
    message = ucp.Message(operation=ucp.Operation.DELIVER, mt="3", msg="41", xser=xser)
    assert ucp.parse(ucp.encode(message)).part == part


def test_half_a_pair_is_no_character() -> None:
    """A part cut inside a surrogate pair still reads, with the mark for what is missing."""
    message = ucp.Message(operation=ucp.Operation.DELIVER, mt="4", msg="0041D83D", xser="020108")
    assert ucp.parse(ucp.encode(message)).text == "A\ufffd"


def test_a_numeric_message_is_its_digits() -> None:
    """A message of type 2 has no octets."""
    message = ucp.parse(ucp.encode(ucp.Message(operation=ucp.Operation.CALL_INPUT, mt="2", msg="0123")))
    assert (message.text, message.data) == ("0123", b"")
