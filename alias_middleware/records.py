"""The spool's records: their types, their coding, and the frame by which one torn by a crash is recognised.

A record on the disk is its length, a checksum and MessagePack.
"""

from __future__ import annotations

import struct
import zlib

import msgspec

from alias_middleware.events import AnyEvent
from alias_middleware.profile import ProfileChange
from alias_middleware.sealing import Sealing
from alias_middleware.storage.base import Origin

FRAME = struct.Struct("<II")
FORMAT = 3
"""Raised with every change that an older version would misread, a new type of record included."""
LARGEST_RECORD = 1 << 20
EVENT_IDS = 2**63
"""An event's id is below."""


class Tally(msgspec.Struct, frozen=True, array_like=True, tag="n"):
    """Counts handed on by a process: what to add to the counters, and unidentified page views by local day."""

    counts: dict[str, int]
    unidentified: dict[int, int]


class Identified(msgspec.Struct, frozen=True, array_like=True, tag="i"):
    """An event whose id is known elsewhere, so that it counts once however often it is recorded.

    With the same id come the same visitor and the same time.
    """

    id: int
    event: AnyEvent


class Header(msgspec.Struct, frozen=True):
    """The first record of a segment: whose events follow.

    An event's id is `base` plus the place of its record in the file, modulo 2**63.
    """

    format: int
    base: int
    origin: Origin

    def event_id(self, place: int) -> int:
        """Give the id of the record at a place in the file."""
        return (self.base + place) % EVENT_IDS

    @property
    def seed(self) -> int:
        """What the checksums of the segment's records begin with.

        It differs from segment to segment and nobody else knows it: neither what another segment left on the
        disk nor what a visitor put into a path is ever taken for a record.
        """
        return self.base & 0xFFFFFFFF


Record = AnyEvent | Identified | ProfileChange | Sealing | Tally

encode_record = msgspec.msgpack.Encoder().encode
decode_record = msgspec.msgpack.Decoder(Record).decode
decode_header = msgspec.msgpack.Decoder(Header).decode


def framed(payload: bytes, seed: int = 0) -> bytes:
    """Put length and checksum before a record; the seed of a segment's header itself is 0."""
    return FRAME.pack(len(payload), zlib.crc32(payload, seed)) + payload
