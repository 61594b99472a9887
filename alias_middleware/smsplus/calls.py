"""What Kannel calls the site with, read: a subscriber's message, and a report on one that was sent. Pure.

As measured with Kannel 1.4.5: `post-url` expands ``%I``, so the URL carries the message's id alone. With
``send-sender = true`` the alias comes in ``X-Kannel-From``, the text is the body, and what stands before the ``@``
of the URL comes as Basic authentication: no access log shows alias, text or secret. With `get-url` the query has
them all, in UTF-8 given ``mo-recode = true``. Both are read here. A message keeps its id when Kannel tries again,
which it does after every answer but 200 and 202, so a call is refused only where a mended configuration would set
it right: what the subscriber or the SMSC wrote is taken as it is. The time is the SMSC's own stamp. A
`global-sender` would take the place of the short code in either: leave it out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qs

from alias_middleware.errors import UnreadableCall

_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_PRINTABLE = re.compile(r"[!-~]{1,64}")
_CHARSET = re.compile(r'charset="?([A-Za-z0-9_.:-]{1,40})', re.IGNORECASE)
_CHARSETS = frozenset({"utf-8", "utf-16be", "iso-8859-1", "windows-1252"})
_MOST_FIELDS = 20

NO_MOMENT: Final = datetime.min.replace(tzinfo=UTC)
"""Stands for a stamp such as 0000-00-00 00:00:00; no message of that time can be stored."""

State = Literal["sent", "delivered", "failed"]

_STATES: Final[Mapping[str, State]] = MappingProxyType(
    {"1": "delivered", "2": "failed", "4": "sent", "8": "sent", "16": "failed"}
)
"""What Kannel's types of reports come to: 4 is kept by the SMSC for later, 8 taken by it, 16 refused by it."""


class SmsMo(NamedTuple):
    """What a subscriber wrote. `alias` is the OADC as it came, which need not be one; `at` is the SMSC's time."""

    message_id: str
    alias: str
    short_code: str
    text: str
    at: datetime

    def __repr__(self) -> str:
        return (
            f"SmsMo(message_id={self.message_id!r}, short_code={self.short_code!r}, {len(self.text)} characters)"
        )


class Report(NamedTuple):
    """What became of the message that was sent with this id."""

    message_id: str
    state: State


def read_mo(query: str, headers: Mapping[str, str], body: bytes, *, zone: tzinfo) -> SmsMo:
    """Read the call that brings a subscriber's message.

    Args:
        query: of the URL: ``id=%I``, and with `get-url` also ``oadc=%p&to=%P&text=%b&ts=%t``.
        headers: by their names in lower case.
        body: the text, with `post-url`.
        zone: where the SMSC's clock stands.

    Raises:
        UnreadableCall: something is missing, or not as Kannel writes it.
    """
    fields = _fields(query)
    if "oadc" in fields:
        sender, to, stamp = (fields.get(name, "") for name in ("oadc", "to", "ts"))
        text = fields.get("text", "")
    else:
        sender, to, stamp = (headers.get(f"x-kannel-{name}", "") for name in ("from", "to", "time"))
        text = _text(headers.get("content-type", ""), body)
    return SmsMo(
        _printable(fields.get("id", ""), "id"),
        _present(sender, "sender"),
        _printable(to, "short code"),
        text,
        _moment(stamp, zone),
    )


def read_report(query: str) -> Report:
    """Read the call that reports on a message: ``id`` as it was sent, ``type=%d``.

    Raises:
        UnreadableCall: something is missing, or not as Kannel writes it.
    """
    fields = _fields(query)
    state = _STATES.get(fields.get("type", ""))
    if state is None:
        raise UnreadableCall("is no type of report", field="type")
    return Report(_printable(fields.get("id", ""), "id"), state)


def _fields(query: str) -> dict[str, str]:
    try:
        found = parse_qs(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise UnreadableCall("has too many fields", field="query") from None
    for name, values in found.items():
        if len(values) > 1:
            raise UnreadableCall("says a field twice", field=name if name in {"id", "type", "oadc"} else "query")
    return {name: values[0] for name, values in found.items()}


def _present(value: str, field: str) -> str:
    if not value:
        raise UnreadableCall("is missing", field=field)
    return value


def _printable(value: str, field: str) -> str:
    if _PRINTABLE.fullmatch(value) is None:
        raise UnreadableCall("is missing, too long or not printable ASCII", field=field)
    return value


def _moment(stamp: str, zone: tzinfo) -> datetime:
    """The moment of a stamp; of one that no calendar has `NO_MOMENT`."""
    if _STAMP.fullmatch(stamp) is None:
        raise UnreadableCall("is no moment YYYY-MM-DD hh:mm:ss", field="time")
    try:
        return datetime.fromisoformat(stamp).replace(tzinfo=zone)
    except ValueError:
        return NO_MOMENT


def _text(content_type: str, body: bytes) -> str:
    """The body in characters. What does not read is marked, not refused: Kannel would bring it again and again."""
    named = _CHARSET.search(content_type)
    charset = named[1].lower() if named else "utf-8"
    return body.decode(charset if charset in _CHARSETS else "utf-8", "replace")
