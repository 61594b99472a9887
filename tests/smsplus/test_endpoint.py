"""Where Kannel calls: who may, what is kept before it is acknowledged, and that nothing is ever answered."""

from __future__ import annotations

import io
import json
import logging
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from alias_middleware.errors import SettingsError, UnreadableCall
from alias_middleware.smsplus.calls import Report, SmsMo, State
from alias_middleware.smsplus.endpoint import MAX_BODY, Call, KannelEndpoint
from tests.support.servers import uvicorn_server, waitress_server
from tests.support.sms import Shop

SECRET = "0123456789abcdef-_"
ALIAS, ID = "314522927347", "9a7b6fad-3009-4b78-8b7e-9201c2c1fd00"
MO = SmsMo(ID, ALIAS, "36123", "Été à 3 €", datetime(2026, 3, 1, 12, tzinfo=UTC))
HEADERS = {
    "authorization": "Basic " + b64encode(f"kannel:{SECRET}".encode()).decode(),
    "x-kannel-from": ALIAS,
    "x-kannel-to": "36123",
    "x-kannel-time": "2026-03-01 12:00:00",
    "content-type": 'text/plain; charset="UTF-8"',
}
CALL = Call("POST", "/smsplus/kannel", f"id={ID}", HEADERS, MO.text.encode(), "127.0.0.1")
REPORT = CALL._replace(method="GET", path="/smsplus/kannel/report", query="id=m1&type=1", body=b"")


class Memory:
    """Keeps messages and reports, or cannot."""

    def __init__(self) -> None:
        self.kept: list[SmsMo] = []
        self.reports: list[Report] = []
        self.broken = False

    def receive_sms(self, alias: str, short_code: str, text: str, *, at: datetime, message_id: str) -> None:
        if self.broken:
            raise OSError(f"no room for {alias}")
        self.kept.append(SmsMo(message_id, alias, short_code, text, at))

    def reported(self, message_id: str, state: State) -> None:
        self.reports.append(Report(message_id, state))


def make(memory: Memory, **settings: Any) -> KannelEndpoint:
    defaults: dict[str, Any] = {
        "secret": SECRET,
        "trusted_gateways": ["127.0.0.1"],
        "zone": UTC,
        "reporter": memory,
    }
    return KannelEndpoint(memory, **{**defaults, **settings})


def authorized(credentials: str) -> dict[str, str]:
    return {**HEADERS, "authorization": "Basic " + b64encode(credentials.encode()).decode()}


def test_a_message_is_kept_before_it_is_acknowledged() -> None:
    """200 says that it is kept."""
    memory = Memory()
    assert make(memory).serve(CALL) == 200
    assert memory.kept == [MO]


def test_a_report_reaches_who_wants_it() -> None:
    """Under /report, by the id of the message."""
    memory = Memory()
    assert make(memory).serve(REPORT) == 200
    assert (memory.reports, memory.kept) == ([Report("m1", "delivered")], [])
    assert make(memory, reporter=None).serve(REPORT) == 404


def test_answering_does_nothing() -> None:
    """What is to be done comes back as data."""
    memory = Memory()
    assert make(memory).answer(CALL) == (200, MO)
    assert make(memory).answer(REPORT) == (200, Report("m1", "delivered"))
    with pytest.raises(UnreadableCall):
        make(memory).answer(CALL._replace(query=""))
    assert (memory.kept, memory.reports) == ([], [])


@pytest.mark.parametrize(
    ("call", "status"),
    [
        pytest.param(CALL._replace(peer="10.0.0.1"), 403, id="from elsewhere"),
        pytest.param(CALL._replace(peer=None), 403, id="from nowhere"),
        pytest.param(CALL._replace(headers=authorized(f"kannel:{SECRET}x")), 403, id="another secret"),
        pytest.param(CALL._replace(headers=authorized(f"other:{SECRET}")), 403, id="another user"),
        pytest.param(CALL._replace(headers={**HEADERS, "authorization": "é\u20ac"}), 403, id="no credentials"),
        pytest.param(CALL._replace(headers={}), 403, id="nothing at all"),
        pytest.param(CALL._replace(method="DELETE"), 405, id="another method"),
        pytest.param(CALL._replace(query=""), 400, id="no id"),
        pytest.param(REPORT._replace(query="id=m1&type=99"), 400, id="no report"),
    ],
)
def test_others_are_turned_away(call: Call, status: int) -> None:
    """Nothing is kept of a call that is not Kannel's, or not as Kannel makes it."""
    memory = Memory()
    assert make(memory).serve(call) == status
    assert (memory.kept, memory.reports) == ([], [])


def test_what_cannot_be_kept_is_not_acknowledged(caplog: pytest.LogCaptureFixture) -> None:
    """Kannel keeps the message and brings it again; the log says why, without the alias."""
    memory = Memory()
    memory.broken = True
    with caplog.at_level(logging.ERROR):
        assert make(memory).serve(CALL) == 503
        assert make(memory).serve(CALL._replace(query="")) == 400
    assert "kannel_call_failed OSError" in caplog.text
    assert "kannel_call_unreadable field=id" in caplog.text
    assert ALIAS not in caplog.text


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"secret": "change-me"}, id="a short secret"),
        pytest.param({"secret": "a secret with blanks"}, id="a secret that no URL takes"),
        pytest.param({"user": "kan:nel"}, id="a user that no URL takes"),
        pytest.param({"trusted_gateways": ["kannel.example"]}, id="a name for an address"),
    ],
)
def test_unusable_settings_are_refused(settings: dict[str, Any]) -> None:
    """When the site starts, not when Kannel calls; the secret is not shown."""
    with pytest.raises(SettingsError) as caught:
        make(Memory(), **settings)
    assert str(settings.get("secret", "-")) not in str(caught.value) or "secret" not in settings


