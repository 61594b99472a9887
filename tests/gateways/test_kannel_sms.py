"""Kannel between an operator's SMSC and a site: our codec and the documented configuration against the real thing.

`smsc = emi` dials an SMSC that is built on the codec: what Kannel sends is read by it, what it sends Kannel reads.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from alias_middleware.errors import NotAccepted
from alias_middleware.smsplus import ucp
from alias_middleware.smsplus.calls import Report, read_report
from alias_middleware.smsplus.endpoint import KannelEndpoint
from alias_middleware.smsplus.kannel import KannelTransport
from alias_middleware.transport import Outgoing
from tests.support.kannel import ACCOUNT, PASSWORD, SECRET, Kannel, Site, running_kannel
from tests.support.servers import uvicorn_server, waitress_server
from tests.support.smsc import Smsc, running_smsc
from tests.support.waiting import wait_until

ALIAS, SHORT_CODE = "314522927347", "36123"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AUTHORIZATION = "Basic " + b64encode(f"kannel:{SECRET}".encode()).decode()
NUMBERS = count(1)


class Operator(NamedTuple):
    """The SMSC, Kannel and the site, in a row."""

    smsc: Smsc
    kannel: Kannel
    site: Site

    def send(self, text: str, *, parts: int = 1, **headers: str) -> list[ucp.Message]:
        """Send a text to the subscriber, and give what the SMSC was submitted of it."""
        known = len(self.smsc.asked(ucp.Operation.SUBMIT))
        sent = self.kannel.send(text, **{"From": SHORT_CODE, "To": ALIAS, "Coding": "0", **headers})
        assert sent == (202, "0: Accepted for delivery")
        return self.smsc.submitted(known + parts)[known:]

    def report_url(self) -> tuple[str, str]:
        """A new path for a message's reports, and the URL that asks for them."""
        path = f"/report/{next(NUMBERS)}"
        return path, f"http://kannel:{SECRET}@127.0.0.1:{self.site.port}{path}?type=%d"


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    site = Site()
    with ExitStack() as stack:
        site.up()
        stack.callback(site.down)
        smsc = stack.enter_context(running_smsc(ACCOUNT, PASSWORD))
        kannel = stack.enter_context(running_kannel(tmp_path_factory.mktemp("kannel"), smsc, site.port))
        yield Operator(smsc, kannel, site)
    assert smsc.refusals == []  # every frame that Kannel ever sent could be read


@pytest.fixture(autouse=True)
def everything_goes(operator: Operator) -> None:
    operator.smsc.rejects = lambda question: None
    operator.site.answer = b""


def test_kannel_logs_in_and_stays(operator: Operator) -> None:
    """The login carries account and password; then there are signs of life, and after a break another login."""
    (login, *_) = operator.smsc.asked(ucp.Operation.LOGIN)
    assert (login.oadc, login.password) == (ACCOUNT, PASSWORD)
    known = len(operator.smsc.asked(ucp.Operation.ALERT))
    sessions = operator.smsc.sessions
    wait_until(lambda: len(operator.smsc.asked(ucp.Operation.ALERT)) > known, "there is a sign of life")
    operator.smsc.hang_up()
    wait_until(lambda: operator.smsc.sessions > sessions, "Kannel logs in again")


@pytest.mark.parametrize(
    ("text", "coding"),
    [
        pytest.param("Votre code : 1234", "0", id="ASCII"),
        pytest.param("ÉÇ èéùìò à Ä ö £ § ¿", "0", id="accents"),
        pytest.param("3 € {ou} [4] ~|^\\", "0", id="euro sign and other extensions"),
        pytest.param("Ça va, François ?", "2", id="c-cedilla in UCS-2"),
        pytest.param("Gagné 😀", "2", id="surrogate pair"),
        pytest.param("é" * 160, "0", id="as long as one message may be"),
    ],
)
def test_texts_arrive_as_they_were_sent(operator: Operator, text: str, coding: str) -> None:
    """What Kannel makes of a text is read as that text, from the short code to the alias."""
    (message,) = operator.send(text, Coding=coding)
    assert (message.text, message.adc, message.oadc) == (text, ALIAS, SHORT_CODE)
    assert message.part is None


