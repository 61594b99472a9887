"""What UCP frames are made of: operations, error codes, and the fields of each frame with what they may hold.

Tables only. What a message's text means is in `content`, how frames are cut and joined in `frame`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple


class Operation(IntEnum):
    """The operations understood here, by their number in the frame."""

    CALL_INPUT = 1
    ALERT = 31
    SUBMIT = 51
    DELIVER = 52
    NOTIFY = 53
    LOGIN = 60


class ErrorCode(IntEnum):
    """Why a frame is refused: the codes of the specification that concern these operations."""

    CHECKSUM = 1
    SYNTAX = 2
    UNSUPPORTED_OPERATION = 3
    NOT_ALLOWED = 4
    CALL_BARRING = 5
    ADDRESS_INVALID = 6
    AUTHENTICATION = 7
    MESSAGE_TYPE = 23
    MESSAGE_TOO_LONG = 24


ALPHANUMERIC: Final = "5039"
"""The OTOA of a sender that is a name, no number."""

NUMERIC, GSM, TRANSPARENT = "2", "3", "4"  # the values of MT

LONGEST_MESSAGE: Final = 1280  # digits: 640 characters
ADDRESS: Final = re.compile(r"\+?[0-9]{0,22}")

_ADDRESS = ADDRESS.pattern
_FLAG = "[0-9]?"
_PROTOCOL = "(?:[0-9]{4})?"
_DATE = "(?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2])[0-9]{2}"  # DDMMYY; `content.read_time` knows the months
_TIME = "(?:[01][0-9]|2[0-3])[0-5][0-9]"
_MINUTE = f"(?:{_DATE}{_TIME})?"
_SECOND = f"(?:{_DATE}{_TIME}[0-5][0-9])?"
_HEX = "(?:[0-9A-Fa-f]{2})*"
_SEPTETS = "(?:[0-7][0-9A-Fa-f])*"
_MESSAGE = f"[0-9A-Fa-f]{{0,{LONGEST_MESSAGE}}}"
_TEXT = "[ -.0-~]*"  # printable, but for the slash

_FIELDS_5X: Final = (
    ("adc", _ADDRESS),
    ("oadc", r"\+?[0-9A-Fa-f]{0,22}"),  # hex where OTOA says so
    ("ac", _TEXT),
    ("nrq", _FLAG),
    ("nadc", _ADDRESS),
    ("nt", "[0-7]?"),
    ("npid", _PROTOCOL),
    ("lrq", _FLAG),
    ("lrad", _ADDRESS),
    ("lpid", _PROTOCOL),
    ("dd", _FLAG),
    ("ddt", _MINUTE),
    ("vp", _MINUTE),
    ("rpid", _PROTOCOL),
    ("scts", _SECOND),
    ("dst", _FLAG),
    ("rsn", "[0-9]{0,3}"),
    ("dscts", _SECOND),
    ("mt", "[2-4]?"),
    ("nb", "[0-9]{0,4}"),
    ("msg", _MESSAGE),
    ("mms", _FLAG),
    ("pr", _TEXT),
    ("dcs", _FLAG),
    ("mcls", _FLAG),
    ("rpi", _FLAG),
    ("cpg", _TEXT),
    ("rply", _TEXT),
    ("otoa", "(?:[0-9]{4})?"),
    ("hplmn", _ADDRESS),
    ("xser", _HEX),
    ("res4", _TEXT),
    ("res5", _TEXT),
)
_FIELDS_01: Final = (
    ("adc", _ADDRESS),
    ("oadc", _ADDRESS),
    ("ac", _TEXT),
    ("mt", "[23]"),
    ("msg", _MESSAGE),
)
_FIELDS_31: Final = (("adc", _ADDRESS), ("pid", _PROTOCOL))
_FIELDS_60: Final = (
    ("oadc", "[ -.0-~]{1,16}"),
    ("oton", _FLAG),
    ("onpi", _FLAG),
    ("styp", "[1-6]"),
    ("pwd", _SEPTETS),
    ("npwd", _SEPTETS),
    ("vers", "[01]{0,4}"),
    ("ladc", _TEXT),
    ("lton", _FLAG),
    ("lnpi", _FLAG),
    ("opid", "[0-9]{0,2}"),
    ("res1", _TEXT),
)
_SHORT_ANSWER: Final = (("ack", "A"), ("sm", _TEXT))
_LONG_ANSWER: Final = (("ack", "A"), ("mvp", _TEXT), ("sm", _TEXT))
_REFUSAL: Final = (("ack", "N"), ("ec", "[0-9]{2}"), ("sm", _TEXT))


class Layout(NamedTuple):
    """The fields of one kind of frame, in order, and one pattern that all of them match when joined by slashes."""

    names: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]
    whole: re.Pattern[str]


def _layout(fields: tuple[tuple[str, str], ...]) -> Layout:
    return Layout(
        names=tuple(name for name, _ in fields),
        patterns=tuple(re.compile(pattern) for _, pattern in fields),
        whole=re.compile("/".join(f"(?:{pattern})" for _, pattern in fields)),
    )


def _layouts() -> dict[tuple[int, str], Layout]:
    five = (_layout(_FIELDS_5X), _layout(_LONG_ANSWER))
    short = _layout(_SHORT_ANSWER)
    kinds = {
        Operation.CALL_INPUT: (_layout(_FIELDS_01), short),
        Operation.ALERT: (_layout(_FIELDS_31), short),
        Operation.SUBMIT: five,
        Operation.DELIVER: five,
        Operation.NOTIFY: five,
        Operation.LOGIN: (_layout(_FIELDS_60), short),
    }
    refusal = _layout(_REFUSAL)
    return {
        (operation, kind): layout
        for operation, (asked, accepted) in kinds.items()
        for kind, layout in {"O": asked, "A": accepted, "N": refusal}.items()
    }


LAYOUTS: Final[Mapping[tuple[int, str], Layout]] = MappingProxyType(_layouts())
"""The layout by operation and kind of frame: ``"O"`` asks, ``"A"`` accepts, ``"N"`` refuses."""
