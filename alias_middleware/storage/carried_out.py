"""What a profile's row remembers of the latest operations carried out on it: digests, newest last. Pure.

A commit whose answer is lost may or may not have happened; the operations then come again by way of the spool,
be it to another storage that the row has been moved to. What is among the digests is not carried out once more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from alias_middleware.profile import Operation, ProfileChange

_BYTES = 8
_KEPT = 64


def remembered(done: bytes, change: ProfileChange) -> bytes:
    """Add a change's operations to the digests of a row."""
    return (done + b"".join(_digest(change, operation) for operation in change.operations))[-_KEPT * _BYTES :]


def left_of(change: ProfileChange, done: bytes) -> ProfileChange:
    """Give a change without the operations that a row remembers."""
    if not done:
        return change
    known = {done[at : at + _BYTES] for at in range(0, len(done), _BYTES)}
    left: Sequence[Operation] = [each for each in change.operations if _digest(change, each) not in known]
    return replace(change, operations=tuple(left))


def _digest(change: ProfileChange, operation: Operation) -> bytes:
    said = msgspec.msgpack.encode((change.time_us, change.begun_us, operation))
    return hashlib.blake2b(said, digest_size=_BYTES).digest()
