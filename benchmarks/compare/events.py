"""`python -m benchmarks.compare.events`: a server in PostHog's place, which counts the events that arrive."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Counter(ThreadingHTTPServer):
    """Knows the ids of all events; a batch sent again counts once."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: set[str] = set()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed in the middle of a batch is what is measured here, no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Counter

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.update(event["uuid"] for event in body.get("batch", ()))
        self._answer(b"{}")

    def do_GET(self) -> None:
        self._answer(str(len(self.server.seen)).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


if __name__ == "__main__":
    counter = Counter()
    print(counter.server_address[1], flush=True)
    counter.serve_forever()