@pytest.fixture(params=[pytest.param("wsgi", id="wsgi-waitress"), pytest.param("asgi", id="asgi-uvicorn")])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Memory, int]]:
    """The endpoint under a real server of either kind."""
    memory = Memory()
    endpoint = make(memory)
    serve: Callable[[Any], AbstractContextManager[int]]
    serve, app = (waitress_server, endpoint.wsgi) if request.param == "wsgi" else (uvicorn_server, endpoint.asgi)
    with serve(app) as port:
        yield memory, port


def ask(port: int, call: Call) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(call.method, f"{call.path}?{call.query}", call.body, dict(call.headers))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("call", "status"),
    [
        pytest.param(CALL, 200, id="a message"),
        pytest.param(REPORT, 200, id="a report"),
        pytest.param(CALL._replace(query=""), 400, id="unreadable"),
        pytest.param(CALL._replace(headers={}), 403, id="a stranger"),
        pytest.param(CALL._replace(method="PUT"), 405, id="another method"),
        pytest.param(CALL._replace(body=b"a" * (MAX_BODY + 1)), 413, id="too much"),
    ],
)
def test_every_answer_is_empty(served: tuple[Memory, int], call: Call, status: int) -> None:
    """Under a real server too: what is answered would be sent to the subscriber, who would pay for it."""
    memory, port = served
    assert ask(port, call) == (status, b"")
    assert len(memory.kept) + len(memory.reports) == (status == 200)


def test_a_message_passes_the_server_unchanged(served: tuple[Memory, int]) -> None:
    """Headers, query and body arrive as Kannel sent them."""
    memory, port = served
    ask(port, CALL)
    assert memory.kept == [MO]


def test_half_a_message_is_not_kept() -> None:
    """A connection that ends before the body does brings nothing; the rest would have made it another text."""
    memory, statuses = Memory(), list[str]()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "QUERY_STRING": f"id={ID}",
        "CONTENT_LENGTH": "10",
        "wsgi.input": io.BytesIO(b"STO"),
        "REMOTE_ADDR": "127.0.0.1",
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in HEADERS.items()},
    }

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
        statuses.append(status)
        return lambda data: None

    make(memory).wsgi(environ, start_response)
    assert (statuses, memory.kept) == (["400 Bad Request"], [])


@pytest.mark.parametrize("year", ["0000", "0001", "1970", "9999"])
@pytest.mark.parametrize(
    ("sender", "text", "kept"),
    [
        pytest.param(ALIAS, "MENU", False, id="a message"),
        pytest.param(ALIAS, "Stop", True, id="a STOP"),
        pytest.param("ORANGE", "Stop", False, id="of no visitor"),
    ],
)
def test_a_time_that_can_never_be_stored(tmp_path: Path, year: str, sender: str, text: str, kept: bool) -> None:
    """Acknowledged, since it would come again for ever; kept aside and counted; its STOP is in force."""
    shop = Shop("sqlite", tmp_path)
    endpoint = KannelEndpoint(shop.tracker, secret=SECRET, trusted_gateways=["127.0.0.1"], zone=UTC)
    headers = {**HEADERS, "x-kannel-from": sender, "x-kannel-time": f"{year}-01-01 00:00:00"}
    assert endpoint.serve(CALL._replace(headers=headers, body=text.encode())) == 200
    (line,) = (tmp_path / "spool" / "rejected.jsonl").read_text().splitlines()
    found = json.loads(line)
    assert (found["service"], found["reason"], found["event"]["text"]) == ("sonneries", "time", text)
    assert found["event"]["key"] == (ALIAS if sender == ALIAS else None)
    shop.tracker.flush()
    counters = shop.tracker.counters()
    assert (counters["seen"], counters["dropped"]) == (1, {"rejected": 1})
    assert ("opted_out" in shop.objections(ALIAS)[1]) == kept
    shop.tracker.privacy.erase(ALIAS)
    assert ALIAS not in (tmp_path / "spool" / "rejected.jsonl").read_text()
    shop.tracker.close()


def test_what_cannot_even_be_set_aside_is_not_acknowledged(tmp_path: Path) -> None:
    """Until there is room again."""
    shop = Shop("sqlite", tmp_path)
    endpoint = KannelEndpoint(shop.tracker, secret=SECRET, trusted_gateways=["127.0.0.1"], zone=UTC)
    bad = CALL._replace(headers={**HEADERS, "x-kannel-time": "1970-01-01 00:00:00"})
    rejected = tmp_path / "spool" / "rejected.jsonl"
    rejected.mkdir(parents=True)
    assert endpoint.serve(bad) == 503
    rejected.rmdir()
    assert endpoint.serve(bad) == 200
    shop.tracker.close()
