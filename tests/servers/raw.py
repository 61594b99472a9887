"""Requests byte for byte over a socket, and what came back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tests.support.real import connect


class Reply(NamedTuple):
    """An answer; status 0 where the server closed the connection without a whole one."""

    status: int
    headers: list[tuple[str, str]]
    body: str

    @property
    def told(self) -> str:
        """What the site says of the recognition."""
        return dict(self.headers).get("x-told", "")

    @property
    def cookies(self) -> str:
        """The cookies it sets, as a browser sends them back."""
        return "; ".join(value.partition(";")[0] for name, value in self.headers if name == "set-cookie")


NO_REPLY = Reply(0, [], "")

Request = tuple[str, str, Sequence[str]]


def request_bytes(method: str, path: str, lines: Sequence[str], *, last: bool) -> bytes:
    """Give a request without a body; each of `lines` is sent as it stands, latin-1."""
    closing = ["Connection: close"] if last else []
    length = ["Content-Length: 0"] if method == "POST" else []
    head = [f"{method} {path} HTTP/1.1", "Host: gallery.test", *closing, *length, *lines]
    return "\r\n".join([*head, "", ""]).encode("latin-1")


def ask(where: int | Path, requests: Sequence[Request], *, source: str = "") -> list[Reply]:
    """Ask one request after the other over one connection, and give as many replies."""
    with connect(where, source=source) as connection, connection.makefile("rb") as answers:
        replies = []
        for number, (method, path, lines) in enumerate(requests, 1):
            try:
                connection.sendall(request_bytes(method, path, lines, last=number == len(requests)))
            except (BrokenPipeError, ConnectionResetError):  # it keeps no connection, or none of this kind
                replies.append(NO_REPLY)
            else:
                replies.append(_reply(answers))
        return replies


def ask_at_once(where: int | Path, requests: Sequence[Request], *, source: str = "") -> list[Reply]:
    """Send all requests before the first answer is read."""
    with connect(where, source=source) as connection, connection.makefile("rb") as answers:
        connection.sendall(
            b"".join(
                request_bytes(method, path, lines, last=number == len(requests))
                for number, (method, path, lines) in enumerate(requests, 1)
            )
        )
        return [_reply(answers) for _ in requests]


def _reply(answers: BinaryIO) -> Reply:
    """Read one answer, with a length, in chunks, or to the end of the connection."""
    try:
        first = answers.readline()
        if not first:
            return NO_REPLY
        headers = []
        while line := (read := answers.readline()).rstrip(b"\r\n"):
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name.lower(), value.strip()))
        if not read:
            return NO_REPLY
        named = dict(headers)
        if named.get("transfer-encoding", "").lower() == "chunked":
            body = _chunks(answers)
        elif "content-length" in named:
            body = answers.read(int(named["content-length"]))
            if len(body) < int(named["content-length"]):
                return NO_REPLY
        else:
            body = answers.read()
    except ConnectionResetError:  # a server that reads no further than the bad line
        return NO_REPLY
    return Reply(int(first.split()[1]), headers, body.decode("latin-1"))


def _chunks(answers: BinaryIO) -> bytes:
    body = b""
    while length := int(answers.readline().split(b";")[0] or b"0", 16):
        body += answers.read(length)
        answers.readline()
    answers.readline()
    return body
