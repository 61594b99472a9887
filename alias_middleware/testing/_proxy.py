"""The moving parts of the simulated gateway: a small streaming HTTP/1.1 proxy.

What it does to a request's headers is its owner's to say.
"""

from __future__ import annotations

import http.client
import logging
import re
import select
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.errors import MissingHeaderBodySeparatorDefect
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

Headers = list[tuple[str, str]]

_BLOCK = 65536
_HOP_BY_HOP = "connection|expect|keep-alive|proxy-.+|te|trailer|transfer-encoding|upgrade"  # RFC 9110, 7.6.1
_logger = logging.getLogger(__name__)


class Proxy(ThreadingTCPServer):
    """Listens on `address`, forwards to `site`, with what `rewrite` makes of a peer's headers."""

    allow_reuse_address = True
    daemon_threads = False  # `server_close` waits for them
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], site: tuple[str, int], rewrite: Callable[[str, Headers], Headers]
    ) -> None:
        self.site = site
        self.rewrite = rewrite
        self.clients: set[socket.socket] = set()
        super().__init__(address, _Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.clients.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.clients.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError | EOFError):  # a phone that went away is no news
            super().handle_error(request, client_address)

    def stop(self) -> None:
        """Close every connection and wait for its thread."""
        self.shutdown()
        for client in self.clients.copy():
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Connection(BaseHTTPRequestHandler):
    """One phone's connection, and the one connection to the site that goes with it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 75
    server: Proxy

    def setup(self) -> None:
        super().setup()
        self.site = http.client.HTTPConnection(*self.server.site, timeout=30)

    def finish(self) -> None:
        self.site.close()
        super().finish()

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):  # how the base class looks a method up: all are forwarded
            return self._forward
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a request line may carry what must not be logged."""

    def _forward(self) -> None:
        self.close_connection |= self.request_version != "HTTP/1.1"
        try:
            response = self._ask()
        except (ValueError, http.client.InvalidURL):
            self._refuse(HTTPStatus.BAD_REQUEST, "The gateway does not understand this request.")
        except (OSError, http.client.HTTPException) as error:
            _logger.warning("upstream_failed site=%s:%d error=%s", *self.server.site, type(error).__name__)
            self._refuse(HTTPStatus.BAD_GATEWAY, "The site behind this gateway does not answer.")
        else:
            with response:
                self._relay(response)

    def _ask(self) -> http.client.HTTPResponse:
        encodings = self.headers.get_all("transfer-encoding", [])
        lengths = self.headers.get_all("content-length", [])
        if (
            any(isinstance(defect, MissingHeaderBodySeparatorDefect) for defect in self.headers.defects)
            or any("\n" in value for value in self.headers.values())
            or len(encodings) + len(lengths) > 1
            or not all(encoding.lower() == "chunked" for encoding in encodings)
            or not all(re.fullmatch("[0-9]{1,15}", length) for length in lengths)
        ):
            raise ValueError("site and gateway might read this request differently")
        chunked = bool(encodings)
        body = self._chunks() if chunked else self._blocks(int(lengths[0])) if lengths else None
        end_to_end = [pair for pair in self.headers.items() if not _is_hop_by_hop(pair[0])]
        headers = self.server.rewrite(self.client_address[0], end_to_end)
        if self.site.sock is not None and _is_readable(self.site.sock):
            self.site.close()  # an idle connection has nothing to read but its end
        self.site.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers + [("Transfer-Encoding", "chunked")] * chunked:
            self.site.putheader(name, value)
        self.site.endheaders(body, encode_chunked=chunked)
        return self.site.getresponse()

    def _blocks(self, size: int) -> Iterator[bytes]:
        while size:
            block = self.rfile.read(min(size, _BLOCK))
            if not block:
                raise EOFError("the phone left in the middle of a body")
            size -= len(block)
            yield block

    def _chunks(self) -> Iterator[bytes]:
        size = -1
        while size:
            match = re.fullmatch(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\r?\n", self.rfile.readline(_BLOCK))
            if match is None:
                raise ValueError("a malformed chunk")
            size = int(match[1], 16)
            yield from self._blocks(size)
            if size:
                self.rfile.readline(3)
        while self.rfile.readline(_BLOCK).strip():
            pass  # trailers are dropped

    def _relay(self, response: http.client.HTTPResponse) -> None:
        chunked = response.length is None and self.request_version == "HTTP/1.1"
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if not _is_hop_by_hop(name):
                self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        try:
            while block := response.read1(_BLOCK):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
            if response.length:
                raise http.client.IncompleteRead(b"", response.length)
            if chunked:
                self.wfile.write(b"0\r\n\r\n")
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # the phone learns it from the missing end

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        self.close_connection = True  # what is left of the request is not worth reading
        body = f"{status} {status.phrase}\n{text}\n".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body if self.command != "HEAD" else b"")


def _is_hop_by_hop(name: str) -> bool:
    return re.fullmatch(_HOP_BY_HOP, name, re.IGNORECASE) is not None


def _is_readable(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
