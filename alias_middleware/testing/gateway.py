"""A simulated operator gateway: the proxy that names the subscriber, for demonstrations and tests.

It speaks HTTP/1.1 without upgrades (no websockets), and has no place in production.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Self
from urllib.parse import urlsplit

from alias_middleware.testing._proxy import Headers, Proxy

Subscriber = Callable[[str, Mapping[str, str]], str | None]
"""Answers the alias of a phone, or None: from its address and its headers, whose names are lower case."""


def constant_subscriber(alias: str) -> Subscriber:
    """Every phone is `alias`."""
    return lambda peer, headers: alias


def header_subscriber(name: str = "x-simulated-subscriber") -> Subscriber:
    """Each request says in the header `name` who it plays, so that one program can be many phones."""
    return lambda peer, headers: headers.get(name.lower()) or None


class SimulatedGateway:
    """Forwards requests to `upstream` and names the subscriber, as an operator's gateway does.

    What clients send under the gateway's own header names, or their underscore twins, is removed.
    Use it as a context manager, or call `start` and `stop`.

    Args:
        upstream: the site, as in ``http://127.0.0.1:8000``.
        subscriber: answers who a request comes from, see `Subscriber`.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
        header: carries ``mUserAlias:<alias>``.
        secret: a header and its value added to each request, for a site that asks for `gateway_secret`.
    """

    def __init__(
        self,
        upstream: str,
        subscriber: Subscriber,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        header: str = "wap-network-info",
        secret: tuple[str, str] | None = None,
    ) -> None:
        parts = urlsplit(upstream)
        if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"not like http://host:port (gateways enrich plain HTTP only): {upstream!r}")
        self._site = (parts.hostname, parts.port or 80)
        self._address = (host, port)
        self._server: Proxy | None = None
        self._subscriber, self._header, self._secret = subscriber, header, secret
        own = [header, "x-forwarded-for", "x-simulated-subscriber", *(secret or ())[:1]]
        self._own_names = {_dashed(name) for name in own}

    @property
    def url(self) -> str:
        """Where the gateway listens, as in ``http://127.0.0.1:8080``; known once it is started."""
        if self._server is None:
            raise RuntimeError("the gateway is not started")
        return "http://{}:{}".format(*self._server.server_address[:2])

    def start(self) -> None:
        """Listen, and serve from threads until `stop`."""
        if self._server is not None:
            raise RuntimeError("the gateway is started already")
        self._server = Proxy(self._address, self._site, self.enrich)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="gateway", daemon=True).start()

    def stop(self) -> None:
        """Close every connection and wait for its thread; does nothing when not started."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def enrich(self, peer: str, headers: Headers) -> Headers:
        """Answer the headers that the site gets for those that the phone at `peer` sent."""
        kept = [pair for pair in headers if _dashed(pair[0]) not in self._own_names]
        if not any(name.lower() == "host" for name, _ in kept):
            kept.append(("Host", "{}:{}".format(*self._site)))
        kept.append(("X-Forwarded-For", peer))
        alias = self._subscriber(peer, {name.lower(): value for name, value in headers})
        if alias is not None:
            kept.append((self._header, f"mUserAlias:{alias}"))
        return kept if self._secret is None else [*kept, self._secret]


def _dashed(name: str) -> str:
    return name.lower().replace("_", "-")