@pytest.mark.parametrize(
    ("text", "coding"),
    [
        pytest.param("Résultat à 3 € " * 15, "0", id="GSM"),
        pytest.param("Ça va, François ? 😀 " * 6, "2", id="UCS-2"),
    ],
)
def test_long_texts_arrive_in_parts(operator: Operator, text: str, coding: str) -> None:
    """Kannel's two parts are joined to the text."""
    reassembler = ucp.Reassembler()
    parts = operator.send(text, parts=2, Coding=coding)
    whole = [one.text for part in parts for one in reassembler.add(part, NOON)]
    assert whole == [text]


@pytest.mark.parametrize("name", ["INFO", "SERVICE", "SONNERIE", "Sonneries36"])
def test_names_arrive_as_senders(operator: Operator, name: str) -> None:
    """An alphanumeric sender is that name, and our own frame says it with the same octets."""
    (message,) = operator.send("Bonjour", From=name)
    assert (message.oadc, message.otoa) == (name, "5039")
    (ours,) = ucp.submit("Bonjour", adc=ALIAS, oadc=name)
    assert ucp.encode(message).split(b"/")[5] == ucp.encode(ours).split(b"/")[5]


@pytest.mark.parametrize(
    ("status", "kind"), [pytest.param(0, "1", id="delivered"), pytest.param(2, "2", id="not delivered")]
)
def test_reports_come_to_their_message(operator: Operator, status: int, kind: str) -> None:
    """Taken by the SMSC, then what became of it: both reach the address that stood in the message."""
    path, url = operator.report_url()
    (message,) = operator.send("Bonjour", DLR_Mask="31", DLR_URL=url)
    operator.site.called(1, path)
    assert operator.smsc.report(message, status=status).ack == "A"
    calls = operator.site.called(2, path)
    assert [call.target for call in calls] == [f"{path}?type=8", f"{path}?type={kind}"]
    assert {call.headers["Authorization"] for call in calls} == {AUTHORIZATION}


def test_what_the_smsc_refuses_is_reported(operator: Operator) -> None:
    """A refused message is reported as such, not as accepted."""
    operator.smsc.rejects = lambda question: (
        ucp.ErrorCode.ADDRESS_INVALID if question.operation is ucp.Operation.SUBMIT else None
    )
    path, url = operator.report_url()
    operator.send("Bonjour", DLR_Mask="31", DLR_URL=url)
    (call,) = operator.site.called(1, path)
    assert call.target == f"{path}?type=16"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("ABO", 1, id="a keyword"),
        pytest.param("Été à 3 €", 1, id="accents and the euro sign"),
        pytest.param("Ça va ê 😀", 1, id="UCS-2"),
        pytest.param("Déjà gagné 3 € ! " * 12, 2, id="two parts"),
    ],
)
def test_what_subscribers_write_reaches_the_site(operator: Operator, text: str, parts: int) -> None:
    """One call with the text whole, the alias in a header; the URL shows the message's id and nothing else."""
    known = len(operator.site.calls)
    answers = operator.smsc.deliver(*ucp.deliver(text, adc=SHORT_CODE, oadc=ALIAS, at=NOON, reference=9))
    assert [answer.ack for answer in answers] == ["A"] * parts
    wait_until(lambda: len(operator.site.calls) > known, "the site is called")
    (call,) = operator.site.calls[known:]
    path, _, message_id = call.target.partition("?id=")
    assert (call.method, path, len(message_id)) == ("POST", "/smsplus/kannel", 36)
    assert call.body.decode() == text
    headers = {name: call.headers[f"X-Kannel-{name}"] for name in ("From", "To", "Time")}
    assert headers == {"From": ALIAS, "To": SHORT_CODE, "Time": "2026-03-01 12:00:00"}
    assert call.headers["Authorization"] == AUTHORIZATION


