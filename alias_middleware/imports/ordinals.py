"""Event ids of lines: a hash of the line, and of its ordinal among equal lines of the file."""

from __future__ import annotations

from hashlib import blake2b

GENERATION = 100_000
"""Equal lines at most this many lines apart are told apart for certain.

Equal lines have equal times, so they stand close together in a log: further apart only where more than
this many lines were written between two requests of one second. Such a pair counts once.
"""


class Ordinals:
    """The digests of the latest lines, in two generations, so that memory does not grow with the file."""

    def __init__(self) -> None:
        """Begin with the first line of a file."""
        self._young: dict[bytes, int] = {}
        self._old: dict[bytes, int] = {}
        self._until = GENERATION

    def id_of(self, number: int, line: bytes) -> int:
        """Give the event id, 63 bits, of the line `number` (from 0, ascending) of the file."""
        while number >= self._until:
            self._old, self._young = self._young, {}
            self._until += GENERATION
        digest = blake2b(line, digest_size=8).digest()
        young = self._young
        ordinal = young.get(digest)
        if ordinal is None:
            ordinal = self._old.get(digest, 0)
        young[digest] = ordinal + 1
        if ordinal:
            digest = blake2b(b"%b\0%d" % (line, ordinal), digest_size=8).digest()
        return int.from_bytes(digest) >> 1


def remembered_from(number: int) -> int:
    """Give the first line whose digest may matter to the line `number`: where a resumed import reads again."""
    return max(0, number // GENERATION - 1) * GENERATION
