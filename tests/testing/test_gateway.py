"""The simulated gateway, between a real client and a real origin."""

from __future__ import annotations

import http.client
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from alias_middleware.testing.gateway import (
    SimulatedGateway,
    Subscriber,
    constant_subscriber,
    header_subscriber,
)

ALIAS = "314522927347"
LARGE = bytes(range(256)) * 8192  # 2 MiB


@dataclass
class Received:
    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: object

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each.lower() == name]


@dataclass
class Origin:
    """A site that remembers what it received."""

    url: str
    received: list[Received] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    @property
    def last(self) -> Received:
        return self.received[-1]


class Site(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    origin: Origin

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self) -> None:
        body = b""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Received(self.command, self.path, self.headers.items(), body, self.connection)
        self.origin.received.append(request)
        getattr(self, "page_" + self.path.strip("/").partition("?")[0], self.page_)(request)

    def reply(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def page_(self, request: Received) -> None:
        self.reply(200, {"Content-Length": "5", "Set-Cookie": "a=1", "Keep-Alive": "timeout=5"}, b"hello")

    def page_echo(self, request: Received) -> None:
        self.reply(201, {"Content-Length": str(len(request.body))}, request.body)

    def page_large(self, request: Received) -> None:
        self.reply(200, {"Content-Length": str(len(LARGE))}, LARGE)

    def page_unchanged(self, request: Received) -> None:
        self.reply(304, {"ETag": '"1"'})

    def page_chunked(self, request: Received) -> None:
        self.reply(200, {"Transfer-Encoding": "chunked"}, b"5\r\nfirst\r\n")
        if self.command == "HEAD":
            return
        self.origin.go_on.wait(10)
        self.wfile.write(b"6\r\nsecond\r\n0\r\n\r\n")

    def page_until_closed(self, request: Received) -> None:
        self.close_connection = True
        self.reply(200, {"Connection": "close"}, b"as long as it lasts")

    def page_closes_afterwards(self, request: Received) -> None:
        self.close_connection = True  # without saying so
        self.reply(200, {"Content-Length": "3"}, b"bye")

    def page_breaks_off(self, request: Received) -> None:
        self.close_connection = True
        self.reply(200, {"Content-Length": "100"}, b"only this")


class QuietServer(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Half requests are part of the tests."""


@pytest.fixture
def origin() -> Iterator[Origin]:
    handler = type("BoundSite", (Site,), {})
    with QuietServer(("127.0.0.1", 0), handler) as server:
        handler.origin = Origin(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield handler.origin  # type: ignore[attr-defined]
        handler.origin.go_on.set()  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


@pytest.fixture
def gateway(origin: Origin) -> Iterator[SimulatedGateway]:
    with SimulatedGateway(origin.url, constant_subscriber(ALIAS)) as gateway:
        yield gateway


def address(gateway: SimulatedGateway) -> tuple[str, int]:
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    return host, int(port)


@pytest.fixture
def phone(gateway: SimulatedGateway) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(*address(gateway), timeout=10)) as connection:
        yield connection


def get(
    phone: http.client.HTTPConnection,
    path: str = "/",
    headers: dict[str, str] | None = None,
    method: str = "GET",
) -> tuple[http.client.HTTPResponse, bytes]:
    phone.request(method, path, headers=headers or {})
    response = phone.getresponse()
    return response, response.read()


def say(gateway: SimulatedGateway, request: bytes) -> bytes:
    """Send raw bytes and answer everything that comes back until the gateway hangs up."""
    with socket.create_connection(address(gateway), timeout=10) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as answer:
            return answer.read()


def test_names_the_subscriber(phone: http.client.HTTPConnection, origin: Origin) -> None:
    """The site gets one header with the alias, and the site's answer reaches the phone."""
    response, body = get(phone, "/?page=2")
    assert (response.status, body) == (200, b"hello")
    assert (origin.last.method, origin.last.path) == ("GET", "/?page=2")
    assert origin.last.values("wap-network-info") == [f"mUserAlias:{ALIAS}"]


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(b"wap-network-info: mUserAlias:000000000001", id="as the gateway writes it"),
        pytest.param(b"WAP-Network-Info: mUserAlias:000000000001", id="in other letters"),
        pytest.param(b"wap_network_info: mUserAlias:000000000001", id="underscore twin"),
        pytest.param(b"Wap-Network_Info: mUserAlias:000000000001", id="half an underscore twin"),
        pytest.param(b"wap-network-info: 1\r\nwap-network-info: 2", id="twice"),
        pytest.param(b"X-Forwarded-For: 10.0.0.1\r\nX_Forwarded_For: 10.0.0.1", id="another address"),
        pytest.param(b"X-Gateway: guessed\r\nx_gateway: guessed", id="the secret"),
        pytest.param(b"X-Simulated-Subscriber: 000000000001", id="the choice of a subscriber"),
    ],
)
def test_removes_what_a_phone_forged(origin: Origin, forged: bytes) -> None:
    """Every copy of the gateway's own headers is the gateway's."""
    with SimulatedGateway(origin.url, constant_subscriber(ALIAS), secret=("X-Gateway", "s3cret")) as gateway:
        say(gateway, b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n" + forged + b"\r\n\r\n")
    assert [(name.lower(), value) for name, value in origin.last.headers] == [
        ("host", "shop.test"),
        ("x-forwarded-for", "127.0.0.1"),
        ("wap-network-info", f"mUserAlias:{ALIAS}"),
        ("x-gateway", "s3cret"),
    ]


def test_unknown_phones_stay_unknown(origin: Origin) -> None:
    """No subscriber, no header, not even the phone's own."""
    with SimulatedGateway(origin.url, lambda peer, headers: None) as gateway:
        say(gateway, b"GET / HTTP/1.0\r\nwap-network-info: mUserAlias:000000000001\r\n\r\n")
    assert origin.last.values("wap-network-info") == []


@pytest.mark.parametrize(
    ("subscriber", "sent", "expected"),
    [
        pytest.param(header_subscriber(), {"X-Simulated-Subscriber": ALIAS}, [f"mUserAlias:{ALIAS}"], id="named"),
        pytest.param(header_subscriber(), {}, [], id="nobody"),
        pytest.param(header_subscriber(), {"X-Simulated-Subscriber": ""}, [], id="empty"),
        pytest.param(header_subscriber("X-Phone"), {"x-phone": ALIAS}, [f"mUserAlias:{ALIAS}"], id="own name"),
        pytest.param(lambda peer, _: {"127.0.0.1": ALIAS}.get(peer), {}, [f"mUserAlias:{ALIAS}"], id="by address"),
    ],
)
def test_each_request_may_be_another_phone(
    origin: Origin, subscriber: Subscriber, sent: dict[str, str], expected: list[str]
) -> None:
    """The subscriber is decided for each request, from the address and the headers."""
    with (
        SimulatedGateway(origin.url, subscriber, header="X-Operator") as gateway,
        closing(http.client.HTTPConnection(*address(gateway), timeout=10)) as phone,
    ):
        get(phone, headers=sent)
    assert origin.last.values("x-operator") == expected


def test_headers_of_the_hop_stay_on_the_hop(phone: http.client.HTTPConnection, origin: Origin) -> None:
    """Hop-by-hop headers end at the gateway in both directions; the others, Host included, pass."""
    hop = {
        "Connection": "keep-alive",
        "TE": "trailers",
        "Upgrade": "websocket",
        "Proxy-Authorization": "Basic eA==",
    }
    response, _ = get(phone, headers={"Host": "shop.test", "Accept": "text/html", **hop})
    assert [name.lower() for name, _ in origin.last.headers] == [
        "accept-encoding", "host", "accept", "x-forwarded-for", "wap-network-info"
    ]  # fmt: skip
    assert origin.last.values("host") == ["shop.test"]
    assert response.headers["Set-Cookie"] == "a=1"
    assert response.headers["Keep-Alive"] is None


def test_a_request_without_host_gets_the_sites(gateway: SimulatedGateway, origin: Origin) -> None:
    """HTTP/1.0 phones need not send a Host; their connection closes after the answer."""
    answer = say(gateway, b"GET / HTTP/1.0\r\n\r\n")
    assert origin.last.values("host") == [origin.url.removeprefix("http://")]
    assert answer.endswith(b"Connection: close\r\n\r\nhello")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
def test_every_method_and_its_body(phone: http.client.HTTPConnection, origin: Origin, method: str) -> None:
    """Bodies arrive whole, whatever the method is called."""
    phone.request(method, "/echo", body=LARGE)
    response = phone.getresponse()
    assert (response.status, response.read()) == (201, LARGE)
    assert (origin.last.method, len(origin.last.body)) == (method, len(LARGE))


def test_a_body_of_unknown_length(phone: http.client.HTTPConnection, origin: Origin) -> None:
    """A request sent in chunks reaches the site in chunks."""
    phone.request("POST", "/echo", body=iter([b"one ", LARGE, b" three"]), encode_chunked=True)
    assert phone.getresponse().read() == b"one " + LARGE + b" three"
    assert origin.last.values("content-length") == []


def test_chunk_extensions_and_trailers_are_dropped(gateway: SimulatedGateway, origin: Origin) -> None:
    """What RFC 9112 lets a proxy drop from a chunked body is dropped."""
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = say(gateway, head + b"3;a=b\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n")
    assert answer.endswith(b"\r\n\r\nabc")
    assert origin.last.body == b"abc"


def test_an_answer_flows_as_it_is_made(phone: http.client.HTTPConnection, origin: Origin) -> None:
    """The first chunk is on the phone while the site still works on the second."""
    phone.request("GET", "/chunked")
    response = phone.getresponse()
    assert response.read1() == b"first"
    origin.go_on.set()
    assert response.read() == b"second"
    assert get(phone)[1] == b"hello"


@pytest.mark.parametrize(
    ("path", "method", "status", "length", "body"),
    [
        pytest.param("/", "HEAD", 200, "5", b"", id="HEAD"),
        pytest.param("/chunked", "HEAD", 200, None, b"", id="HEAD of an answer in chunks"),
        pytest.param("/unchanged", "GET", 304, None, b"", id="304"),
        pytest.param("/large", "GET", 200, str(len(LARGE)), LARGE, id="large"),
        pytest.param("/until_closed", "GET", 200, None, b"as long as it lasts", id="until closed"),
    ],
)
def test_answers_keep_their_shape(
    phone: http.client.HTTPConnection, path: str, method: str, status: int, length: str | None, body: bytes
) -> None:
    """Status, length and body are the site's, and the connection serves the next request."""
    response, received = get(phone, path, method=method)
    assert (response.status, response.headers["Content-Length"], received) == (status, length, body)
    assert get(phone)[1] == b"hello"


def test_an_old_phone_gets_chunks_unwrapped(gateway: SimulatedGateway, origin: Origin) -> None:
    """HTTP/1.0 knows no chunks: the answer ends with the connection."""
    origin.go_on.set()
    assert say(gateway, b"GET /chunked HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\nfirstsecond")


def test_connections_are_kept(phone: http.client.HTTPConnection, origin: Origin) -> None:
    """One connection of a phone is one connection to the site, for as long as both keep it."""
    get(phone)
    before = phone.sock
    get(phone, method="HEAD")
    get(phone, "/unchanged")
    assert phone.sock is before
    assert len({id(received.connection) for received in origin.received}) == 1


def test_a_site_may_close_an_idle_connection(phone: http.client.HTTPConnection, origin: Origin) -> None:
    """A connection the site closed without notice is replaced, also for a request that cannot be repeated."""
    get(phone, "/closes_afterwards")
    kept = origin.last.connection
    assert isinstance(kept, socket.socket)
    while kept.fileno() != -1:
        threading.Event().wait(0.001)
    phone.request("POST", "/echo", body=b"once")
    assert phone.getresponse().read() == b"once"
    assert len(origin.received) == 2


def test_an_answer_that_breaks_off_breaks_off(phone: http.client.HTTPConnection) -> None:
    """A phone can tell a truncated answer from a whole one."""
    phone.request("GET", "/breaks_off")
    with pytest.raises(http.client.IncompleteRead) as raised:
        phone.getresponse().read()
    assert raised.value.partial == b"only this"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_site_that_is_down(caplog: pytest.LogCaptureFixture, method: str) -> None:
    """The phone reads 502 in plain text; the log names the site and the error, never the subscriber."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with (
        caplog.at_level(logging.DEBUG),
        SimulatedGateway(f"http://127.0.0.1:{port}", constant_subscriber(ALIAS)) as gateway,
    ):
        answer = say(gateway, method.encode() + b" / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\n")
    assert body == (
        b"" if method == "HEAD" else b"502 Bad Gateway\nThe site behind this gateway does not answer.\n"
    )
    assert [record.getMessage() for record in caplog.records] == [
        f"upstream_failed site=127.0.0.1:{port} error=ConnectionRefusedError"
    ]


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(b"GET / HTTP/1.1\r\nwap-network-info : 1\r\n\r\n", id="space before the colon"),
        pytest.param(b"GET / HTTP/1.1\r\nX-Folded: 1\r\n 2\r\n\r\n", id="folded header"),
        pytest.param(b"GET /\xe9 HTTP/1.1\r\n\r\n", id="target beyond ASCII"),
        pytest.param(b"GET /\x01 HTTP/1.1\r\n\r\n", id="control character in the target"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 1_0\r\n\r\n", id="length that is no number"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", id="two lengths"),
        pytest.param(
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            id="length and chunks",
        ),
        pytest.param(b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", id="unknown encoding"),
        pytest.param(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n", id="malformed chunk"),
    ],
)
def test_ambiguous_requests_are_refused(gateway: SimulatedGateway, origin: Origin, request_: bytes) -> None:
    """What site and gateway might read differently never reaches an answer of the site."""
    assert say(gateway, request_).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert origin.received == []


def test_a_phone_that_leaves_in_the_middle(
    gateway: SimulatedGateway, phone: http.client.HTTPConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    """Half a request harms nobody and prints nothing."""
    with socket.create_connection(address(gateway)) as connection:
        connection.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert get(phone)[1] == b"hello"
    assert capfd.readouterr() == ("", "")


def test_a_broken_subscriber_is_shown(origin: Origin, capfd: pytest.CaptureFixture[str]) -> None:
    """An error in the caller's own function is not taken for one of the site or the phone."""
    with SimulatedGateway(origin.url, lambda peer, headers: dict[str, str]()[peer]) as gateway:
        assert say(gateway, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    assert "KeyError: '127.0.0.1'" in capfd.readouterr().err


def test_stopping_hangs_up(origin: Origin) -> None:
    """Stopping closes idle connections, can be repeated, and the gateway can start again."""
    gateway = SimulatedGateway(origin.url, constant_subscriber(ALIAS))
    with pytest.raises(RuntimeError, match="not started"):
        _ = gateway.url
    gateway.start()
    with pytest.raises(RuntimeError, match="started already"):
        gateway.start()
    with closing(http.client.HTTPConnection(*address(gateway), timeout=10)) as phone:
        get(phone)
        gateway.stop()
        assert phone.sock.recv(1) == b""
    gateway.stop()
    with gateway:
        assert say(gateway, b"GET / HTTP/1.0\r\n\r\n").endswith(b"hello")


@pytest.mark.parametrize("upstream", ["127.0.0.1:8000", "https://shop.test", "http://", "http://shop.test/path"])
def test_an_upstream_it_cannot_serve(upstream: str) -> None:
    """The mistake is named when the gateway is made, not at the first request."""
    with pytest.raises(ValueError, match="http://host:port"):
        SimulatedGateway(upstream, constant_subscriber(ALIAS))
