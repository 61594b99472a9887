"""The transport to Kannel where Kannel fails: what is certainly not sent, what nobody knows, what is never shown.

What a real Kannel does with its messages is in `tests.gateways.test_kannel_sms`.
"""

from __future__ import annotations

import logging
import re
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from alias_middleware.errors import AliasError, NotAccepted, SendingUncertain, SettingsError
from alias_middleware.smsplus.kannel import KannelTransport
from alias_middleware.transport import Outgoing, Transport
from tests.support.real import free_port
from tests.support.waiting import PATIENCE

ALIAS, PASSWORD, SECRET = "314522927347", "the-password", "0123456789abcdef"
MESSAGE = Outgoing("m1", ALIAS, "36123", "Été à 3 €")
REPORTS = f"http://kannel:{SECRET}@127.0.0.1:8001/smsplus/kannel/report"


def make(port: int, **settings: Any) -> KannelTransport:
    defaults: dict[str, Any] = {"username": "sonneries", "password": PASSWORD, "reports_to": REPORTS, "timeout": 5}
    return KannelTransport(f"http://127.0.0.1:{port}/cgi-bin/sendsms", **{**defaults, **settings})


def request(connection: socket.socket) -> bytes:
    """Read one request to its end."""
    received = b""
    while True:
        head, found, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: ([0-9]+)", head.lower())
        if found and length and len(body) >= int(length[1]):
            return received
        if not (more := connection.recv(65536)):
            raise ConnectionError("the request ends early")
        received += more


@contextmanager
def gateway(answer: bytes | None) -> Iterator[tuple[int, list[bytes]]]:
    """Takes one request, then answers so, or breaks the connection; None keeps silent until the end."""
    asked: list[bytes] = []
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):  # nobody comes, or leaves too soon
                connection, _ = listener.accept()
                with connection:
                    asked.append(request(connection))
                    if answer is None:
                        over.wait()
                    else:
                        connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listener.getsockname()[1]), asked
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)


def status(line: str, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {line}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        pytest.param(status("400 Bad Request"), NotAccepted, "refused", id="refused"),
        pytest.param(status("403 Forbidden", b"Authorization failed"), NotAccepted, "denied", id="denied"),
        pytest.param(status("403 Forbidden", b"Not routable."), NotAccepted, "unroutable", id="unroutable"),
        pytest.param(status("404 Not Found"), NotAccepted, "refused", id="another server"),
        pytest.param(status("503 Busy", b"Temporal failure"), NotAccepted, "busy", id="busy"),
        pytest.param(status("500 Error"), SendingUncertain, "status_500", id="an error"),
        pytest.param(status("302 Found"), SendingUncertain, "status_302", id="a redirection"),
        pytest.param(b"nonsense\r\n\r\n", SendingUncertain, "broken", id="no HTTP"),
        pytest.param(b"", SendingUncertain, "broken", id="a broken connection"),
        pytest.param(b"HTTP/1.1 202 Accepted\r\nContent-Le", SendingUncertain, "broken", id="half an answer"),
    ],
)
def test_certain_and_uncertain_are_told_apart(
    answer: bytes, kind: type[NotAccepted | SendingUncertain], reason: str
) -> None:
    """What Kannel said no to is certainly not sent, for now or for good; what was not answered may be."""
    with gateway(answer) as (port, _), make(port) as kannel, pytest.raises(kind) as caught:
        kannel.send(MESSAGE)
    assert isinstance(caught.value, NotAccepted | SendingUncertain)
    assert caught.value.reason == reason
    assert getattr(caught.value, "temporary", False) == (reason in {"busy", "denied"})


def test_a_long_text_may_be_taken_in_part() -> None:
    """Kannel that is busy in the middle of a long text may have begun to send it."""
    with gateway(status("503 Busy")) as (port, _), make(port) as kannel, pytest.raises(SendingUncertain):
        kannel.send(Outgoing("m1", ALIAS, "36123", "a" * 161))


def test_nobody_there_is_certain() -> None:
    """Without a connection nothing was sent."""
    with make(free_port()) as kannel, pytest.raises(NotAccepted) as caught:
        kannel.send(MESSAGE)
    assert caught.value.reason == "unreachable"


