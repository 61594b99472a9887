"""nginx as the operator's gateway: from a phone's request to the recorded row, under the servers users run."""

from __future__ import annotations

import http.client
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from alias_middleware import Tracker, Visitor, asgi, current_visitor, wsgi
from alias_middleware.events import PageView
from alias_middleware.statistics import Summary
from tests.support.real import free_port, require_program, running
from tests.support.servers import uvicorn_server, waitress_server

CONFIGURATION = Path(__file__).parents[2] / "docs/gateways/nginx.conf"
KNOWN, OTHER, UNKNOWN = "127.0.0.6", "127.0.0.7", "127.0.0.8"
ALIASES = {"gallery": "314522927347", "games": "690000000001"}
VICTIM = "271828182845"

FORGERIES = [
    pytest.param([("wap-network-info", f"mUserAlias:{VICTIM}")], id="as the operator writes it"),
    pytest.param([("WAP-Network-Info", f"mUserAlias:{VICTIM}")], id="in other letters"),
    pytest.param([("Wap-Network-Info", f"mUserAlias:{VICTIM}")] * 2, id="twice"),
    pytest.param([("wap_network_info", f"mUserAlias:{VICTIM}")], id="underscore twin"),
    pytest.param([("WAP_Network-Info", f"mUserAlias:{VICTIM}")], id="half a twin"),
    pytest.param(
        [("wap-network-info", f"mUserAlias:{VICTIM}"), ("wap_network_info", f"mUserAlias:{VICTIM}")],
        id="both spellings",
    ),
]


class Answer(NamedTuple):
    status: int
    text: str


class Operator:
    """nginx, and the site of each service behind it."""

    def __init__(self, port: int, sites: dict[str, int], trackers: dict[str, Tracker]) -> None:
        self.port = port
        self.sites = sites
        self.trackers = trackers

    def browse(
        self, phone: str, path: str, headers: Sequence[tuple[str, str]] = (), *, service: str = "gallery"
    ) -> Answer:
        """Ask a service for a page from the phone's address."""
        return ask(phone, self.port, path, [("Host", f"{service}.test"), *headers])

    def paths(self, alias: str, *, service: str = "gallery") -> list[str]:
        """Give the pages recorded of an alias, latest first."""
        tracker = self.trackers[service]
        assert tracker.flush()
        history = tracker.visitor(alias).history()
        return [event.path for event in history if isinstance(event, PageView)]

    def summary(self, service: str = "gallery") -> Summary:
        """Give the service's figures of these days."""
        tracker = self.trackers[service]
        assert tracker.flush()
        today, day = datetime.now(UTC).date(), timedelta(days=1)
        return tracker.statistics.summary(today - day, today + 2 * day)


def ask(phone: str, port: int, path: str, headers: Sequence[tuple[str, str]]) -> Answer:
    """Ask for a page from an address of this machine, with headers exactly as they are given."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10, source_address=(phone, 0))
    try:
        connection.putrequest("GET", path, skip_host=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return Answer(response.status, response.read().decode())
    finally:
        connection.close()


def said_of(visitor: Visitor) -> bytes:
    return (visitor.alias or "unrecognised").encode()


def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    body = said_of(current_visitor.get())
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    body = said_of(current_visitor.get())
    headers = [(b"content-type", b"text/html"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def wsgi_site(tracker: Tracker) -> AbstractContextManager[int]:
    return waitress_server(wsgi.AliasMiddleware(wsgi_app, tracker=tracker))


def asgi_site(tracker: Tracker) -> AbstractContextManager[int]:
    return uvicorn_server(asgi.AliasMiddleware(asgi_app, tracker=tracker))


@pytest.fixture(
    scope="module",
    params=[pytest.param(wsgi_site, id="wsgi-waitress"), pytest.param(asgi_site, id="asgi-uvicorn")],
)
def operator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """nginx with the documented configuration, and two services that share one database."""
    nginx = require_program("nginx")
    serve: Callable[[Tracker], AbstractContextManager[int]] = request.param
    folder = tmp_path_factory.mktemp("operator")
    with ExitStack() as stack:
        sites, trackers = {}, {}
        for service in ALIASES:
            trackers[service] = Tracker(
                service=service,
                storage=f"sqlite:///{folder}/alias.db",
                trusted_gateways=["127.0.0.1"],
                raise_errors=True,
            )
            stack.callback(trackers[service].close)
            sites[service] = stack.enter_context(serve(trackers[service]))
        port = free_port()
        ports = {8080: port, 8001: sites["gallery"], 8002: sites["games"]}
        stack.enter_context(running_nginx(nginx, folder, ports))
        yield Operator(port, sites, trackers)


def running_nginx(nginx: str, folder: Path, ports: dict[int, int]) -> AbstractContextManager[Any]:
    """Start nginx with the documented configuration, on other ports."""
    text = CONFIGURATION.read_text()
    for documented, used in ports.items():
        assert f"127.0.0.1:{documented};" in text
        text = text.replace(f"127.0.0.1:{documented};", f"127.0.0.1:{used};")
    configuration = folder / "nginx.conf"
    configuration.write_text(text)
    directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    command = [nginx, "-p", str(folder), "-c", str(configuration), "-e", "stderr", "-g", directives]
    return running(command, port=ports[8080], log=folder / "nginx.log")


def test_phone_the_operator_knows_is_recognised_and_recorded(operator: Operator) -> None:
    """A known phone's page is answered to its alias and is a row of its history and of the figures."""
    before = operator.summary()
    assert operator.browse(KNOWN, "/known") == Answer(200, ALIASES["gallery"])
    assert operator.paths(ALIASES["gallery"])[0] == "/known"
    after = operator.summary()
    assert after.page_views == before.page_views + 1
    assert after.unidentified_page_views == before.unidentified_page_views


