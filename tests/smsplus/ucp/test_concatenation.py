"""Long texts joined from their parts, in any order, with what never comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware.smsplus import ucp
from tests.smsplus.ucp.strategies import ANY_TEXT, GSM_TEXT

ALIAS, OTHER, SHORT_CODE = "314522927347", "271828182845", "36123"
NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def parts(text: str, *, reference: int = 7, oadc: str = ALIAS) -> list[ucp.Message]:
    return ucp.deliver(text, adc=SHORT_CODE, oadc=oadc, at=NOON, reference=reference)


@given((GSM_TEXT | ANY_TEXT).map(lambda text: text * 6), st.randoms(use_true_random=False))
def test_parts_in_any_order_make_the_text(text: str, dice: Random) -> None:
    """Only the last to come gives the text, whole and once; repetitions on the way change nothing."""
    reassembler = ucp.Reassembler()
    sent = parts(text)
    dice.shuffle(sent)
    for part in [*sent[:-1], *sent[:-1]]:
        assert reassembler.add(part, NOON) == []
    (whole,) = reassembler.add(sent[-1], NOON)
    assert (whole.text, whole.missing, whole.first.oadc) == (text, (), ALIAS)
    assert len(reassembler) == 0


@pytest.mark.parametrize(
    ("mt", "xser", "octets", "text"),
    [
        pytest.param("3", "", ["411B", "6542"], "A€B", id="an escape and its character"),
        pytest.param("4", "020108", ["0041D83D", "DE000042"], "A😀B", id="a surrogate pair"),
    ],
)
def test_what_a_sender_cut_through_is_joined(mt: str, xser: str, octets: list[str], text: str) -> None:
    """Some senders cut where they should not; the parts are joined before they are read."""
    reassembler = ucp.Reassembler()
    services = [f"{xser}0106050003070201", f"{xser}0106050003070202"]
    sent = [
        ucp.Message(operation=ucp.Operation.DELIVER, oadc=ALIAS, mt=mt, msg=msg, xser=service)
        for msg, service in zip(octets, services, strict=True)
    ]
    assert [whole.text for part in sent for whole in reassembler.add(part, NOON)] == [text]


def test_a_lone_message_is_given_back() -> None:
    """What is no part waits for nothing."""
    (message,) = parts("ABO")
    assert ucp.Reassembler().add(message, NOON) == [ucp.LongMessage(message, "ABO", ())]


def test_senders_and_references_are_kept_apart() -> None:
    """Two visitors, and two texts of one visitor, may come at the same time."""
    reassembler = ucp.Reassembler()
    texts = [parts("a" * 161), parts("b" * 161, oadc=OTHER), parts("c" * 161, reference=8)]
    mixed = [part for number in (0, 1) for part in (text[number] for text in texts)]
    whole = [one for part in mixed for one in reassembler.add(part, NOON)]
    assert [one.text for one in whole] == ["a" * 161, "b" * 161, "c" * 161]
    assert [one.first.oadc for one in whole] == [ALIAS, OTHER, ALIAS]


def test_what_never_becomes_whole_is_given_up_with_its_gaps() -> None:
    """After its time a text is given back with what came of it, and what is missing."""
    reassembler = ucp.Reassembler(lifetime=HOUR)
    sent = parts("a" * 153 + "b" * 153 + "c" * 153 + "d" * 153 + "e")
    assert reassembler.add(sent[0], NOON) == []
    assert reassembler.add(sent[3], NOON + HOUR - SECOND) == []
    assert reassembler.expire(NOON + HOUR - SECOND) == []
    (late,) = reassembler.expire(NOON + HOUR)
    assert late.missing == (2, 3, 5)
    assert late.text == "a" * 153 + "[...]" + "d" * 153 + "[...]"
    assert len(reassembler) == 0


def test_time_passes_with_every_message() -> None:
    """Who never asks what has expired learns it with the next message."""
    reassembler = ucp.Reassembler(lifetime=HOUR)
    assert reassembler.add(parts("a" * 161)[1], NOON) == []
    given_up, message = reassembler.add(parts("ABO")[0], NOON + HOUR)
    assert (given_up.text, given_up.missing, message.text) == ("[...]" + "a" * 8, (1,), "ABO")


def test_a_reference_used_again_begins_another_text() -> None:
    """Another text in the place of a part: the old one is given up, the new one becomes whole."""
    reassembler = ucp.Reassembler()
    old, new = parts("a" * 161), parts("b" * 161)
    assert reassembler.add(old[0], NOON) == []
    (given_up,) = reassembler.add(new[0], NOON)
    assert (given_up.text, given_up.missing) == ("a" * 153 + "[...]", (2,))
    (whole,) = reassembler.add(new[1], NOON)
    assert whole.text == "b" * 161


def test_what_waits_is_bounded() -> None:
    """When too many texts wait, the oldest is given up: nobody fills the memory with first parts."""
    reassembler = ucp.Reassembler(limit=2)
    firsts = [parts(letter * 161, reference=number)[0] for number, letter in enumerate("abc")]
    given_up = [one for part in firsts for one in reassembler.add(part, NOON)]
    assert [one.text for one in given_up] == ["a" * 153 + "[...]"]
    assert len(reassembler) == 2


def test_parts_of_different_kinds_are_read_apart() -> None:
    """Where one part is septets and the next UCS-2, each is read as what it is."""
    reassembler = ucp.Reassembler()
    latin, other = parts("a" * 161)[0], parts("ç" * 71)[1]
    assert reassembler.add(latin, NOON) == []
    (whole,) = reassembler.add(other, NOON)
    assert whole.text == "a" * 153 + "ç" * 4


def test_a_part_resent_with_another_number_is_the_same_part() -> None:
    """The SMSC repeats what was not acknowledged, under another TRN."""
    reassembler = ucp.Reassembler()
    first, second = parts("a" * 161)
    assert reassembler.add(first, NOON) == []
    assert reassembler.add(msgspec.structs.replace(first, trn=9), NOON) == []
    (whole,) = reassembler.add(second, NOON)
    assert whole.text == "a" * 161


def test_a_long_message_keeps_to_itself_what_is_private() -> None:
    """Neither alias nor text is in a representation."""
    (whole,) = ucp.Reassembler().add(parts("ABO")[0], NOON)
    assert repr(whole) == "LongMessage(Message(DELIVER 52, trn=00), 3 characters, missing=())"
