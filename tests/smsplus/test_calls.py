"""What Kannel calls the site with: a subscriber's message by either kind of URL, and reports."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware.errors import UnreadableCall
from alias_middleware.smsplus.calls import NO_MOMENT, Report, SmsMo, read_mo, read_report

PARIS = ZoneInfo("Europe/Paris")
ID, ALIAS = "9a7b6fad-3009-4b78-8b7e-9201c2c1fd00", "314522927347"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
POSTED = {
    "x-kannel-from": ALIAS,
    "x-kannel-to": "36123",
    "x-kannel-time": "2026-03-01 12:00:00",
    "content-type": 'text/plain; charset="UTF-8"',
}
GOT = f"oadc={ALIAS}&to=36123&text=%C3%89t%C3%A9+%C3%A0+3+%E2%82%AC&ts=2026-03-01+12:00:00&id={ID}"


def test_a_posted_message_is_read() -> None:
    """With post-url the alias is in a header and the text is the body."""
    found = read_mo(f"id={ID}", POSTED, "Été à 3 €".encode(), zone=UTC)
    assert found == SmsMo(ID, ALIAS, "36123", "Été à 3 €", NOON)


def test_a_message_in_the_query_is_read() -> None:
    """With get-url everything is in the query."""
    assert read_mo(GOT, {"x-kannel-from": ALIAS}, b"", zone=UTC) == SmsMo(ID, ALIAS, "36123", "Été à 3 €", NOON)


def test_the_smsc_clock_has_its_zone() -> None:
    """The stamp is read by the clock of the SMSC, wherever that stands."""
    assert read_mo(GOT, {}, b"", zone=PARIS).at == datetime(2026, 3, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        pytest.param("text/plain; charset=UTF-8", b"\xc3\xa9", "é", id="UTF-8"),
        pytest.param("", b"\xc3\xa9", "é", id="nothing said"),
        pytest.param('text/plain; charset="ISO-8859-1"', b"\xe9", "é", id="latin-1"),
        pytest.param("text/plain; charset=UTF-16BE", b"\0\xe9", "é", id="UTF-16"),
        pytest.param("text/plain; charset=unicode_escape", b"\\d", "\\d", id="a charset that is none"),
        pytest.param("application/octet-stream", b"\x00\xff", "\x00\ufffd", id="octets"),
        pytest.param("text/plain; charset=UTF-8", b"", "", id="an empty message"),
    ],
)
def test_any_body_is_some_text(content_type: str, body: bytes, text: str) -> None:
    """What does not read is marked: a message that was refused would come again and again."""
    assert read_mo(f"id={ID}", {**POSTED, "content-type": content_type}, body, zone=UTC).text == text


@pytest.mark.parametrize(
    ("query", "changes", "field"),
    [
        pytest.param("", {}, "id", id="no id"),
        pytest.param("id=", {}, "id", id="an empty id"),
        pytest.param("id=a%20b", {}, "id", id="a blank in the id"),
        pytest.param(f"id={ID}&id={ID}", {}, "id", id="two ids"),
        pytest.param(
            f"id={ID}&" + "&".join(f"x{number}=1" for number in range(20)), {}, "query", id="many fields"
        ),
        pytest.param(f"id={ID}", {"x-kannel-from": ""}, "sender", id="no sender"),
        pytest.param(f"id={ID}", {"x-kannel-to": ""}, "short code", id="no short code"),
        pytest.param(f"id={ID}", {"x-kannel-time": ""}, "time", id="no time"),
        pytest.param(f"id={ID}", {"x-kannel-time": "2026-03-01T12:00:00Z"}, "time", id="another form of time"),
        pytest.param(GOT.replace("ts=2026", "ts=x"), {}, "time", id="no time in the query"),
        pytest.param(GOT.replace("to=36123", "to="), {}, "short code", id="no short code in the query"),
        pytest.param(f"{GOT}&oadc=271828182845", {}, "oadc", id="two senders"),
    ],
)
def test_what_kannel_does_not_write_is_not_read(query: str, changes: dict[str, str], field: str) -> None:
    """The error names the field, and no value of it."""
    with pytest.raises(UnreadableCall) as caught:
        read_mo(query, {**POSTED, **changes}, b"ABO", zone=UTC)
    assert caught.value.field == field
    assert ALIAS not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "state"), [("1", "delivered"), ("2", "failed"), ("4", "sent"), ("8", "sent"), ("16", "failed")]
)
def test_reports_tell_what_became_of_a_message(kind: str, state: Any) -> None:
    """Delivered or failed is the end; taken by the SMSC, or kept there, is sent."""
    assert read_report(f"id=m1&type={kind}") == Report("m1", state)


@pytest.mark.parametrize(
    "query", ["", "id=m1", "type=1", "id=m1&type=3", "id=m1&type=1&type=2", "id=m1&type=1&id=m2"]
)
def test_what_is_no_report_is_not_read(query: str) -> None:
    """A type that Kannel has not, or a field twice."""
    with pytest.raises(UnreadableCall):
        read_report(query)


@given(
    st.text(max_size=80),
    st.dictionaries(st.sampled_from(sorted(POSTED)), st.text(max_size=40)),
    st.binary(max_size=40),
)
def test_nothing_but_a_message_or_an_error_comes_of_any_call(
    query: str, headers: dict[str, str], body: bytes
) -> None:
    """Whoever calls, with whatever: the endpoint has to do with two outcomes."""
    for headers_given in (headers, POSTED | headers):
        try:
            message = read_mo(query, headers_given, body, zone=UTC)
        except UnreadableCall:
            continue
        message.text.encode()


def test_a_message_keeps_to_itself_what_is_private() -> None:
    """Neither alias nor text is in a representation."""
    shown = repr(read_mo(GOT, {}, b"", zone=UTC))
    assert shown == f"SmsMo(message_id='{ID}', short_code='36123', 9 characters)"


@pytest.mark.parametrize("stamp", ["2026-02-30 12:00:00", "0000-00-00 00:00:00", "2026-03-01 24:00:01"])
def test_a_stamp_that_no_calendar_has(stamp: str) -> None:
    """The SMSC wrote it and will not mend it: refused, the message would come again for ever."""
    found = read_mo(f"id={ID}", {**POSTED, "x-kannel-time": stamp}, b"STOP", zone=PARIS)
    assert (found.at, found.text) == (NO_MOMENT, "STOP")


@pytest.mark.parametrize("sender", ["La R\xe9daction", "3" * 65])
def test_any_sender_is_some_sender(sender: str) -> None:
    """No alias, so that the message gives no visitor; it is kept all the same, and does not come again."""
    assert read_mo(f"id={ID}", {**POSTED, "x-kannel-from": sender}, b"", zone=PARIS).alias == sender
