"""What goes out as an SMS: the text with its STOP mention, its encoding, and the segments it is charged for."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal, NamedTuple

from alias_middleware.contact.senders import Kind, check_kind, is_alphanumeric, is_short_code
from alias_middleware.errors import ContactError
from alias_middleware.gsm import SEPTETS, is_gsm, segments

Encoding = Literal["GSM 03.38", "UCS-2"]

MOST_SEGMENTS: Final = 255  # their number travels in one octet (3GPP TS 23.040, 9.2.3.24.1)

_MENTION: Final = re.compile(r"\bSTOP(?:\s+au)?\s+([0-9]{3,})[\s.!)]*$", re.IGNORECASE | re.ASCII)


class SmsText(NamedTuple):
    """A text as it is sent.

    ``segments`` is what is charged for; ``units`` the septets of GSM 03.38 or the 16-bit units of UCS-2;
    ``stop_mention`` what was appended, None when nothing was; ``outside`` the characters, each once, that are not
    in GSM 03.38 and so more than double the price of a long text.
    """

    text: str
    encoding: Encoding
    segments: int
    units: int
    stop_mention: str | None
    outside: str


def sms_text(text: str, *, kind: Kind, sender: str, stop_code: str | None = None) -> SmsText:
    """Make a text ready to send and count its segments.

    A marketing text ends with its STOP mention (S2): ``STOP 36123`` is appended unless it, or ``STOP au 36123``,
    is there already. Letters with combining accents are composed, which keeps French within GSM 03.38.

    Args:
        text: what the publisher wrote.
        kind: ``"marketing"``, ``"transactional"`` or ``"reply"``.
        sender: a short code, or 1 to 11 letters and digits.
        stop_code: the short code that takes STOP; needed for marketing from an alphanumeric sender, which nobody
            can answer.

    Raises:
        ContactError: the kind, the sender or the STOP's short code is no use, the text cannot be encoded, mentions
            another code's STOP, or takes more than 255 segments. ``field`` says which.
    """
    check_kind(kind)
    if not is_short_code(sender) and not is_alphanumeric(sender):
        raise ContactError("a short code, or 1 to 11 letters and digits with a letter among them", field="sender")
    composed = unicodedata.normalize("NFC", text)
    mention = _missing_mention(composed, _stop_code(sender, stop_code)) if kind == "marketing" else None
    whole = composed if mention is None else f"{composed.rstrip()} {mention}".lstrip()
    return _counted(whole, mention)


def _stop_code(sender: str, stop_code: str | None) -> str:
    code = stop_code or (sender if is_short_code(sender) else None)
    if code is None or not is_short_code(code):
        raise ContactError(
            "a short code that takes STOP is needed: an alphanumeric sender cannot be answered", field="stop_code"
        )
    return code


def _missing_mention(text: str, code: str) -> str | None:
    """The STOP mention to append; None when the text ends with it."""
    written = _MENTION.search(text)
    if written is None:
        return f"STOP {code}"
    if written[1] != code:
        raise ContactError("ends with the STOP mention of another short code", field="text")
    return None


def _counted(text: str, mention: str | None) -> SmsText:
    try:
        double_octets = text.encode("utf-16-le")
    except UnicodeEncodeError as error:
        raise ContactError("half a surrogate pair cannot be sent", field="text") from error
    parts = len(segments(text))
    if parts > MOST_SEGMENTS:
        raise ContactError(f"takes {parts} segments; at most {MOST_SEGMENTS} can be sent", field="text")
    outside = "".join(dict.fromkeys(char for char in text if char not in SEPTETS))
    if is_gsm(text):
        return SmsText(text, "GSM 03.38", parts, sum(SEPTETS[char] for char in text), mention, outside)
    return SmsText(text, "UCS-2", parts, len(double_octets) // 2, mention, outside)