def test_short_codes_are_told_apart(operator: Operator) -> None:
    """A site with several short codes learns which of them a subscriber wrote to."""
    known = len(operator.site.calls)
    for short_code in ("36124", "81234"):
        operator.smsc.deliver(*ucp.deliver("ABO", adc=short_code, oadc=ALIAS, at=NOON))
    wait_until(lambda: len(operator.site.calls) >= known + 2, "the site is called")
    assert {call.headers["X-Kannel-To"] for call in operator.site.calls[known:]} == {"36124", "81234"}


def test_nothing_is_lost_while_the_site_is_down(operator: Operator) -> None:
    """Messages wait in Kannel and arrive once each, in any order, when the site is there again."""
    known = len(operator.site.calls)
    operator.site.down()
    for number in range(3):
        operator.smsc.deliver(*ucp.deliver(f"VOTE {number}", adc=SHORT_CODE, oadc=ALIAS, at=NOON))
    operator.site.up()
    wait_until(lambda: len(operator.site.calls) >= known + 3, "all three arrive")
    calls = operator.site.calls[known:]
    assert {call.body for call in calls} == {b"VOTE 0", b"VOTE 1", b"VOTE 2"}
    assert len({call.target for call in calls}) == 3


def test_what_the_site_answers_is_sent_to_nobody(operator: Operator) -> None:
    """An answer with a body is no message to the subscriber, who would pay for it."""
    operator.site.answer = b"thank you"
    known, submitted = len(operator.site.calls), len(operator.smsc.asked(ucp.Operation.SUBMIT))
    operator.smsc.deliver(*ucp.deliver("ABO", adc=SHORT_CODE, oadc=ALIAS, at=NOON))
    wait_until(lambda: len(operator.site.calls) > known, "the site is called")
    operator.send("the next that is sent")
    assert [message.text for message in operator.smsc.submitted(submitted + 1)[submitted:]] == [
        "the next that is sent"
    ]


@contextmanager
def transport(operator: Operator, **settings: Any) -> Iterator[tuple[KannelTransport, str]]:
    """Our transport to this Kannel, and the path that its reports come to."""
    path = f"/report/{next(NUMBERS)}"
    defaults: dict[str, Any] = {
        "username": "sonneries",
        "password": PASSWORD,
        "reports_to": f"http://kannel:{SECRET}@127.0.0.1:{operator.site.port}{path}",
    }
    url = f"http://127.0.0.1:{operator.kannel.sendsms_port}/cgi-bin/sendsms"
    with KannelTransport(url, **{**defaults, **settings}) as made:
        yield made, path


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("Été : 3 € {gagnés}", 1, id="GSM"),
        pytest.param("Ça va, François ? 😀", 1, id="UCS-2"),
        pytest.param("3 € à gagner ! " * 40, 4, id="a long text"),
        pytest.param("a" * 765, 5, id="as long as Kannel takes"),
    ],
)
def test_our_transport_sends_texts_as_they_are(operator: Operator, text: str, parts: int) -> None:
    """The subscriber reads what was written, in as many parts as were counted."""
    known = len(operator.smsc.asked(ucp.Operation.SUBMIT))
    with transport(operator) as (kannel, _):
        kannel.send(Outgoing("m1", ALIAS, "SONNERIES", text))
    submitted = operator.smsc.submitted(known + parts)[known:]
    reassembler = ucp.Reassembler()
    assert [one.text for part in submitted for one in reassembler.add(part, NOON)] == [text]
    assert {(part.adc, part.oadc) for part in submitted} == {(ALIAS, "SONNERIES")}