def test_silence_is_uncertain() -> None:
    """After the timeout nobody knows."""
    with gateway(None) as (port, _), make(port, timeout=0.2) as kannel, pytest.raises(SendingUncertain) as caught:
        kannel.send(MESSAGE)
    assert caught.value.reason == "timeout"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"message_id": ""}, "bad_id", id="no id"),
        pytest.param({"message_id": "a&type=1"}, "bad_id", id="an id that would change the report"),
        pytest.param({"message_id": "a%d"}, "bad_id", id="an id that Kannel would fill in"),
        pytest.param({"sender": ""}, "bad_sender", id="no sender"),
        pytest.param({"sender": "36123\r\nX-Kannel-To: 1"}, "bad_sender", id="a line break in the sender"),
        pytest.param({"sender": "GARÇON"}, "bad_sender", id="a sender outside ASCII"),
        pytest.param({"receiver": "nobody"}, "bad_receiver", id="an alias that is no number"),
        pytest.param({"receiver": f"{ALIAS} {ALIAS}"}, "bad_receiver", id="two receivers"),
        pytest.param({"text": ""}, "empty", id="no text"),
        pytest.param({"text": "a" * 766}, "too_long", id="more than Kannel takes"),
        pytest.param({"text": "\ud83d"}, "bad_text", id="half a character"),
    ],
)
def test_what_would_not_arrive_as_meant_is_not_sent(changes: dict[str, str], reason: str) -> None:
    """Kannel would cut a long text off, and send to whomever a header names: neither gets that far."""
    fields = {"message_id": "m1", "receiver": ALIAS, "sender": "36123", "text": "Bonjour", **changes}
    with make(free_port()) as kannel, pytest.raises(NotAccepted) as caught:
        kannel.send(Outgoing(**fields))
    assert caught.value.reason == reason


def test_nothing_private_stands_in_the_url() -> None:
    """Kannel's access log shows no alias, text or password: they are in headers and body."""
    with gateway(status("202 Accepted", b"0: Accepted for delivery")) as (port, asked), make(port) as kannel:
        transport: Transport = kannel
        transport.send(MESSAGE)
    head, _, body = asked[0].partition(b"\r\n\r\n")
    first, *lines = head.decode().splitlines()
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    assert first == "POST /cgi-bin/sendsms HTTP/1.1"
    assert {name: value for name, value in headers.items() if name.startswith("x-kannel")} == {
        "x-kannel-username": "sonneries",
        "x-kannel-password": PASSWORD,
        "x-kannel-from": "36123",
        "x-kannel-to": ALIAS,
        "x-kannel-coding": "0",
        "x-kannel-dlr-mask": "31",
        "x-kannel-dlr-url": f"{REPORTS}?id=m1&type=%d",
    }
    assert body == MESSAGE.text.encode()


def what_is_raised(kannel: KannelTransport) -> str:
    """Send, and give all that an error shows; it must not bring along what led to it."""
    error: BaseException | None = None
    try:
        kannel.send(MESSAGE)
    except AliasError as raised:
        error = raised
    if error is None:
        return ""
    assert error.__context__ is None
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.parametrize(
    "answer", [status("202 Accepted"), status("403 Forbidden"), b""], ids=["yes", "no", "broken"]
)
def test_nothing_private_is_logged_or_raised(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Not even at the most talkative level of any library, nor in an error with all that led to it."""
    said = ""
    with caplog.at_level(logging.DEBUG), gateway(answer) as (port, _), make(port) as kannel:
        said += repr(kannel)
        said += what_is_raised(kannel)
    said += caplog.text
    for private in (ALIAS, PASSWORD, SECRET, MESSAGE.text):
        assert private not in said


@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        pytest.param({"username": ""}, "username", id="no user"),
        pytest.param({"password": "two words"}, "password", id="a password with a blank"),
        pytest.param({"smsc": "é"}, "smsc", id="an SMSC outside ASCII"),
        pytest.param({"reports_to": "kannel:hidden@site/report"}, "reports_to", id="no URL"),
        pytest.param({"reports_to": "http://kannel:hidden%41@site/"}, "reports_to", id="a percent sign in an URL"),
        pytest.param({"reports_to": "http://kannel:hidden@site/?a=b"}, "reports_to", id="an URL with a query"),
        pytest.param({"reports_to": "http://kannel:hidden@é/"}, "reports_to", id="an URL outside ASCII"),
    ],
)
def test_unusable_settings_are_refused(settings: dict[str, Any], setting: str) -> None:
    """When the transport is made, and without showing the value."""
    with pytest.raises(SettingsError) as caught:
        make(13013, **settings)
    assert caught.value.setting == setting
    assert "hidden" not in str(caught.value)


def test_the_environment_chooses_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy for the rest of the world would be shown aliases."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with gateway(status("202 Accepted")) as (port, asked), make(port) as kannel:
        kannel.send(MESSAGE)
    assert len(asked) == 1
