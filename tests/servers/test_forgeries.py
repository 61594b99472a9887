"""Phones that claim somebody else's alias, over raw sockets, past and through gateways, on every server.

The gateway of these tests connects from an address of its own. It puts the phone's alias in a line of its own and
lets through what the phone sent besides: where a gateway drops the phone's copies there is nothing to test.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.servers.catalogue import PARSERS, UVICORN_DIRECT
from tests.servers.delivery import NEEDS_MORE, NO_NEED, Delivery, documented, put_down
from tests.servers.launch import GATEWAY, Served, Server, Site
from tests.servers.raw import Reply, ask, ask_at_once
from tests.support.waiting import PATIENCE

OWN, VICTIM, TWINNED = "314522927347", "271828182845", "161803398874"
OWN_LINE = f"wap-network-info: mUserAlias:{OWN}"
VICTIM_LINE = f"wap-network-info: mUserAlias:{VICTIM}"
TWINNED_LINE = f"wap-network-info: mUserAlias:{TWINNED}"
SECRET = "a secret of the gateway"
SECRET_LINE = f"x-gateway-key: {SECRET}"
LOOPBACK, STRANGER = "127.0.0.1", "127.0.0.9"
STRANGERS_WORD = "unrecognised"

PASSED_ON = [
    pytest.param([VICTIM_LINE, OWN_LINE], id="copy first"),
    pytest.param([OWN_LINE, VICTIM_LINE], id="copy last"),
    pytest.param([VICTIM_LINE.upper(), OWN_LINE], id="copy in capitals"),
    pytest.param([VICTIM_LINE, VICTIM_LINE, VICTIM_LINE, VICTIM_LINE, OWN_LINE], id="many copies"),
    pytest.param([f"{VICTIM_LINE}, mUserAlias:{OWN}"], id="joined, copy first"),
    pytest.param([f"{OWN_LINE},mUserAlias:{VICTIM}"], id="joined, copy last"),
    pytest.param([f"{OWN_LINE}\r\n ,mUserAlias:{VICTIM}"], id="folded line"),
    pytest.param([f"{OWN_LINE}\r\n\tmUserAlias:{VICTIM}"], id="folded line without a comma"),
    pytest.param([f"wap-network-info:\r\n mUserAlias:{VICTIM}", OWN_LINE], id="folded copy"),
    pytest.param([f"X-Other: a\r\n {VICTIM_LINE}", OWN_LINE], id="folded into another header"),
    pytest.param([f"X-Other: a\n{VICTIM_LINE}", OWN_LINE], id="after a bare LF"),
    pytest.param([OWN_LINE, f"X-Other: a\n{VICTIM_LINE}"], id="last, after a bare LF"),
    pytest.param([f"X-Other: a\r{VICTIM_LINE}", OWN_LINE], id="after a bare CR"),
    pytest.param([f"{VICTIM_LINE}\0", OWN_LINE], id="NUL behind the value"),
    pytest.param([f"wap-network-info\0: mUserAlias:{VICTIM}", OWN_LINE], id="NUL behind the name"),
    pytest.param([f"wap-network-info : mUserAlias:{VICTIM}", OWN_LINE], id="blank before the colon"),
    pytest.param([OWN_LINE, f"wap-network-info\t: mUserAlias:{VICTIM}"], id="tab before the colon, last"),
    pytest.param([f" {VICTIM_LINE}", OWN_LINE], id="blank before the first header"),
    pytest.param([f"{VICTIM_LINE}{',' * 9000}", OWN_LINE], id="9 kB of commas"),
    pytest.param([f"{VICTIM_LINE}{' ' * 9000}", OWN_LINE], id="9 kB of blanks"),
    pytest.param([f"{VICTIM_LINE}{chr(0xB2)}", OWN_LINE], id="a superscript digit"),
]

MALFORMED = [
    pytest.param([f"X-Other: a\r\n {VICTIM_LINE}"], id="folded into another header"),
    pytest.param([f"X-Other: a\r{VICTIM_LINE}"], id="after a bare CR"),
    pytest.param([f"{VICTIM_LINE}\0"], id="NUL behind the value"),
    pytest.param([f"wap-network-info\0: mUserAlias:{VICTIM}"], id="NUL behind the name"),
    pytest.param([f"{VICTIM_LINE}{',' * 9000}"], id="9 kB of commas"),
    pytest.param([f"{VICTIM_LINE}{chr(0xB2)}"], id="a superscript digit"),
    pytest.param([f"{VICTIM_LINE},mUserAlias:{VICTIM}1"], id="an alias of 13 digits"),
]

CLAIMED_PEERS = [
    pytest.param([f"X-Forwarded-For: {GATEWAY}"], id="X-Forwarded-For"),
    pytest.param([f"X-Forwarded-For: {GATEWAY}, {GATEWAY}"], id="X-Forwarded-For twice"),
    pytest.param(
        [f"X-Forwarded-For: {GATEWAY}", f"X-Forwarded-For: {GATEWAY}"], id="X-Forwarded-For in two lines"
    ),
    pytest.param([f"X_Forwarded_For: {GATEWAY}"], id="X-Forwarded-For's twin"),
    pytest.param([f"Forwarded: for={GATEWAY}"], id="Forwarded"),
    pytest.param([f"X-Real-IP: {GATEWAY}"], id="X-Real-IP"),
    pytest.param([f"Remote-Addr: {GATEWAY}", f"Remote_Addr: {GATEWAY}"], id="Remote-Addr"),
    pytest.param(["X-Forwarded-For: unix"], id="the word unix"),
    pytest.param(["X-Forwarded-For: localhost"], id="the word localhost"),
    pytest.param(["X-Forwarded-For: "], id="nothing"),
    pytest.param(["X-Forwarded-For: garbage, %00"], id="garbage"),
]

WRONG_SECRETS = [
    pytest.param([], id="no secret"),
    pytest.param(["x-gateway-key: another secret"], id="another secret"),
    pytest.param(["x-gateway-key: "], id="empty secret"),
    pytest.param([SECRET_LINE[:-1]], id="a part of the secret"),
    pytest.param([SECRET_LINE.upper()], id="the secret in capitals"),
    pytest.param([SECRET_LINE, SECRET_LINE], id="the secret twice"),
    pytest.param([SECRET_LINE, "x-gateway-key: guess"], id="the secret, then a guess"),
    pytest.param(["x-gateway-key: guess", SECRET_LINE], id="a guess, then the secret"),
]


@pytest.fixture(scope="module", params=PARSERS, ids=str)
def server(request: pytest.FixtureRequest) -> Server:
    """A server for each way of reading a request."""
    chosen: Server = request.param
    return chosen


@pytest.fixture(scope="module")
def plain(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A site that trusts the gateway's address, and forbids to record a thing of the victim."""
    yield from served(Site(tmp_path_factory.mktemp("plain")), server)


