"""GSM 03.38: the alphabet, its septets, and how a long text is cut."""

from __future__ import annotations

import string
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware import gsm

GSM_TEXT = st.text(st.sampled_from(sorted(gsm.SEPTETS)), max_size=400)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


@pytest.mark.parametrize(
    ("text", "septets"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param(string.ascii_letters + string.digits, None, id="letters and digits are as in ASCII"),
        pytest.param("@£$¥èéùìòÇ\nØø\rÅå", "000102030405060708090a0b0c0d0e0f", id="first row"),
        pytest.param("Δ_ΦΓΛΩΠΨΣΘΞ", "101112131415161718191a", id="Greek"),
        pytest.param("ÆæßÉ", "1c1d1e1f", id="after the escape"),
        pytest.param("¤¡¿§à", "2440605f7f", id="where ASCII has others"),
        pytest.param("ÄÖÑÜäöñü", "5b5c5d5e7b7c7d7e", id="umlauts in the places of brackets"),
        pytest.param("€", "1b65", id="euro sign"),
        pytest.param("\f^{}\\[~]|", "1b0a1b141b281b291b2f1b3c1b3d1b3e1b40", id="the other extensions"),
    ],
)
def test_characters_have_their_septets(text: str, septets: str | None) -> None:
    """The table is that of TS 23.038, both ways."""
    coded = text.encode() if septets is None else bytes.fromhex(septets)
    assert gsm.encode(text) == coded
    assert gsm.decode(coded) == text
    assert sum(gsm.SEPTETS[char] for char in text) == len(coded)


@pytest.mark.parametrize(
    ("septets", "text"),
    [
        pytest.param("1b61", "a", id="no such extension"),
        pytest.param("1b1b65", " e", id="doubled"),
        pytest.param("611b", "a ", id="last"),
    ],
)
def test_unknown_escapes_are_read_as_the_standard_says(septets: str, text: str) -> None:
    """A septet after an escape that means nothing is itself; an escape alone is a space."""
    assert gsm.decode(bytes.fromhex(septets)) == text


@pytest.mark.parametrize("char", ["ç", "ê", "`", "\t", "\x00", "\x1b", "’", "œ", "😀"])
def test_other_characters_are_refused(char: str) -> None:
    """What has no septet makes a text other than GSM, and the error says where it stands."""
    text = f"d'{char}"
    assert not gsm.is_gsm(text)
    with pytest.raises(UnicodeEncodeError) as caught:
        gsm.encode(text)
    assert (caught.value.start, caught.value.end) == (2, 3)


def test_what_is_no_septet_is_refused() -> None:
    """An octet with its highest bit set is no septet."""
    with pytest.raises(UnicodeDecodeError) as caught:
        gsm.decode(b"ab\x80")
    assert caught.value.start == 2


@given(GSM_TEXT)
def test_text_survives_septets_and_octets(text: str) -> None:
    """Encoding, packing, unpacking and decoding give the text again; eight septets take seven octets."""
    septets = gsm.encode(text)
    packed = gsm.pack(septets)
    assert len(packed) == -(-len(septets) * 7 // 8)
    assert gsm.unpack(packed, len(septets)) == septets
    assert gsm.decode(septets) == text


@given(ANY_TEXT)
def test_a_text_is_gsm_when_it_can_be_encoded(text: str) -> None:
    """`is_gsm` and `encode` agree."""
    try:
        gsm.encode(text)
    except UnicodeEncodeError:
        assert not gsm.is_gsm(text)
    else:
        assert gsm.is_gsm(text)


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        pytest.param("hellohello", "e8329bfd4697d9ec37", id="the example every manual gives"),
        pytest.param("A", "41", id="one"),
        pytest.param("1234567", "31d98c56b3dd00", id="seven leave seven bits free"),
        pytest.param("12345678", "31d98c56b3dd70", id="eight fill seven octets"),
    ],
)
def test_septets_are_packed_as_the_standard_says(text: str, packed: str) -> None:
    """The first septet fills the lowest bits of the first octet."""
    assert gsm.pack(gsm.encode(text)).hex() == packed


def test_octets_that_end_early_give_zeros() -> None:
    """Asking for more septets than there are bits is no error."""
    assert gsm.unpack(b"\x41", 3) == b"\x41\0\0"


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        pytest.param("", [0], id="nothing is one message"),
        pytest.param("a" * 160, [160], id="a full message"),
        pytest.param("a" * 161, [153, 8], id="one over"),
        pytest.param("a" * 306, [153, 153], id="two full parts"),
        pytest.param("€" * 80, [80], id="a full message of escapes"),
        pytest.param("a" * 152 + "€" * 8, [152, 8], id="an escape stays with its character"),
        pytest.param("ç" * 70, [70], id="a full UCS-2 message"),
        pytest.param("ç" * 71, [67, 4], id="UCS-2, one over"),
        pytest.param("😀" * 35, [35], id="a full message of pairs"),
        pytest.param("ç" * 66 + "😀" * 3, [66, 3], id="a pair stays together"),
    ],
)
def test_long_texts_are_cut(text: str, sizes: list[int]) -> None:
    """160 septets or 70 units in one message, 153 or 67 in a part."""
    assert [len(part) for part in gsm.segments(text)] == sizes


@given(ANY_TEXT | GSM_TEXT)
def test_parts_are_the_text_and_fit(text: str) -> None:
    """Joined, the parts are the text; none is over its limit and none could have taken the next character."""
    parts = gsm.segments(text)
    assert "".join(parts) == text

    def size(part: str) -> int:
        return len(gsm.encode(part)) if gsm.is_gsm(text) else len(part.encode("utf-16-be")) // 2

    single, part_size = (160, 153) if gsm.is_gsm(text) else (70, 67)
    assert all(size(part) <= (single if len(parts) == 1 else part_size) for part in parts)
    assert all(size(part + after[0]) > part_size for part, after in pairwise(parts))
