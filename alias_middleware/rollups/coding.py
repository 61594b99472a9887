"""The bytes of a roll-up's sections: MessagePack, with bitmaps in the portable Roaring format."""

from __future__ import annotations

from typing import Any

import msgspec
from pyroaring import BitMap

from alias_middleware.rollups.model import Rollup, Section


def _plain(value: Any) -> bytes:
    if isinstance(value, BitMap):
        return value.serialize()
    raise NotImplementedError(f"{type(value).__name__} has no coding")


def _restored(kind: type, value: Any) -> Any:
    if kind is BitMap:
        return BitMap.deserialize(value)
    raise NotImplementedError(f"{kind.__name__} has no coding")


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_decoders = {
    field.name: msgspec.msgpack.Decoder(field.type, dec_hook=_restored) for field in msgspec.structs.fields(Rollup)
}


def encode_section(rollup: Rollup, section: Section) -> bytes:
    """Encode one section."""
    return _encoder.encode(getattr(rollup, section))


def decode_section(section: Section, raw: bytes) -> Any:
    """Decode one section.

    Raises:
        msgspec.DecodeError, ValueError: the bytes are damaged.
    """
    return _decoders[section].decode(raw)
