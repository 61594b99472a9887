"""A load generator in a process of its own: some keep-alive connections, each asking again once it is answered.

`python -m benchmarks.load PORT SECONDS VISITORS` prints how many answers came in how many seconds.
"""

from __future__ import annotations

import random
import selectors
import socket
import sys
import time

from benchmarks.asgi_peers import session_cookie
from benchmarks.bare_app import PAGE

_CONNECTIONS = 16
_BYTES = 65_536
_PATIENCE = 10.0


def main(port: int, seconds: float, visitors: int) -> tuple[int, float]:
    """Keep a server busy; give the answers and the seconds from the first request to the last answer."""
    requests = _requests(visitors)
    choose = random.Random(7).choice
    answers, received = 0, dict[socket.socket, bytes]()
    with selectors.DefaultSelector() as waiting:
        for _ in range(_CONNECTIONS):
            connection = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            waiting.register(connection, selectors.EVENT_READ)
            received[connection] = b""
            connection.sendall(choose(requests))
        begun = time.perf_counter()
        while (spent := time.perf_counter() - begun) < seconds:
            for key, _ in waiting.select(_PATIENCE):
                connection = key.fileobj  # type: ignore[assignment]
                data = received[connection] + connection.recv(_BYTES)
                if not data.endswith(PAGE):
                    received[connection] = data
                    continue
                if not data.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError("an answer that is no page")
                received[connection] = b""
                answers += 1
                connection.sendall(choose(requests))
        for connection in received:
            connection.close()
    return answers, spent


def _requests(visitors: int) -> list[bytes]:
    """What a gateway passes on of different visitors, who carry the session's cookie as well."""
    cookie = session_cookie()
    return [
        b"GET /news/sport HTTP/1.1\r\nhost: sonneries.example\r\n"
        b"user-agent: Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Mobile\r\n"
        b"accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\naccept-language: fr-FR,fr;q=0.9\r\n"
        b"cookie: " + cookie + b"\r\nwap-network-info: mUserAlias:%012d\r\n\r\n" % (314_522_927_347 + visitor)
        for visitor in range(visitors)
    ]


if __name__ == "__main__":
    print(*main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
