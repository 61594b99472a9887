"""What the fields of a message mean, both ways: its text and alphabet, its place in a long text, a sender's name.

MT says how the message stands in its field: 2 digits, 3 GSM 03.38 septets, 4 octets. XSer adds services to it,
each a type, a length and so many octets: type 01 is the user data header of TS 23.040, type 02 the data coding
scheme of TS 23.038. All texts here are fields as `layout` lets them pass.
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from typing import Final, NamedTuple

from alias_middleware import gsm
from alias_middleware.errors import UcpError
from alias_middleware.smsplus.ucp.layout import GSM, NUMERIC, TRANSPARENT, ErrorCode

UCS2_SERVICE: Final = "020108"  # a data coding scheme of one octet: 08
_USER_DATA_HEADER, _CODING_SCHEME = 1, 2
_CONCATENATED, _CONCATENATED_WIDE = 0x00, 0x08  # information elements, with references of one and of two octets
_UCS2_GROUP, _CLASS_GROUPS = 0xE, 0xC

_SEPTETS = re.compile("(?:[0-7][0-9A-Fa-f])*")
_OCTETS = re.compile("(?:[0-9A-Fa-f]{2})*")
_DIGITS = re.compile("[0-9]*")
_LONGEST_NAME = 11


class Part(NamedTuple):
    """One part of a long text: the reference its parts share, how many they are, and which this is, from 1 on."""

    reference: int
    total: int
    number: int


class Content(NamedTuple):
    """The fields that a text takes in a message, by their names."""

    mt: str
    nb: str
    msg: str
    xser: str


def check_content(mt: str, nb: str, msg: str, xser: str) -> None:
    """Raise `UcpError` for a message that does not read as MT, NB and XSer say."""
    if mt == GSM:
        if not _SEPTETS.fullmatch(msg):
            raise _wrong("msg", "no septets in hexadecimal digits")
    elif mt == TRANSPARENT:
        _check_octets(nb, msg, xser)
    elif not _DIGITS.fullmatch(msg) or (msg and mt != NUMERIC):
        raise _wrong("msg", "no digits" if mt == NUMERIC else "a message without its type")
    if xser:
        read_part(xser)


def _check_octets(nb: str, msg: str, xser: str) -> None:
    if not _OCTETS.fullmatch(msg):
        raise _wrong("msg", "no octets in hexadecimal digits")
    if nb and (int(nb) + 7) // 8 != len(msg) // 2:
        raise _wrong("nb", f"{int(nb)} bits where the message has {len(msg) // 2} octets")
    if is_ucs2(xser) and len(msg) % 4:
        raise _wrong("msg", "half a character of UCS-2")


def read_text(mt: str, msg: str, xser: str) -> str:
    """The text of a message that passed `check_content`; empty for octets that are no text."""
    if mt == GSM:
        return gsm.decode(bytes.fromhex(msg))
    if mt == NUMERIC:
        return msg
    return bytes.fromhex(msg).decode("utf-16-be", "replace") if is_ucs2(xser) else ""


def write_text(text: str, part: Part | None = None, *, in_gsm: bool | None = None) -> Content:
    """The fields of a text that fits into one message: septets where the alphabet has it all, else UCS-2.

    `in_gsm` is said for a part, whose alphabet the whole text decides.
    """
    xser = "" if part is None else _part_service(part)
    if gsm.is_gsm(text) if in_gsm is None else in_gsm:
        return Content(GSM, "", gsm.encode(text).hex().upper(), xser)
    octets = text.encode("utf-16-be", "replace")
    return Content(TRANSPARENT, f"{8 * len(octets):04}", octets.hex().upper(), UCS2_SERVICE + xser)


def services(xser: str) -> list[tuple[int, bytes]]:
    """The types and octets of the services in XSer; `UcpError` where one is cut short."""
    return _elements(bytes.fromhex(xser))


def _elements(octets: bytes) -> list[tuple[int, bytes]]:
    """What stands in octets as types, lengths and data one after the other: services, and elements of a header."""
    found, place = [], 0
    while place < len(octets):
        start = place + 2
        end = start + octets[place + 1] if start <= len(octets) else start
        if end > len(octets):
            raise _wrong("xser", "a service or an element of its header is cut short")
        found.append((octets[place], octets[start:end]))
        place = end
    return found


def is_ucs2(xser: str) -> bool:
    """Whether the data coding scheme in XSer says UCS-2 (TS 23.038, section 4)."""
    for kind, data in services(xser):
        if kind == _CODING_SCHEME and data:
            scheme = data[0]
            if scheme >> 4 >= _CLASS_GROUPS:
                return scheme >> 4 == _UCS2_GROUP
            return scheme & 0xAC == 0x08  # uncompressed, alphabet 2; bits 0, 1, 4 and 6 say what is no alphabet
    return False


def read_part(xser: str) -> Part | None:
    """Which part of a long text this is, None where XSer numbers none; `UcpError` for one that does not read."""
    for kind, data in services(xser):
        if kind == _USER_DATA_HEADER:
            return _part(data)
    return None


def _part(header: bytes) -> Part | None:
    if not header or header[0] != len(header) - 1:
        raise _wrong("xser", "the user data header has another length than it says")
    for kind, data in _elements(header[1:]):
        wide = kind == _CONCATENATED_WIDE
        if kind in (_CONCATENATED, _CONCATENATED_WIDE) and len(data) == 3 + wide:
            part = Part(int.from_bytes(data[: 1 + wide]), data[-2], data[-1])
            return part if 1 <= part.number <= part.total else None  # else to be ignored: TS 23.040, 9.2.3.24.1
    return None


def _part_service(part: Part) -> str:
    if not (1 <= part.number <= part.total <= 0xFF and 0 <= part.reference <= 0xFFFF):
        raise _wrong("xser", "no number of a part: 1 to 255 of at most 255, the reference under 65536")
    wide = part.reference > 0xFF
    element = part.reference.to_bytes(1 + wide) + bytes([part.total, part.number])
    header = bytes([_CONCATENATED_WIDE if wide else _CONCATENATED, len(element)]) + element
    return bytes([_USER_DATA_HEADER, len(header) + 1, len(header), *header]).hex().upper()


def read_name(oadc: str) -> str:
    """The sender's name in an OAdC of type 5039: how many half-octets are used, then packed septets.

    Some senders count whole octets, and so give a name of seven letters an eighth of zero bits: that "@" is
    dropped.
    """
    try:
        octets = bytes.fromhex(oadc)
    except ValueError:
        octets = b""
    if not octets or octets[0] > 2 * (len(octets) - 1):
        raise _wrong("oadc", "no name: its length, then packed septets, in hexadecimal digits")
    septets = gsm.unpack(octets[1:], octets[0] * 4 // 7)
    return gsm.decode(septets[:7] if len(septets) == 8 and septets[7] == 0 else septets)


def write_name(name: str) -> str:
    """The OAdC of type 5039 for a sender's name: at most 11 septets, and no eight of which the last is "@"."""
    septets = gsm.encode(name) if gsm.is_gsm(name) else b"\0" * 8
    if len(septets) > _LONGEST_NAME or septets[7:] == b"\0":
        raise _wrong("oadc", f"no name of at most {_LONGEST_NAME} characters of the GSM alphabet")
    return (bytes([(7 * len(septets) + 3) // 4]) + gsm.pack(septets)).hex().upper()


def read_time(stamp: str, zone: tzinfo | None, *, field: str) -> datetime:
    """The moment of a stamp DDMMYYhhmmss, of 1970 to 2069; `UcpError` where no calendar has it."""
    day, month, year, hour, minute, second = (int(stamp[at : at + 2]) for at in range(0, 12, 2))
    try:
        return datetime(2000 + year if year < 70 else 1900 + year, month, day, hour, minute, second, tzinfo=zone)
    except ValueError:
        raise _wrong(field, "no moment of the calendar") from None


def write_time(moment: datetime) -> str:
    """The stamp of a moment, as the clock of its own zone shows it."""
    return f"{moment:%d%m%y%H%M%S}"


def _wrong(field: str, problem: str) -> UcpError:
    return UcpError(problem, code=ErrorCode.SYNTAX, field=field)
