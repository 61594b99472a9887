"""Our encoder and decoder against the package `ucp`, which was written by others from the same specification.

Left out is what that package gets wrong: it puts a byte order mark before UCS-2, sends an alphanumeric sender
without its OTOA, and does not know the coding schemes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import ucp as independent
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware import gsm
from alias_middleware.smsplus import ucp

ALIAS, SHORT_CODE = "314522927347", "36123"
NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
TRN = st.integers(0, 99)
DIGITS = st.from_regex("[0-9]{1,16}", fullmatch=True)
ASCII_IN_GSM = st.text(st.sampled_from([char for char in gsm.SEPTETS if char.isascii()]), max_size=150)


def framed(message: ucp.Message, trn: int) -> str:
    return ucp.encode(msgspec.structs.replace(message, trn=trn)).decode("ascii")


@given(TRN, DIGITS, DIGITS, ASCII_IN_GSM.filter(lambda text: len(gsm.segments(text)) == 1))
def test_submissions_are_the_same_frames(trn: int, adc: str, oadc: str, text: str) -> None:
    """A text to a number, with a notification asked for, is the same frame to the last byte."""
    (message,) = ucp.submit(text, adc=adc, oadc=oadc, notify=True)
    theirs = independent.Request5x(51, trn, adc, oadc, nrq=1, nt=3, mt=3, xmsg=text, encoded=False)
    assert framed(message, trn) == str(theirs)


@given(TRN, DIGITS, DIGITS, ASCII_IN_GSM.filter(lambda text: len(gsm.segments(text)) == 1))
def test_subscribers_messages_are_the_same_frames(trn: int, adc: str, oadc: str, text: str) -> None:
    """So is an SMS-MO."""
    (message,) = ucp.deliver(text, adc=adc, oadc=oadc, at=NOON)
    theirs = independent.Request5x(52, trn, adc, oadc, scts="010426120000", mt=3, xmsg=text, encoded=False)
    assert framed(message, trn) == str(theirs)


@given(st.text(st.sampled_from([char for char in gsm.SEPTETS if char != "\f"]), min_size=1, max_size=160))
def test_septets_are_the_same(text: str) -> None:
    """Both tables of the alphabet agree, extensions included; the package has no form feed."""
    assert gsm.encode(text).hex().upper() == independent.encode_irahex(text)
    assert independent.decode_irahex(gsm.encode(text).hex().upper()) == text


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz 0123456789", min_size=1, max_size=11))
def test_names_are_the_same_octets(name: str) -> None:
    """Names are packed alike; the package counts whole octets where the specification counts those used."""
    name = f"N{name[1:]}"
    frame = ucp.encode(ucp.submit("", adc=ALIAS, oadc=name)[0])
    oadc = frame.split(b"/")[5].decode()
    assert oadc[2:] == independent.encode_bits7(name)[2:]


QUESTION = ucp.Message(operation=ucp.Operation.DELIVER)
LOGIN = {"oadc": "36123", "oton": "6", "onpi": "5", "styp": "1", "pwd": "secret", "vers": "4"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(
            ucp.login("36123", "secret"), independent.Request6x(60, 0, **LOGIN, encoded=False), id="login"
        ),
        pytest.param(ucp.alert("36123"), independent.Request31(31, 0, "36123", "0539"), id="alert"),
        pytest.param(
            ucp.accept(QUESTION, sm="1:010426120000"),
            independent.Response(52, "A", 0, sm="1:010426120000"),
            id="accepted",
        ),
        pytest.param(
            ucp.accept(ucp.alert("36123"), sm="0003"), independent.Response(31, "A", 0, sm="0003"), id="alive"
        ),
        pytest.param(
            ucp.refuse(ucp.login("36123", ""), ucp.ErrorCode.AUTHENTICATION),
            independent.Response(60, "N", 0, "07"),
            id="refused",
        ),
    ],
)
def test_sessions_and_answers_are_the_same_frames(ours: ucp.Message, theirs: Any) -> None:
    """Logins, alerts and answers too."""
    assert framed(ours, 0) == str(theirs)
    assert ucp.parse(str(theirs).encode()) == ours
