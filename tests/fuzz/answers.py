"""How an app answers, drawn by lot: the plain ways, the lawful odd ones, and those that a server has to judge."""

from __future__ import annotations

import random
from typing import NamedTuple


class AppError(Exception):
    """What an app of these tests raises."""


class ServerError(Exception):
    """What a server of these tests says to an app that breaks the protocol, or whose client is gone."""


class Style(NamedTuple):
    """One way to answer. `fails_at`: the step before which the app raises. `gone_at`: the message at which the
    client is gone or the request cancelled. `way`: the shape of the body under WSGI, of the answer under ASGI.
    """

    status: int
    line: str
    headers: list[tuple[str, str]]
    chunks: list[bytes]
    way: str
    fails_at: int
    gone_at: int
    cancelled: bool
    starts: int
    late: bool


_KINDS = [
    "text/html",
    "text/html; charset=utf-8",
    "TEXT/HTML",
    "text/plain",
    "",
    "image/png",
    "text/vnd.wap.wml",
    "é",
]
_HEADERS = [
    ("Vary", "Accept"),
    ("vary", "WAP-Network-Info"),
    ("Vary", "*"),
    ("Vary", ""),
    ("Cache-Control", "public, max-age=60"),
    ("cache-control", "no-store"),
    ("Set-Cookie", "a=b"),
    ("X-Odd", "\x7f"),
    ("", ""),
    ("Content-Type", "text/html"),
]
_STATUSES = [200] * 12 + [204, 206, 301, 304, 400, 404, 500, 100, 999, 0]
_LINES = ["200", "", "abc", "200OK", "\uff12\uff10\uff10 OK", "\u00b200 OK", "99", "-20 x"]
WSGI_WAYS = [
    "list",
    "list",
    "tuple",
    "generator",
    "generator",
    "iterator",
    "write",
    "file",
    "no file",
    "bad iterator",
]
ASGI_WAYS = ["http", "http", "http", "http", "tuple", "generator", "unfinished"]
WEBSOCKET_WAYS = ["talk", "denial", "refusal", "silence"]


def draw(dice: random.Random, ways: list[str]) -> Style:
    """Draw one way to answer."""
    status = dice.choice(_STATUSES)
    odd_line = dice.random() < 0.05
    return Style(
        status=status,
        line=dice.choice(_LINES) if odd_line else f"{status} Said",
        headers=[("Content-Type", dice.choice(_KINDS)), *dice.sample(_HEADERS, dice.choice([0, 0, 1, 3]))],
        chunks=[dice.choice([b"", b"<p>x</p>", b"\xff" * 50]) for _ in range(dice.choice([0, 1, 1, 2, 5]))],
        way=dice.choice(ways),
        fails_at=dice.randrange(6) if dice.random() < 0.1 else -1,
        gone_at=dice.randrange(5) if dice.random() < 0.1 else -1,
        cancelled=dice.random() < 0.5,
        starts=dice.choice([0, 2, 3]) if dice.random() < 0.05 else 1,
        late=dice.random() < 0.1,
    )
