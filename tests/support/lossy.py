"""A way to a PostgreSQL server that is cut at a chosen word: before it arrives, or before its answer does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.support.waiting import PATIENCE

_BLOCK = 65536


class LossyWay:
    """Passes on what is said, until a word is said that it was set on; then `strike` is called and all is cut."""

    def __init__(self, server: int, strike: Callable[[], None]) -> None:
        """Lead to the port `server`, from a free port of this machine's own."""
        self._server = server
        self._strike = strike
        self._lock = threading.Lock()
        self._set_on: tuple[bool, bytes] | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.struck = threading.Event()
        self._open: set[socket.socket] = set()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def lose(self, said: bytes) -> None:
        """Lose the next message to the server that has this in it."""
        self._set(True, said)

    def lose_answer(self, said: bytes) -> None:
        """Lose the server's next message that has this in it: what it tells of is done."""
        self._set(False, said)

    def _set(self, to_server: bool, said: bytes) -> None:
        with self._lock:
            self.struck.clear()
            self._set_on = to_server, said

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._listener.close()
        self._accepting.join(PATIENCE)
        self._cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server))
            except OSError:
                client.close()
                continue
            self._open |= {client, server}
            for ends in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, to_server: bool) -> None:
        before = b""
        with suppress(OSError):
            while block := source.recv(_BLOCK):
                if self._is_meant(to_server, before, block):
                    self._strike()
                    self._cut()
                    self.struck.set()
                    return
                before = block
                target.sendall(block)
        for end in (source, target):
            self._end(end)

    def _is_meant(self, to_server: bool, before: bytes, block: bytes) -> bool:
        with self._lock:
            if self._set_on is None or self._set_on[0] != to_server:
                return False
            word = self._set_on[1]
            if word not in before[1 - len(word) :] + block:
                return False
            self._set_on = None
            return True

    def _cut(self) -> None:
        for end in self._open.copy():
            self._end(end)

    def _end(self, end: socket.socket) -> None:
        self._open.discard(end)
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@contextmanager
def lossy_way(server: int, strike: Callable[[], None]) -> Iterator[LossyWay]:
    """Lead to a server until the end of the block."""
    way = LossyWay(server, strike)
    try:
        yield way
    finally:
        way.close()
