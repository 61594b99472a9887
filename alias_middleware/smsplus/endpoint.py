"""Where Kannel calls the site: one endpoint for subscribers' messages and for reports, mountable in both edges.

`answer` judges a call without doing anything; `serve` then does what it asks for. Nothing is ever answered but a
status: Kannel would send a body to the subscriber, as a message that he pays for.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

from alias_middleware.errors import SettingsError, UnreadableCall, describe
from alias_middleware.secret import secret_bytes
from alias_middleware.smsplus.calls import Report, SmsMo, State, read_mo, read_report
from alias_middleware.trust import Trust

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger("alias_middleware.smsplus")

MAX_BODY: Final = 64 * 1024
_REPORTS = "/report"
_REASONS: Final = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
                   413: "Content Too Large", 503: "Service Unavailable"}  # fmt: skip


class Receiver(Protocol):
    """Who keeps what subscribers write: a `Tracker`."""

    def receive_sms(self, alias: str, short_code: str, text: str, *, at: datetime, message_id: str) -> object:
        """Keep a message for good before returning; one that comes again with its id counts once."""


class Reporter(Protocol):
    """Who wants to know what became of messages: a tracker's `contact`."""

    def reported(self, message_id: str, state: State) -> object:
        """Take note of a report."""


class Call(NamedTuple):
    """A request, as far as it matters. `headers` by names in lower case; `peer` as in `Trust.admits`."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    peer: str | None


class KannelEndpoint:
    """`endpoint.wsgi` and `endpoint.asgi` are the apps to mount where `post-url` points to."""

    def __init__(
        self,
        receiver: Receiver,
        *,
        secret: str,
        trusted_gateways: Sequence[str],
        zone: tzinfo,
        reporter: Reporter | None = None,
        user: str = "kannel",
    ) -> None:
        """Take calls from Kannel alone.

        Args:
            receiver: whom messages are handed to.
            secret: the password in `post-url` and in the transport's `reports_to`, at least 16 characters.
            trusted_gateways: the addresses Kannel calls from.
            zone: where the SMSC's clock stands.
            reporter: whom reports are handed to; without, there is nothing under ``/report``.
            user: the name before the password.

        Raises:
            SettingsError: the secret is too short or cannot stand in an URL, or an address is none.
        """
        secret_bytes(secret, setting="secret")
        if not (user + secret).isascii() or not (user + secret).replace("-", "").replace("_", "").isalnum():
            raise SettingsError("letters, digits, - and _ only: it stands in Kannel's URLs", setting="secret")
        self._receiver = receiver
        self._reporter = reporter
        self._zone = zone
        self._authorization = b"Basic " + b64encode(f"{user}:{secret}".encode())
        self._trust = Trust(trusted_gateways)

    def answer(self, call: Call) -> tuple[int, SmsMo | Report | None]:
        """Judge a call: the status to answer with, and what is to be done first. Pure.

        Raises:
            UnreadableCall: it is from Kannel, and not as Kannel writes it.
        """
        authorization = call.headers.get("authorization", "").encode("latin-1", "replace")
        known = hmac.compare_digest(authorization, self._authorization)
        if not (self._trust.admits(call.peer, ()) and known):
            return 403, None
        if call.method not in {"GET", "POST"}:
            return 405, None
        if not call.path.rstrip("/").endswith(_REPORTS):
            return 200, read_mo(call.query, call.headers, call.body, zone=self._zone)
        return (404, None) if self._reporter is None else (200, read_report(call.query))

    def serve(self, call: Call) -> int:
        """Do what a call asks for, and give the status; with any but 200 Kannel calls again later."""
        try:
            status, action = self.answer(call)
            match action:
                case SmsMo():
                    self._receiver.receive_sms(
                        action.alias, action.short_code, action.text, at=action.at, message_id=action.message_id
                    )
                case Report() if self._reporter is not None:
                    self._reporter.reported(action.message_id, action.state)
        except UnreadableCall as error:
            logger.error("kannel_call_unreadable field=%s", error.field)
            return 400
        except Exception as error:  # noqa: BLE001 - whatever it is, Kannel keeps the message and brings it again
            logger.error("kannel_call_failed %s", describe(error))
            return 503
        return status

    def wsgi(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a call under WSGI: the app to mount."""
        length = environ.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or int(length) > MAX_BODY:
            status = 413
        else:
            body = environ["wsgi.input"].read(int(length))
            status = self.serve(_wsgi_call(environ, body)) if len(body) == int(length) else 400
        start_response(f"{status} {_REASONS[status]}", [("Content-Length", "0")])
        return []

    @property
    def asgi(self) -> ASGIApp:
        """The ASGI app; what blocks happens in a thread."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:  # servers tell a method from a function
            await self._serve_asgi(scope, receive, send)

        return app

    async def _serve_asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more and len(body) <= MAX_BODY:
            message = await receive()
            if message["type"] != "http.request":  # gone before all of it was here
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        too_much = len(body) > MAX_BODY
        status = 413 if too_much else await asyncio.to_thread(self.serve, _asgi_call(scope, body))
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


def _wsgi_call(environ: WSGIEnvironment, body: bytes) -> Call:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    return Call(
        environ["REQUEST_METHOD"],
        environ.get("PATH_INFO", ""),
        environ.get("QUERY_STRING", ""),
        headers,
        body,
        environ.get("REMOTE_ADDR"),
    )


def _asgi_call(scope: Scope, body: bytes) -> Call:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    client = scope.get("client")
    query = scope.get("query_string", b"").decode("latin-1")
    return Call(scope["method"], scope["path"], query, headers, body, client[0] if client else None)
