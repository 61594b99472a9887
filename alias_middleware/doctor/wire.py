"""Requests byte for byte over a socket of their own: what a forger sends, no library would."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

_MOST_BYTES = 1 << 20


class Target(NamedTuple):
    """Where a page of the deployment is."""

    host: str
    port: int
    path: str
    secure: bool

    @property
    def authority(self) -> str:
        """The host as a request names it."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.secure else 80) else f"{name}:{self.port}"


class Reply(NamedTuple):
    """An answer; status 0 where the connection ended without one, `late` where time was up."""

    status: int
    headers: Sequence[tuple[str, str]] = ()
    late: bool = False

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for given, value in self.headers if given.lower() == name]

    def said(self, name: str) -> str:
        """The values of a header, joined."""
        return ", ".join(self.all(name))


def target_of(url: str) -> Target:
    """Take a URL apart.

    Raises:
        ValueError: it is not like http://host/page.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii():
        raise ValueError("not like http://host/page")
    secure = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.hostname, parts.port or (443 if secure else 80), path, secure)


def ask(target: Target, lines: Sequence[str], timeout: float) -> Reply:
    """Ask for the page with header lines exactly as given (latin-1); never raises for what the other end does."""
    head = [f"GET {target.path} HTTP/1.1", f"Host: {target.authority}", "Accept: text/html, */*", *lines]
    request = "\r\n".join([*head, "Connection: close", "", ""]).encode("latin-1")
    try:
        with socket.create_connection((target.host, target.port), timeout) as plain:
            if target.secure:
                with ssl.create_default_context().wrap_socket(plain, server_hostname=target.host) as sealed:
                    return _exchange(sealed, request)
            return _exchange(plain, request)
    except TimeoutError:
        return Reply(0, late=True)
    except (OSError, http.client.HTTPException, ValueError):
        return Reply(0)


def _exchange(connection: socket.socket, request: bytes) -> Reply:
    connection.sendall(request)
    response = http.client.HTTPResponse(connection, method="GET")
    try:
        response.begin()
        response.read(_MOST_BYTES)  # it is served whole, as to anybody
        return Reply(response.status, response.getheaders())
    finally:
        response.close()
