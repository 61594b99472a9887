"""Kannel's wapbox as the operator's WAP gateway: RADIUS tells it who a phone is, and it tells the site.

Phones are Kannel's own `fakewap`, and a client of ours where a phone sends headers of its own.
"""

from __future__ import annotations

import random
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from alias_middleware import Tracker
from tests.gateways import wsp
from tests.gateways.operator import (
    ALIASES,
    FORGERIES,
    KNOWN,
    OTHER,
    UNKNOWN,
    UNRECOGNISED,
    VICTIM,
    Serve,
    documented,
    figures,
    on_uvicorn,
    on_waitress,
    on_wsgiref,
    recorded_paths,
    site,
)
from tests.support.real import free_port, is_open, require_program, running
from tests.support.waiting import PATIENCE, wait_until

ALIAS = ALIASES["gallery"]
MAPPED = "http://gallery.test"
CONNECTIONLESS, CONNECTED = (9200, 0), (9201, 1)
SECRET_KEYS = ["a secret of sixteen bytes or more"]
WML_1_1 = b"\x04"
"""The number of the document type in compiled WML, after its first byte."""

_random = random.SystemRandom()


class WapOperator:
    """Kannel, the network that tells it who is there, and the site behind it."""

    def __init__(self, gateway: str, radius: int, port: int, tracker: Tracker) -> None:
        self.gateway = gateway
        self.site_url = f"http://127.0.0.1:{port}"
        self.tracker = tracker
        self._radius = radius

    def account(self, what: str, phone: str, alias: str) -> None:
        """Tell the gateway, as the network does, that a subscriber came or went."""
        said = {
            "Acct-Status-Type": what,
            "Acct-Session-Id": f'"{phone}"',
            "Framed-IP-Address": phone,
            "Calling-Station-Id": f'"mUserAlias:{alias}"',
        }
        command = [require_program("radclient"), f"127.0.0.1:{self._radius}", "acct", "radius"]
        attributes = "\n".join(f"{name} = {value}" for name, value in said.items())
        subprocess.run(command, input=attributes, text=True, check=True, capture_output=True, timeout=PATIENCE)

    def fake_wap(self, phone: str, url: str, mode: tuple[int, int], folder: Path) -> bytes:
        """Ask for a page with Kannel's own phone; give the body it gets."""
        port, kind = mode
        got = folder / "got"
        got.unlink(missing_ok=True)
        where = ["-g", self.gateway, "-p", str(port), "-M", str(kind), "-I", phone, "-w", str(got)]
        command = [require_program("fakewap"), *where, url]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
        return got.read_bytes() if got.exists() else b""

    def get(self, phone: str, url: str, headers: Sequence[tuple[str, str]] = ()) -> wsp.Reply:
        """Ask for a page without a connection, with headers of the phone's own."""
        return wsp.get(self.gateway, phone, url, headers)

    def paths(self, alias: str) -> list[str]:
        """Give the pages recorded of an alias, latest first."""
        return recorded_paths(self.tracker, alias)


def unused_address() -> str:
    """Give an address of this machine whose WSP ports, which are fixed, nobody has."""
    while True:
        address = f"127.{_random.randint(1, 254)}.{_random.randint(1, 254)}.{_random.randint(1, 254)}"
        try:
            with ExitStack() as stack:
                for port in range(9200, 9204):
                    probe = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    probe.bind((address, port))
        except OSError:
            continue
        return address


@contextmanager
def wap_operator(serve: Serve, folder: Path) -> Iterator[WapOperator]:
    """Run Kannel with the documented configuration, and a site behind it that remembers visitors with a cookie."""
    bearerbox, wapbox = require_program("bearerbox"), require_program("wapbox")
    with site(serve, folder, "gallery", continuity=True, secret_keys=SECRET_KEYS) as (port, tracker):
        gateway, radius = unused_address(), free_port(socket.SOCK_DGRAM)
        boxes, admin = free_port(), free_port()
        changes = {
            "127.0.0.9": gateway,
            "13000": str(admin),
            "13002": str(boxes),
            "our-port = 1813": f"our-port = {radius}",
            "127.0.0.1:8001": f"127.0.0.1:{port}",
        }
        configuration = str(documented("kannel.conf", folder, changes))
        with running([bearerbox, "-v", "2", configuration], port=admin, log=folder / "bearerbox.log"):
            wait_until(lambda: is_open(boxes), "bearerbox takes boxes")
            with running([wapbox, "-v", "4", configuration], port=admin, log=folder / "wapbox.log"):
                wait_until(lambda: answers(gateway), "Kannel answers phones")
                yield WapOperator(gateway, radius, port, tracker)


def answers(gateway: str) -> bool:
    """Tell whether a gateway answers, be it that there is no such site: bearerbox discards what no box takes."""
    try:
        return wsp.get(gateway, UNKNOWN, "http://127.0.0.1:1/", patience=0.2).status != wsp.OK
    except TimeoutError:
        return False


