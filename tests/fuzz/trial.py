"""One request's trial: what was expected, what came about, and whether that is as it must be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, MutableMapping, Sequence
from typing import Any

from alias_middleware import Visitor
from tests.fuzz.answers import AppError, ServerError
from tests.fuzz.requests import HEADER, PERSONAL, TWIN

_HIDDEN = {HEADER.decode(), TWIN.decode(), "wap-network_info", "wap_network-info"}
_PASSED_ON = {"x-msisdn"}  # nobody's business here, whatever it holds
_ADDED = {"vary", "cache-control", "set-cookie"}
_ALLOWED = (AppError, ServerError, asyncio.CancelledError)


class Trial:
    """What is noted of one request, by the app and by the server."""

    def __init__(self, allowed: set[str | None], *, careless: bool) -> None:
        """Expect the visitor to be one of `allowed`; a careless app returns no body, which no server takes."""
        self._allowed = allowed
        self._careless = careless
        self.sent: list[Any] = []
        self.received: list[Any] = []
        self.head: tuple[str, list[tuple[str, str]]] | None = None
        self.headers: list[tuple[str, str]] = []
        self.said: list[str] = []
        self.steps = 0
        self.messages = 0
        self.closed = 0
        self.foreign: MutableMapping[str, Any] | None = None
        self.amiss: list[str] = []

    def meet(self, visitor: Visitor, headers: Iterable[tuple[str, str]]) -> None:
        """Note whom the app meets, and what of the headers it sees."""
        if visitor.recognition.alias not in self._allowed:
            self.amiss.append("somebody else was recognised")
        for name, value in headers:
            plain = name.removeprefix("HTTP_").lower().replace("_", "-") if name.isupper() else name
            if plain in _HIDDEN or (plain not in _PASSED_ON and PERSONAL.search(value)):
                self.amiss.append("the app sees the operator's header")

    def ended(self, error: BaseException | None) -> None:
        """Judge how it ended: only the app's and the server's own errors come through."""
        if error is not None and not isinstance(error, _ALLOWED) and not (
            self._careless and isinstance(error, TypeError)
        ):  # fmt: skip
            self.amiss.append(f"an error of ours: {type(error).__name__}")
        if any(PERSONAL.search(text) for text in self.said):
            self.amiss.append("an alias in an error or a representation")

    def cookie(self) -> bytes | None:
        """The cookie of ours that the answer sets, as a browser sends it back."""
        head = self.head[1] if self.head else []
        start = self.received[0] if self.received and isinstance(self.received[0], dict) else {}
        pairs = [*head, *_text(start.get("headers", []))]
        ours = [value for name, value in pairs if name.lower() == "set-cookie" and value != "a=b"]
        return ours[0].partition(";")[0].encode() if ours else None

    def compare_wsgi(self) -> None:
        """What the server received is what the app sent, but for what was on its way when it ended."""
        sent, received = b"".join(self.sent), b"".join(self.received)
        if not sent.startswith(received):
            self.amiss.append("another body")
        if self.head is not None:
            self._compare_headers(self.headers, self.head[1])

    def compare_asgi(self) -> None:
        for sent, received in zip(self.sent, self.received, strict=False):
            if {key: sent[key] for key in sent if key != "headers"} != {
                key: received[key] for key in received if key != "headers"
            }:
                self.amiss.append("another message")
            if isinstance(sent.get("headers"), Sequence):
                self._compare_headers(_text(sent["headers"]), _text(received["headers"]))
        if len(self.received) > len(self.sent):
            self.amiss.append("more messages than the app sent")

    def _compare_headers(self, sent: list[tuple[str, str]], received: list[tuple[str, str]]) -> None:
        """The app's own are there in their order; none but ours are added; a Vary may have become longer."""
        own = [pair for pair in sent if pair[0].lower() != "vary"]
        if [pair for pair in received if pair[0].lower() != "vary"][: len(own)] != own:
            self.amiss.append("the app's headers are gone")
        added = received[len(own) :]
        if any(name.lower() not in _ADDED for name, _ in added if (name, _) not in sent):
            self.amiss.append("strange headers were added")
        varies = {
            part.strip().lower() for name, value in sent if name.lower() == "vary" for part in value.split(",")
        }
        now = {
            part.strip().lower() for name, value in received if name.lower() == "vary" for part in value.split(",")
        }
        if not varies - {""} <= now:
            self.amiss.append("a Vary of the app's is gone")


def _text(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
