"""A contest's draw: fair, and verifiable by whoever holds the list of participants.

Pure: the winner follows from the participants and a seed. Published beforehand, the digest of the list binds the
publisher to it; with the seed, drawn afterwards, anybody with the list finds the same winner.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import NamedTuple

SEED_BYTES = 32
_SEED = re.compile(f"[0-9A-Fa-f]{{{SEED_BYTES * 2}}}")


class Draw(NamedTuple):
    """A winner, and what verifies it: the seed and the digest of the list, both hexadecimal."""

    winner: str
    participants: int
    seed: str
    digest: str

    def __repr__(self) -> str:  # the winner is an alias
        return f"<Draw among {self.participants}, seed {self.seed}, digest {self.digest}>"


def list_digest(participants: Iterable[str]) -> str:
    """Give the SHA-256 of the sorted participants, each once and on a line of its own."""
    return hashlib.sha256("".join(f"{one}\n" for one in sorted(set(participants))).encode()).hexdigest()


def draw_winner(participants: Iterable[str], seed: str) -> Draw:
    """Draw one of the participants, each as likely as any other; who stands twice in the list counts once.

    The winner is number `r mod n` of the n sorted participants. `r` is the first HMAC-SHA-256, under the seed, of
    the list's digest and a counter from 0 that is below the largest multiple of n.

    Raises:
        ValueError: nobody takes part, or the seed is not 64 hexadecimal digits.
    """
    entrants = sorted(set(participants))
    if not entrants:
        raise ValueError("nobody takes part")
    if not _SEED.fullmatch(seed):
        raise ValueError(f"a seed is {SEED_BYTES * 2} hexadecimal digits")
    key = bytes.fromhex(seed)
    digest = list_digest(entrants)
    fair = 2**256 - 2**256 % len(entrants)
    counter = 0
    while (drawn := _number(key, f"{digest}:{counter}")) >= fair:
        counter += 1
    return Draw(entrants[drawn % len(entrants)], len(entrants), seed, digest)


def _number(key: bytes, message: str) -> int:
    return int.from_bytes(hmac.digest(key, message.encode(), "sha256"), "big")
