"""Kannel as the gateway between a test's SMSC and a test's site, with the documented configuration."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.real import free_port, is_open, require_program, running
from tests.support.smsc import Smsc
from tests.support.waiting import PATIENCE, wait_until

CONFIGURATION = Path(__file__).parents[2] / "docs/gateways/kannel-sms.conf"
ACCOUNT, PASSWORD = "36123", "change-me"  # as documented, of the SMSC's account and of sendsms
SECRET = "a-secret-of-this-test"  # what Kannel shows to the site
HASTE = {"keepalive = 30": "keepalive = 1", "reconnect-delay = 10": "reconnect-delay = 1",
         "http-queue-delay = 10": "http-queue-delay = 1"}  # fmt: skip


class Call(NamedTuple):
    """A request that Kannel made to the site."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Site:
    """What Kannel calls: remembers every call, and answers what it is told to. It can be down for a while."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answer = b""
        self.port = free_port()
        self._server: http.server.ThreadingHTTPServer | None = None

    def up(self) -> None:
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                site.calls.append(Call(self.command, self.path, dict(self.headers.items()), body))
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(site.answer)))
                self.end_headers()
                self.wfile.write(site.answer)

            do_GET = do_POST  # noqa: N815 - the name is the base's

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="site").start()

    def down(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def called(self, count: int, path: str) -> list[Call]:
        """Wait until so many calls in all were made to a path, and give them."""

        def made() -> list[Call]:
            return [call for call in self.calls if call.target.startswith(path)]

        wait_until(lambda: len(made()) >= count, f"{count} calls are made to {path}")
        return made()


class Kannel(NamedTuple):
    """The running gateway."""

    smsc: Smsc
    sendsms_port: int

    def send(self, text: str, **headers: str) -> tuple[int, str]:
        """Hand a text over for sending, with X-Kannel- headers of these names; give the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.sendsms_port, timeout=PATIENCE)
        fields = {"Username": "sonneries", "Password": PASSWORD, **headers}
        named = {f"X-Kannel-{name.replace('_', '-')}": value for name, value in fields.items()}
        try:
            connection.request(
                "POST", "/cgi-bin/sendsms", text.encode(), {**named, "Content-Type": 'text/plain; charset="UTF-8"'}
            )
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


@contextmanager
def running_kannel(folder: Path, smsc: Smsc, site_port: int) -> Iterator[Kannel]:
    """Start bearerbox and smsbox with the documented configuration, on other ports and in more haste."""
    bearerbox, smsbox = require_program("bearerbox"), require_program("smsbox")
    admin, box, sendsms = free_port(), free_port(), free_port()
    ports = {13000: admin, 13001: box, 13013: sendsms, 25100: smsc.port, 8001: site_port}
    changes = {str(documented): str(used) for documented, used in ports.items()}
    changes |= {"/var/spool/kannel/store": str(folder / "store"), **HASTE}
    changes |= {f"kannel:{PASSWORD}@": f"kannel:{SECRET}@"}
    text = CONFIGURATION.read_text()
    for documented, used in changes.items():
        assert documented in text
        text = text.replace(documented, used)
    configuration = folder / "kannel.conf"
    configuration.write_text(text)
    with running([bearerbox, str(configuration)], port=admin, log=folder / "bearerbox.log"):
        wait_until(lambda: is_open(box), "bearerbox takes boxes")
        with running([smsbox, str(configuration)], port=sendsms, log=folder / "smsbox.log"):
            wait_until(lambda: smsc.sessions > 0, "Kannel has logged in")
            yield Kannel(smsc, sendsms)
