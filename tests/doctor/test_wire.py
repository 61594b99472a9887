"""Requests byte for byte, and what is made of whatever comes back."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from alias_middleware.doctor.wire import Reply, Target, ask, target_of
from tests.support.waiting import PATIENCE

TIMEOUT = 5.0


@contextmanager
def answering(answer: bytes | None) -> Iterator[tuple[Target, list[bytes]]]:
    """Listen for one request, and answer with these bytes; None waits until the other end has left."""
    got: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):  # nobody comes, or leaves too soon
            connection, _ = listener.accept()
            with connection:
                while (more := connection.recv(65536)) and not more.endswith(b"\r\n\r\n"):
                    got.append(more)
                got[:] = [b"".join([*got, more])]
                if answer is not None:
                    connection.sendall(answer)
                else:
                    connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield Target("127.0.0.1", listener.getsockname()[1], "/page?a=1", False), got
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)


def test_request_goes_out_as_it_is_written() -> None:
    """Header lines are not checked, joined or mended on their way, not even a bare LF."""
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (target, got):
        ask(target, ["wap-network-info : a\nb: \xb2"], TIMEOUT)
    head = b"".join(got)
    assert head.startswith(b"GET /page?a=1 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nwap-network-info : a\nb: \xb2\r\n" in head


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\nVary: a\r\nvary: b\r\nContent-Length: 2\r\n\r\nok",
            200,
            id="whole",
        ),
        pytest.param(
            b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            404,
            id="in chunks",
        ),
        pytest.param(b"HTTP/1.0 400 Bad\r\n\r\nno", 400, id="to the end"),
        pytest.param(b"", 0, id="nothing"),
        pytest.param(b"\0garbage\r\n\r\n", 0, id="garbage"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", 200, id="cut off"),
    ],
)
def test_answer_is_read_whatever_it_is(answer: bytes, status: int) -> None:
    """What has no head is no answer; nothing is raised."""
    with answering(answer) as (target, _):
        reply = ask(target, [], TIMEOUT)
    assert (reply.status, reply.late) == (status, False)
    assert reply.said("vary") in ("", "a, b")


def test_answer_that_does_not_come_in_time_is_late() -> None:
    """The request may still be served, so that it is told apart from one that was refused."""
    with answering(None) as (target, _):
        assert ask(target, [], 0.05).late


def test_nobody_there_is_no_answer() -> None:
    """A port that nobody listens on answers nothing."""
    assert ask(Target("127.0.0.1", 1, "/", False), [], TIMEOUT) == Reply(0)


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        pytest.param("http://a.example", Target("a.example", 80, "/", False), "a.example", id="host"),
        pytest.param("https://a.example/x?y=1", Target("a.example", 443, "/x?y=1", True), "a.example", id="https"),
        pytest.param("http://[::1]:8000/", Target("::1", 8000, "/", False), "[::1]:8000", id="IPv6"),
    ],
)
def test_url_is_taken_apart(url: str, target: Target, authority: str) -> None:
    """Host, port and page of a URL; the port is named where it is not the usual one."""
    assert target_of(url) == target
    assert target_of(url).authority == authority


@pytest.mark.parametrize("url", ["", "ftp://a", "a.example", "http://", "http://a:x/", "http://é.example/"])
def test_what_is_no_url_is_refused(url: str) -> None:
    """Only http and https, to a host."""
    with pytest.raises(ValueError, match=r"http://host/page|Port"):
        target_of(url)