@pytest.fixture(scope="module")
def guarded(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A site that asks for the gateway's secret too, and remembers visitors with a cookie."""
    settings: dict[str, Any] = {
        "gateway_secret": ("x-gateway-key", SECRET),
        "continuity": True,
        "secret_keys": ["a secret of sixteen bytes or more"],
    }
    yield from served(Site(tmp_path_factory.mktemp("guarded"), **settings), server)


def served(site: Site, server: Server) -> Iterator[Served]:
    """Serve a site; when all is done nothing is recorded of the victim, and much of others."""
    with site.served_by(server) as running:
        yield running
        assert "Traceback" not in running.log
    with site.tracker() as tracker:
        assert tracker.flush(PATIENCE)
        assert tracker.visitor(VICTIM).history(1) == []


def is_harmless(reply: Reply) -> bool:
    """Whether a request was refused, or served to its own sender or to nobody."""
    return reply.status in (0, *range(400, 500)) or (reply.status, reply.body) in [
        (200, OWN),
        (200, STRANGERS_WORD),
    ]


@pytest.mark.parametrize("lines", PASSED_ON)
def test_copy_beside_the_gateways_own_line_names_nobody_else(plain: Served, lines: Sequence[str]) -> None:
    """A gateway that lets copies through, and puts its own line before or behind: the copy is never believed."""
    assert is_harmless(plain.ask("GET", "/", *lines))


@pytest.mark.parametrize("lines", MALFORMED)
def test_copy_that_no_server_should_read_names_nobody(plain: Served, lines: Sequence[str]) -> None:
    """An unknown phone's malformed copy, let through because the gateway did not see what it was, is nobody's."""
    assert is_harmless(plain.ask("GET", "/", *lines))


@pytest.mark.parametrize("lines", CLAIMED_PEERS)
def test_peer_is_who_connects_whatever_the_request_says(plain: Served, lines: Sequence[str]) -> None:
    """A stranger who claims to come from the gateway is not trusted."""
    reply = plain.ask("GET", "/", VICTIM_LINE, *lines, source=STRANGER)
    assert is_harmless(reply)
    assert reply.told in ("UNTRUSTED", "")


@pytest.mark.parametrize("lines", CLAIMED_PEERS)
def test_uvicorn_believes_nobody_without_proxy_headers(lines: Sequence[str], direct: Served) -> None:
    """With --no-proxy-headers uvicorn takes the peer from the connection, on the same machine too."""
    assert direct.ask("GET", "/", VICTIM_LINE, *lines, source=LOOPBACK).told == "UNTRUSTED"


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Uvicorn as the documentation wants it where no proxy is between it and the gateway."""
    yield from served(Site(tmp_path_factory.mktemp("direct")), UVICORN_DIRECT)


def test_equal_copies_are_one_alias(plain: Served) -> None:
    """A gateway's line repeated is still the alias."""
    reply = plain.ask("GET", "/", OWN_LINE, OWN_LINE)
    assert (reply.told, reply.body) == ("OK", OWN)


def test_header_of_one_request_is_not_of_the_next(server: Server, plain: Served) -> None:
    """On one connection each request is its own: without a header it is a stranger's, with another another's."""
    requests = [("GET", "/", [OWN_LINE]), ("GET", "/", []), ("GET", "/", [TWINNED_LINE])]
    said = [reply.body for reply in ask(plain.where, requests, source=GATEWAY)]
    assert said == ([OWN, STRANGERS_WORD, TWINNED] if server.keeps_connections else [OWN, "", ""])
    at_once = [reply.body for reply in ask_at_once(plain.where, requests, source=GATEWAY)]
    assert at_once in ([OWN, STRANGERS_WORD, TWINNED], [OWN, "", ""])  # who answers the first only is in his right


def test_cookie_goes_on_where_the_header_ended(server: Server, guarded: Served) -> None:
    """The gateway names the visitor in a connection's first request only: the cookie names him in the next."""
    first = guarded.ask("GET", "/", OWN_LINE, SECRET_LINE)
    cookie = f"Cookie: {first.cookies}"
    requests = [("GET", "/", [OWN_LINE, SECRET_LINE]), ("GET", "/", [cookie]), ("GET", "/", [])]
    said = [reply.body for reply in ask(guarded.where, requests, source=GATEWAY)]
    assert said == ([OWN, OWN, STRANGERS_WORD] if server.keeps_connections else [OWN, "", ""])
    assert guarded.ask("GET", "/", cookie).body == OWN
    assert guarded.ask("GET", "/", cookie[:-9]).body == STRANGERS_WORD


@pytest.mark.parametrize("lines", WRONG_SECRETS)
def test_header_without_the_secret_is_not_read(guarded: Served, lines: Sequence[str]) -> None:
    """The gateway's address is not enough where a secret is asked for; one that came twice is none."""
    reply = guarded.ask("GET", "/", VICTIM_LINE, *lines)
    assert (reply.told, reply.body) == ("UNTRUSTED", STRANGERS_WORD)


def test_secret_is_no_use_without_the_address(guarded: Served) -> None:
    """Both are asked for: the address and the secret."""
    assert guarded.ask("GET", "/", OWN_LINE, SECRET_LINE).told == "OK"
    assert guarded.ask("GET", "/", VICTIM_LINE, SECRET_LINE, source=STRANGER).told == "UNTRUSTED"


@pytest.mark.parametrize("name", ["wap_network_info", "WAP_Network-Info"])
def test_twin_is_believed_only_where_the_documentation_says_so(
    server: Server, plain: Served, guarded: Served, name: str
) -> None:
    """A phone's twin passes the gateway: alone, before and behind the gateway's own line, and with the secret.

    A gateway that sends its secret beside its own line only is safe on servers that join the two.
    """
    twin = f"{name}: mUserAlias:{TWINNED}"
    remedy = documented(server).remedy
    both_orders = [(OWN_LINE, twin), (twin, OWN_LINE)]
    assert plain.ask("GET", "/", twin).body == (STRANGERS_WORD if remedy == NO_NEED else TWINNED)
    beside = [plain.ask("GET", "/", *both).body for both in both_orders]
    assert (TWINNED in beside) == (remedy == NEEDS_MORE)
    assert guarded.ask("GET", "/", twin).body == STRANGERS_WORD
    known = [guarded.ask("GET", "/", *both, SECRET_LINE).body for both in both_orders]
    assert (TWINNED in known) == (remedy == NEEDS_MORE)
    always_sent = guarded.ask("GET", "/", twin, SECRET_LINE)
    assert (always_sent.body == TWINNED) == (remedy != NO_NEED)


def test_documentation_says_what_the_server_delivers(
    server: Server, plain: Served, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The table of servers in the documentation is what these servers did."""
    site = Site(tmp_path_factory.mktemp("unix"), trusted_gateways=[server.unix_peer])
    with site.served_by(server, by_unix_socket=True) as on_socket:
        assert on_socket.ask("GET", "/", OWN_LINE).body == OWN
    found = Delivery.of(server, plain)
    told = plain.ask("GET", "/", TWINNED_LINE, f"X-Forwarded-For: {GATEWAY}", source=LOOPBACK).told
    found = found._replace(forwarded="believed" if told == "OK" else "ignored")
    put_down(found)
    assert documented(server) == found
