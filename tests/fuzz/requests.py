"""Requests as nobody should send them, and what an independent reading of the rules makes of each."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import NamedTuple

HEADER = b"wap-network-info"
TWIN = b"wap_network_info"
SECRET = (b"x-gateway-key", b"the gateway's own")

KNOWN = [f"3145229{number:05}" for number in range(40)]
"""The aliases of requests that are to be recognised; those of forgeries begin otherwise, and phone numbers too."""
PERSONAL = re.compile(r"3145229\d{5}|7777\d{8}|336\d{8}")
"""Whatever names a person here."""
PERSONAL_BYTES = re.compile(rb"(?<!\d)(?:3145229\d{5}|7777\d{8}|336\d{8})(?!\d)")
"""The same in files, where longer numbers stand too: times, and sums of money."""
_PEERS = [
    ("10.12.0.1", True),
    ("10.12.255.7", True),
    ("::ffff:10.12.0.1", True),
    ("10.13.0.1", False),
    ("203.0.113.9", False),
    ("garbage", False),
    ("10.12.0.1 ", False),
    ("fe80::1%eth0", False),
    ("\u0661\u0660.12.0.1", False),
    ("localhost", False),
    ("", False),
    (None, False),
    ("10.12.0.1" * 50, False),
]
_METHODS = ["GET"] * 12 + ["HEAD", "POST", "OPTIONS", "get", "", "PROPFIND", "G\x00T", "G" * 300]
_ODD_BYTES = [b"\x00", b"\t", b" ", b"\r\n ", b"\n", b"\x7f", b"\xff", b",", b":", b";", "٣".encode(), b"'", b'"']
_OTHER_HEADERS: list[tuple[bytes, list[bytes]]] = [
    (b"accept", [b"text/html", b"*/*", b"", b"\xff", b"text/html;q=0, application/xhtml+xml"]),
    (b"sec-purpose", [b"prefetch", b"", b"\x00", b"prefetch;prerender"]),
    (b"purpose", [b"preview", b"PREFETCH"]),
    (b"x-moz", [b"prefetch"]),
    (b"cookie", [b"a=b", b"alias_visitor=garbage; a", b"=;;=", b"\xff=\xfe", b"x" * 5000]),
    (b"x-forwarded-for", [b"10.12.0.1", b"10.12.0.1, 1.2.3.4"]),
    (b"forwarded", [b"for=10.12.0.1"]),
    (b"host", [b"site.example", b""]),
    (b"x-msisdn", [b"33677236335"]),
    (b"content-length", [b"0", b"-1", b"x"]),
]
_CHOICE_OF_PATHS = [
    "/",
    "/news",
    "",
    "/%00",
    "/é",
    "/\ud800",
    "/a\nb",
    "*",
    "//",
    "/" + "x" * 3000,
    "/\x00",
    "/../..",
]


class Request(NamedTuple):
    """A request as it comes over the wire. `trusted`: its peer is a gateway. `secret_ok`: and says its secret."""

    method: str
    path: str
    headers: list[tuple[bytes, bytes]]
    peer: str | None
    secure: bool
    trusted: bool
    secret_ok: bool

    def alias(self, *, joined: bool, secret: bool) -> str | None:
        """What it is to be recognised as; `joined`: where one text stands for all lines and those of the twin."""
        if not self.trusted or (secret and not self.secret_ok):
            return None
        if joined:
            both = [value for name, value in self.headers if name in (HEADER, TWIN)]
            return reading([b",".join(both)] if both else [])
        return reading([value for name, value in self.headers if name == HEADER])


def reading(lines: Sequence[bytes]) -> str | None:
    """Read the header by the published grammar, step by step, otherwise than the library does."""
    if len(lines) > 4 or sum(len(line) for line in lines) > 256:
        return None
    if any(byte != 9 and not 32 <= byte <= 126 for line in lines for byte in line):
        return None
    found = set()
    for member in b",".join(lines).decode("ascii").split(","):
        if not member.strip(" \t"):
            continue
        key, colon, value = (part.strip(" \t") for part in member.partition(":"))
        well_formed = colon and value.isprintable() and " " not in value and len(value) <= 64
        if not (well_formed and 1 <= len(key) <= 32 and key[0].isalpha()):
            return None
        if not all(letter.isalnum() or letter in "_-" for letter in key):
            return None
        if key.lower() == "museralias":
            if len(value) != 12 or not all(digit in "0123456789" for digit in value):
                return None
            found.add(value)
    return found.pop() if len(found) == 1 else None


def draw(dice: random.Random) -> Request:
    """Make a request up."""
    peer, trusted = dice.choice(_PEERS[:3]) if dice.random() < 0.6 else dice.choice(_PEERS)
    alias = dice.choice(KNOWN) if trusted else f"7777{dice.randrange(10**8):08}"
    headers = [*_claim(dice, alias), *_others(dice)]
    secrets = dice.choice([1, 1, 1, 1, 0, 2])
    right = dice.random() < 0.9
    headers += [(SECRET[0], SECRET[1] if right else b"another's")] * secrets
    if dice.random() < 0.5:
        dice.shuffle(headers)
    path = dice.choice(_CHOICE_OF_PATHS) if dice.random() < 0.3 else f"/page/{dice.randrange(1000)}"
    ok = right and secrets == 1
    return Request(dice.choice(_METHODS), path, headers, peer, dice.random() < 0.2, trusted, ok)


def _claim(dice: random.Random, alias: str) -> list[tuple[bytes, bytes]]:
    good = f"mUserAlias:{alias}".encode()
    bad = f"mUserAlias:7777{dice.randrange(10**8):08}".encode()
    phone = f"mUserMsisdn:336{dice.randrange(10**8):08}".encode()
    odd: list[list[tuple[bytes, bytes]]] = [
        [],
        [(HEADER, good.replace(b":", dice.choice([b" : ", b"\t:", b": "])).swapcase())],
        [(HEADER, good), (HEADER, good)],
        [(HEADER, good + dice.choice([b",", b", ", b" ,\t,"]) + good)],
        [(HEADER, bad), (dice.choice([HEADER, TWIN]), bad[:-1] + b"0")],
        [(HEADER, phone), *([(HEADER, good)] if dice.random() < 0.5 else [])],
        [(TWIN, bad)],
        [(HEADER, _damaged(dice, bad))],
        [(HEADER, bad[: dice.randrange(len(bad))] + dice.choice([b"", b"0", b"1" * 300]))],
        [(HEADER, dice.randbytes(dice.randrange(40)))],
        [(HEADER, bad + b"," + phone + b";")] * dice.randrange(1, 6),
    ]
    return dice.choice(odd) if dice.random() < 0.6 else [(HEADER, good)]


def _damaged(dice: random.Random, value: bytes) -> bytes:
    place = dice.randrange(len(value) + 1)
    return value[:place] + dice.choice(_ODD_BYTES) + value[place + dice.randrange(2) :]


def _others(dice: random.Random) -> list[tuple[bytes, bytes]]:
    return [(name, dice.choice(values)) for name, values in dice.sample(_OTHER_HEADERS, dice.randrange(4))]