@pytest.fixture(
    scope="module",
    params=[pytest.param(on_waitress, id="wsgi-waitress"), pytest.param(on_uvicorn, id="asgi-uvicorn")],
)
def operator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WapOperator]:
    """Kannel before a site on each edge; the network has told it of one subscriber."""
    with wap_operator(request.param, tmp_path_factory.mktemp("kannel")) as running_operator:
        running_operator.account("Start", KNOWN, ALIAS)
        yield running_operator


@pytest.mark.parametrize(
    "mode", [pytest.param(CONNECTIONLESS, id="connectionless"), pytest.param(CONNECTED, id="connected")]
)
def test_phone_that_radius_knows_is_recognised_and_recorded(
    operator: WapOperator, mode: tuple[int, int], tmp_path: Path
) -> None:
    """Its page comes as compiled WML with its alias in it, and is a row of its history and of the figures."""
    before = figures(operator.tracker)
    body = operator.fake_wap(KNOWN, f"{MAPPED}/known-{mode[1]}.wml", mode, tmp_path)
    assert body[1:2] == WML_1_1
    assert ALIAS.encode() in body
    assert operator.paths(ALIAS)[0] == f"/known-{mode[1]}.wml"
    after = figures(operator.tracker)
    assert after.page_views == before.page_views + 1
    assert after.unidentified_page_views == before.unidentified_page_views


def test_phone_that_radius_does_not_know_is_served_and_only_counted(operator: WapOperator, tmp_path: Path) -> None:
    """Its page is nobody's, and one unidentified page view."""
    before = figures(operator.tracker)
    body = operator.fake_wap(UNKNOWN, f"{MAPPED}/unknown.wml", CONNECTIONLESS, tmp_path)
    assert UNRECOGNISED.encode() in body
    after = figures(operator.tracker)
    assert after.page_views == before.page_views
    assert after.unidentified_page_views == before.unidentified_page_views + 1


def test_phone_is_known_from_start_to_stop(operator: WapOperator) -> None:
    """RADIUS lets an address be a subscriber's, and then nobody's: no cookie goes on where the network ended."""
    address = f"{MAPPED}/session.wml"
    assert UNRECOGNISED.encode() in operator.get(OTHER, address).body
    operator.account("Start", OTHER, VICTIM)
    assert VICTIM.encode() in operator.get(OTHER, address).body
    operator.account("Stop", OTHER, VICTIM)
    assert UNRECOGNISED.encode() in operator.get(OTHER, address).body
    assert operator.paths(VICTIM) == ["/session.wml"]


def test_connectionless_phone_gets_no_cookie(operator: WapOperator) -> None:
    """The site sets its continuity cookie, WSP has no way to carry it: the header is all there is, each time."""
    first, second = (operator.get(KNOWN, f"{MAPPED}/page-{number}.wml") for number in (1, 2))
    assert (first.status, first.headers[:1]) == (wsp.OK, wsp.WMLC)
    assert b"alias_continuity" not in first.headers
    assert ALIAS.encode() in second.body
    assert operator.paths(ALIAS)[:2] == ["/page-2.wml", "/page-1.wml"]


@pytest.mark.parametrize("forged", FORGERIES)
def test_forged_copy_from_a_known_phone_is_replaced(operator: WapOperator, forged: list[tuple[str, str]]) -> None:
    """A known phone that claims another's alias stays itself, by whichever address it asks."""
    for where in (MAPPED, operator.site_url):
        assert ALIAS.encode() in operator.get(KNOWN, f"{where}/forged.wml", forged).body
    assert operator.paths(ALIAS)[:2] == ["/forged.wml", "/forged.wml"]
    assert "/forged.wml" not in operator.paths(VICTIM)


@pytest.mark.parametrize("forged", FORGERIES)
def test_forged_copy_from_an_unknown_phone_is_removed(
    operator: WapOperator, forged: list[tuple[str, str]]
) -> None:
    """An unknown phone that claims somebody's alias stays unrecognised, by whichever address it asks."""
    for where in (MAPPED, operator.site_url):
        assert UNRECOGNISED.encode() in operator.get(UNKNOWN, f"{where}/forged.wml", forged).body
    assert "/forged.wml" not in operator.paths(VICTIM)


def test_copy_to_an_address_that_is_not_mapped_is_passed_on(operator: WapOperator) -> None:
    """What the configuration warns of: by a name of the site that Kannel was not told of, anybody is anybody."""
    unmapped = operator.site_url.replace("127.0.0.1", "localhost")
    forged = [("wap-network-info", "mUserAlias:161803398874")]
    assert b"161803398874" in operator.get(UNKNOWN, f"{unmapped}/unmapped.wml", forged).body


def test_twin_is_passed_on_to_servers_that_believe_it(tmp_path: Path) -> None:
    """What the configuration warns of: Kannel lets the underscore twin pass, and wsgiref takes it for the header.

    Beside Kannel's own header it is a conflict, which names nobody.
    """
    with wap_operator(on_wsgiref, tmp_path) as operator:
        twin = [("wap_network_info", f"mUserAlias:{VICTIM}")]
        assert VICTIM.encode() in operator.get(UNKNOWN, f"{MAPPED}/twin.wml", twin).body
        operator.account("Start", KNOWN, ALIAS)
        assert UNRECOGNISED.encode() in operator.get(KNOWN, f"{MAPPED}/twin.wml", twin).body
