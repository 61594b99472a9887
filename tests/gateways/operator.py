"""An operator's gateway in front of real servers, and what its phones and the site's storage have to say."""

from __future__ import annotations

import http.client
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from alias_middleware import Tracker, Visitor, asgi, current_visitor, wsgi
from alias_middleware.events import PageView
from alias_middleware.statistics import Summary
from tests.support.real import free_port, require_program, running
from tests.support.servers import uvicorn_server, waitress_server, wsgiref_server
from tests.support.waiting import PATIENCE

CONFIGURATIONS = Path(__file__).parents[2] / "docs/gateways"
KNOWN, OTHER, UNKNOWN = "127.0.0.6", "127.0.0.7", "127.0.0.8"
ALIASES = {"gallery": "314522927347", "games": "690000000001"}
VICTIM = "271828182845"
KEYS = {"gallery": "the key of the gallery", "games": "the key of the games"}
UNRECOGNISED = "unrecognised"

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


class Proxy(NamedTuple):
    """An HTTP gateway that the documentation configures."""

    program: str
    files: Sequence[str]
    """The documented files, the configuration first."""
    command: Callable[[str, Path], list[str]]
    """How the program is started on a configuration."""
    settings: Mapping[str, dict[str, Any]]
    """What each site has to be told about it."""

    def __str__(self) -> str:
        return self.program


class Operator:
    """A gateway, and the site of each service behind it."""

    def __init__(self, port: int, sites: dict[str, int], trackers: dict[str, Tracker]) -> None:
        self.port = port
        self.sites = sites
        self.trackers = trackers

    def browse(
        self, phone: str, path: str, headers: Sequence[tuple[str, str]] = (), *, service: str = "gallery"
    ) -> Answer:
        """Ask a service for a page from the phone's address."""
        return ask(phone, self.port, path, [("Host", f"{service}.test"), *headers])

    def ask_by_address(self, phone: str, path: str) -> Answer:
        """Ask for a page at the gateway's own address, for a configuration that has no name for the site."""
        return ask(phone, self.port, path, [("Host", "127.0.0.1")])

    def paths(self, alias: str, *, service: str = "gallery") -> list[str]:
        """Give the pages recorded of an alias, latest first."""
        return recorded_paths(self.trackers[service], alias)

    def summary(self, service: str = "gallery") -> Summary:
        """Give the service's figures of these days."""
        return figures(self.trackers[service])


def recorded_paths(tracker: Tracker, alias: str) -> list[str]:
    """Give the pages that the storage has of an alias, latest first."""
    assert tracker.flush(PATIENCE)
    return [event.path for event in tracker.visitor(alias).history() if isinstance(event, PageView)]


def figures(tracker: Tracker) -> Summary:
    """Give a service's figures of these days."""
    assert tracker.flush(PATIENCE)
    today, day = datetime.now(UTC).date(), timedelta(days=1)
    return tracker.statistics.summary(today - day, today + 2 * day)


def ask(phone: str, port: int, path: str, headers: Sequence[tuple[str, str]]) -> Answer:
    """Ask for a page from an address of this machine, with headers exactly as they are given."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE, source_address=(phone, 0))
    try:
        connection.putrequest("GET", path, skip_host=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return Answer(response.status, response.read().decode())
    finally:
        connection.close()


def said_of(visitor: Visitor) -> str:
    return visitor.alias or UNRECOGNISED


def wml_of(visitor: Visitor) -> str:
    """The same as a card for a WAP phone."""
    return (
        '<?xml version="1.0"?>\n<!DOCTYPE wml PUBLIC "-//WAPFORUM//DTD WML 1.1//EN" '
        '"http://www.wapforum.org/DTD/wml_1.1.xml">\n'
        f'<wml><card id="c"><p>{said_of(visitor)}</p></card></wml>\n'
    )


def _page(path: str) -> tuple[str, bytes]:
    visitor = current_visitor.get()
    if path.endswith(".wml"):
        return "text/vnd.wap.wml", wml_of(visitor).encode()
    return "text/html", said_of(visitor).encode()


def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    kind, body = _page(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    kind, body = _page(scope["path"])
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


Serve = Callable[[Tracker], AbstractContextManager[int]]


def on_waitress(tracker: Tracker) -> AbstractContextManager[int]:
    return waitress_server(wsgi.AliasMiddleware(wsgi_app, tracker=tracker))


def on_uvicorn(tracker: Tracker) -> AbstractContextManager[int]:
    return uvicorn_server(asgi.AliasMiddleware(asgi_app, tracker=tracker))


def on_wsgiref(tracker: Tracker) -> AbstractContextManager[int]:
    return wsgiref_server(wsgi.AliasMiddleware(wsgi_app, tracker=tracker))


@contextmanager
def site(serve: Serve, folder: Path, service: str, **settings: Any) -> Iterator[tuple[int, Tracker]]:
    """Serve a service's site, which trusts the gateway; give its port and its tracker."""
    tracker = Tracker(
        service=service,
        storage=f"sqlite:///{folder}/alias.db",
        trusted_gateways=["127.0.0.1"],
        raise_errors=True,
        **settings,
    )
    try:
        with serve(tracker) as port:
            yield port, tracker
    finally:
        tracker.close()


@contextmanager
def operating(
    proxy: Proxy,
    serve: Serve,
    folder: Path,
    *,
    settings: Mapping[str, dict[str, Any]] | None = None,
    edit: Callable[[str], str] = str,
) -> Iterator[Operator]:
    """Run a gateway with its documented configuration, and two services behind it that share one database.

    `settings` are the sites' instead of the documented; `edit` changes the configuration.
    """
    program = require_program(proxy.program)
    with ExitStack() as stack:
        sites, trackers = {}, {}
        for service, needed in (proxy.settings if settings is None else settings).items():
            serving = stack.enter_context(site(serve, folder, service, **needed))
            sites[service], trackers[service] = serving
        port = free_port()
        addresses = {f"127.0.0.1:{old}": f"127.0.0.1:{new}" for old, new in _ports(port, sites).items()}
        configuration, *_ = [documented(name, folder, addresses) for name in proxy.files]
        configuration.write_text(edit(configuration.read_text()))
        environment = {f"{service.upper()}_KEY": key for service, key in KEYS.items()}
        command = proxy.command(program, configuration)
        log = folder / f"{proxy.program}.log"
        stack.enter_context(running(command, port=port, log=log, environment=environment))
        yield Operator(port, sites, trackers)


def _ports(port: int, sites: Mapping[str, int]) -> dict[int, int]:
    return {8080: port, 8001: sites["gallery"], 8002: sites["games"]}


def documented(name: str, folder: Path, changes: Mapping[str, str]) -> Path:
    """Copy a file of the documentation to a folder, with what this machine has elsewhere changed."""
    text = (CONFIGURATIONS / name).read_text()
    for old, new in changes.items():
        assert old in text or name.endswith(".map"), old
        text = text.replace(old, new)
    copy = folder / name
    copy.write_text(text)
    return copy


def _nginx(program: str, configuration: Path) -> list[str]:
    directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    return [program, "-p", str(configuration.parent), "-c", str(configuration), "-e", "stderr", "-g", directives]


NGINX = Proxy("nginx", ["nginx.conf"], _nginx, {service: {} for service in ALIASES})
HAPROXY = Proxy(
    "haproxy",
    ["haproxy.cfg", "gallery.map", "games.map"],
    lambda program, configuration: [program, "-db", "-f", str(configuration)],
    {service: {"gateway_secret": ("x-gateway-key", KEYS[service])} for service in ALIASES},
)