def test_phone_the_operator_does_not_know_is_served_and_only_counted(operator: Operator) -> None:
    """An unknown phone's page is answered to nobody in particular and is one unidentified page view."""
    before = operator.summary()
    assert operator.browse(UNKNOWN, "/unknown") == Answer(200, "unrecognised")
    after = operator.summary()
    assert after.page_views == before.page_views
    assert after.unidentified_page_views == before.unidentified_page_views + 1


@pytest.mark.parametrize("forged", FORGERIES)
def test_forged_copy_from_a_known_phone_is_replaced(operator: Operator, forged: list[tuple[str, str]]) -> None:
    """A known phone that claims another's alias stays itself, and nothing is recorded of the other."""
    assert operator.browse(KNOWN, "/forged", forged) == Answer(200, ALIASES["gallery"])
    assert operator.paths(ALIASES["gallery"])[0] == "/forged"
    assert "/forged" not in operator.paths(VICTIM)


@pytest.mark.parametrize("forged", FORGERIES)
def test_forged_copy_from_an_unknown_phone_is_removed(operator: Operator, forged: list[tuple[str, str]]) -> None:
    """An unknown phone that claims somebody's alias stays unrecognised, and nothing is recorded of him."""
    assert operator.browse(UNKNOWN, "/forged", forged) == Answer(200, "unrecognised")
    assert "/forged" not in operator.paths(VICTIM)


@pytest.mark.parametrize("forged", FORGERIES)
def test_forged_copy_past_the_gateway_is_not_believed(operator: Operator, forged: list[tuple[str, str]]) -> None:
    """A phone that reaches the site itself, not by the gateway, is nobody whatever it claims."""
    headers = [("Host", "gallery.test"), *forged]
    assert ask(UNKNOWN, operator.sites["gallery"], "/past", headers) == Answer(200, "unrecognised")
    assert "/past" not in operator.paths(VICTIM)


def test_one_phone_has_another_alias_at_another_service(operator: Operator) -> None:
    """Two services see one phone under two aliases, and neither records the other's pages."""
    for service, alias in ALIASES.items():
        assert operator.browse(KNOWN, f"/at-{service}", service=service) == Answer(200, alias)
    assert operator.paths(ALIASES["gallery"], service="gallery")[0] == "/at-gallery"
    assert operator.paths(ALIASES["games"], service="games") == ["/at-games"]
    assert operator.paths(ALIASES["gallery"], service="games") == []
    assert operator.summary("games").visitors == 1


def test_two_phones_are_two_visitors(operator: Operator) -> None:
    """Phones with different aliases are different visitors, each with the pages of his own."""
    operator.browse(KNOWN, "/of-one")
    operator.browse(OTHER, "/of-the-other")
    assert operator.paths(ALIASES["gallery"])[0] == "/of-one"
    assert operator.paths(VICTIM) == ["/of-the-other"]
