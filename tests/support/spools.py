"""Spools for tests: made, filled, damaged and read."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alias_middleware import segments
from alias_middleware.events import TrackedEvent
from alias_middleware.records import FORMAT, Header, Record, decode_record, encode_record, framed
from alias_middleware.spool import Spool
from alias_middleware.storage.base import Origin

ALIAS = "314522927347"
ORIGIN = Origin("sonneries", "sonneries", 1_800_000_000)


def entropy(seed: int = 0) -> Callable[[int], bytes]:
    """Give a source of random bytes that are the same each time."""
    return random.Random(seed).randbytes


def make_spool(folder: Path, *, limit: int = 1 << 30, seed: int = 0) -> Spool:
    return Spool(folder, ORIGIN, limit=limit, entropy=entropy(seed))


def event(name: str = "e", *, time_us: int = 1, **properties: Any) -> TrackedEvent:
    return TrackedEvent(ALIAS, time_us, time_us, 738_000, "web", name, None, properties)


def write_segment(
    path: Path, payloads: list[bytes], *, base: int = 7, version: int = FORMAT
) -> tuple[bytes, list[int]]:
    """Write a segment that nobody holds; give its bytes and the places where records begin and the last ends."""
    header = Header(version, base, ORIGIN)
    data = framed(encode_record(header))
    places = []
    for payload in payloads:
        places.append(len(data))
        data += framed(payload, header.seed)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return data, [*places, len(data)]


def read_all(path: Path, most: int = 1 << 20, records: int = 1 << 20) -> tuple[list[bytes], int]:
    """Read a segment step by step as the writer does; give its records' payloads and what was torn."""
    payloads, torn, position = [], 0, 0
    while True:
        part = segments.read(path, position, most, records)
        payloads += [payload for _, payload in part.records]
        torn += part.torn
        assert part.end > position or not part.more
        position = part.end
        if not part.more:
            return payloads, torn


def records_in(folder: Path) -> list[Record]:
    """Give every record in a folder, in the order of segments and places."""
    found: list[Record] = []
    for name in segments.names(folder):
        payloads, torn = read_all(folder / name)
        assert torn == 0
        found += map(decode_record, payloads)
    return found


def names_of(records: list[Record]) -> list[str]:
    return [record.name for record in records if isinstance(record, TrackedEvent)]
