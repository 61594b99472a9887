"""A WAP phone's connectionless requests (WAP-230-WSP): a GET over UDP, with headers of the phone's own."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import NamedTuple

from tests.support.waiting import PATIENCE

PORT = 9200
"""Where a gateway takes connectionless requests (section 10 of the specification)."""
OK = 0x20
"""The status that stands for HTTP's 200."""
WMLC = b"\x94"
"""The well-known content type application/vnd.wap.wmlc, as a short integer."""

_GET, _REPLY = 0x40, 0x04
_TRANSACTION = 7
_ACCEPT_ALL = b"\x80\x80"


class Reply(NamedTuple):
    """An answer: its status, its encoded headers beginning with the content type, its body."""

    status: int
    headers: bytes
    body: bytes


def get(
    gateway: str, phone: str, url: str, headers: Sequence[tuple[str, str]] = (), *, patience: float = PATIENCE
) -> Reply:
    """Ask a gateway for a page, from the phone's address; TimeoutError after `patience` seconds."""
    sent = _ACCEPT_ALL + b"".join(f"{name}\0{value}\0".encode() for name, value in headers)
    request = bytes([_TRANSACTION, _GET]) + _uintvar(len(url)) + url.encode() + sent
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(patience)
        connection.bind((phone, 0))
        connection.sendto(request, (gateway, PORT))
        answer = connection.recv(65535)
    assert tuple(answer[:2]) == (_TRANSACTION, _REPLY)
    length, begins = _read_uintvar(answer, 3)
    return Reply(answer[2], answer[begins : begins + length], answer[begins + length :])


def _uintvar(number: int) -> bytes:
    """Encode a number in groups of seven bits, the highest first."""
    encoded = bytes([number & 0x7F])
    while number := number >> 7:
        encoded = bytes([0x80 | number & 0x7F]) + encoded
    return encoded


def _read_uintvar(data: bytes, place: int) -> tuple[int, int]:
    """Give the number that stands at a place, and where it ends."""
    number = 0
    while True:
        number = number << 7 | data[place] & 0x7F
        place += 1
        if not data[place - 1] & 0x80:
            return number, place
