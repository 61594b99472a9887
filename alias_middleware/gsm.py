"""The alphabet of short messages, GSM 03.38: text as septets, and the segments a long text travels in.

Pure tables and rules (3GPP TS 23.038 for the alphabet, TS 23.040 for the segments), for the count before a message
is sent as for the codecs that carry it. Septets stand one to a byte here; `pack` puts eight into seven octets.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The default alphabet: a septet's value is its character's place. Place 0x1B is the escape, no character."""

EXTENSION: Final[Mapping[str, str]] = MappingProxyType(
    {"\n": "\f", "Λ": "^", "(": "{", ")": "}", "/": "\\", "<": "[", "=": "~", ">": "]", "¡": "|", "e": "€"}
)
"""What an escape makes of the character after it; these take two septets each."""

_ESCAPE = "\x1b"

SEPTETS: Final[Mapping[str, int]] = MappingProxyType(
    {char: 1 for char in BASIC if char != _ESCAPE} | dict.fromkeys(EXTENSION.values(), 2)
)
"""The septets of every character of the alphabet, 1 or 2; any other character makes its text UCS-2."""

SINGLE_SEPTETS: Final = 160
PART_SEPTETS: Final = 153  # the header that numbers the parts takes seven
SINGLE_UNITS: Final = 70
PART_UNITS: Final = 67

_NO_SEPTET = "\ufffd"
_ENCODING = str.maketrans(
    {
        chr(code): _NO_SEPTET for code in range(128)
    }  # "`" would pass for the septet 0x60, which is another character
    | {char: chr(code) for code, char in enumerate(BASIC) if char != _ESCAPE}
    | {char: _ESCAPE + chr(BASIC.index(base)) for base, char in EXTENSION.items()}
)
_ESCAPED = re.compile("\x1b(.?)", re.DOTALL)


def is_gsm(text: str) -> bool:
    """Whether every character is in the alphabet or its extension."""
    return SEPTETS.keys() >= set(text)


def encode(text: str) -> bytes:
    """The septets of a text, one to a byte.

    Raises:
        UnicodeEncodeError: a character is not in the alphabet; lower-case c-cedilla and e-circumflex are not.
    """
    try:
        return text.translate(_ENCODING).encode("ascii")
    except UnicodeEncodeError:
        at = next(place for place, char in enumerate(text) if char not in SEPTETS)
        raise UnicodeEncodeError("GSM 03.38", text, at, at + 1, "not in the alphabet") from None


def decode(septets: bytes) -> str:
    """The text of septets, one to a byte.

    As TS 23.038 asks of a receiver, an escape before a septet that has no extension is ignored, and a doubled or
    last one is a space.

    Raises:
        UnicodeDecodeError: a byte is above 0x7F.
    """
    try:
        text, _ = codecs.charmap_decode(septets, "strict", BASIC)
    except UnicodeDecodeError as error:
        raise UnicodeDecodeError("GSM 03.38", septets, error.start, error.end, "no septet") from None
    return _ESCAPED.sub(_extended, text) if _ESCAPE in text else text


def _extended(escaped: re.Match[str]) -> str:
    char = escaped[1]
    return " " if char in ("", _ESCAPE) else EXTENSION.get(char, char)


def pack(septets: bytes) -> bytes:
    """Septets in octets, the first in the lowest bits (TS 23.038, 6.1.2.1); the last octet ends in zero bits."""
    bits = sum(septet << 7 * place for place, septet in enumerate(septets))
    return bits.to_bytes((7 * len(septets) + 7) // 8, "little")


def unpack(octets: bytes, count: int) -> bytes:
    """The first `count` septets of packed octets; those that the octets do not reach to are zero."""
    bits = int.from_bytes(octets, "little")
    return bytes(bits >> 7 * place & 0x7F for place in range(count))


def segments(text: str) -> list[str]:
    """The parts that a text travels in, at least one; their number is what a message is charged for.

    In the alphabet a lone message holds 160 septets and a part 153; otherwise UCS-2, 70 and 67 units of 16 bits.
    Neither an escaped character nor a surrogate pair is split.
    """
    if is_gsm(text):
        return _cut(text, SEPTETS.__getitem__, single=SINGLE_SEPTETS, part=PART_SEPTETS)
    return _cut(text, lambda char: 1 if char <= "\uffff" else 2, single=SINGLE_UNITS, part=PART_UNITS)


def _cut(text: str, width: Callable[[str], int], *, single: int, part: int) -> list[str]:
    widths = [width(char) for char in text]
    if sum(widths) <= single:
        return [text]
    starts, room = [0], part
    for place, taken in enumerate(widths):
        if taken > room:
            starts.append(place)
            room = part
        room -= taken
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