def test_our_transport_learns_what_became_of_its_message(operator: Operator) -> None:
    """Accepted is not sent: reports say so later, by the message's id and without the alias."""
    known = len(operator.smsc.asked(ucp.Operation.SUBMIT))
    with transport(operator) as (kannel, path):
        kannel.send(Outgoing("m-42", ALIAS, SHORT_CODE, "Bonjour"))
    (message,) = operator.smsc.submitted(known + 1)[known:]
    operator.site.called(1, path)
    operator.smsc.report(message, status=0)
    calls = operator.site.called(2, path)
    found = [read_report(call.target.partition("?")[2]) for call in calls]
    assert found == [Report("m-42", "sent"), Report("m-42", "delivered")]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        pytest.param({"password": "wrong"}, "denied", id="another password"),
        pytest.param({"smsc": "nobody", "reports_to": None}, "unroutable", id="an SMSC that is not there"),
    ],
)
def test_what_kannel_refuses_is_not_sent(operator: Operator, settings: dict[str, Any], reason: str) -> None:
    """Kannel says no before it takes a message: certainly not sent, and the SMSC sees nothing of it."""
    known = len(operator.smsc.asked(ucp.Operation.SUBMIT))
    with transport(operator, **settings) as (kannel, _), pytest.raises(NotAccepted) as caught:
        kannel.send(Outgoing("m1", ALIAS, SHORT_CODE, "never"))
    assert caught.value.reason == reason
    assert [message.text for message in operator.send("the next")] == ["the next"]
    assert len(operator.smsc.asked(ucp.Operation.SUBMIT)) == known + 1


class Visitors:
    """Keeps what is received, as a tracker does."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str, str, datetime]] = []
        self.ids: set[str] = set()
        self.fails = 0
        self.reports: list[tuple[str, str]] = []

    def receive_sms(self, alias: str, short_code: str, text: str, *, at: datetime, message_id: str) -> None:
        self.ids.add(message_id)
        if self.fails:
            self.fails -= 1
            raise OSError("no room")
        self.received.append((alias, short_code, text, at))

    def reported(self, message_id: str, state: str) -> None:
        self.reports.append((message_id, state))


@pytest.mark.parametrize("edge", ["wsgi", "asgi"])
def test_our_endpoint_takes_what_kannel_brings(edge: str, tmp_path: Path) -> None:
    """With the real caller: a message is taken, one that could not be kept comes again, reports find their way."""
    visitors = Visitors()
    endpoint = KannelEndpoint(visitors, secret=SECRET, trusted_gateways=["127.0.0.1"], zone=UTC, reporter=visitors)
    server = waitress_server(endpoint.wsgi) if edge == "wsgi" else uvicorn_server(endpoint.asgi)
    with running_smsc(ACCOUNT, PASSWORD) as smsc, server as port, running_kannel(tmp_path, smsc, port) as kannel:
        smsc.deliver(*ucp.deliver("Été à 3 €", adc=SHORT_CODE, oadc=ALIAS, at=NOON))
        wait_until(lambda: len(visitors.received) == 1, "a message is received")
        visitors.fails = 1
        smsc.deliver(*ucp.deliver("STOP", adc=SHORT_CODE, oadc=ALIAS, at=NOON))
        wait_until(lambda: len(visitors.received) == 2, "a message is received at the second attempt")
        reports_to = f"http://kannel:{SECRET}@127.0.0.1:{port}/smsplus/kannel/report"
        url = f"http://127.0.0.1:{kannel.sendsms_port}/cgi-bin/sendsms"
        with KannelTransport(url, username="sonneries", password=PASSWORD, reports_to=reports_to) as transport:
            transport.send(Outgoing("m-43", ALIAS, SHORT_CODE, "Bonjour"))
        wait_until(lambda: visitors.reports == [("m-43", "sent")], "the SMSC has taken the message")
        smsc.report(smsc.submitted(1)[0], status=2)
        wait_until(lambda: visitors.reports == [("m-43", "sent"), ("m-43", "failed")], "it was not delivered")
    assert visitors.received == [(ALIAS, SHORT_CODE, text, NOON) for text in ("Été à 3 €", "STOP")]
    assert len(visitors.ids) == 2
