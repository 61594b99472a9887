"""The keys under which erased and suppressed visitors are remembered."""

from __future__ import annotations

from collections.abc import Sequence

from alias_middleware.identity import keyed_hash

TOMBSTONE = "tombstone"
SUPPRESSION = "suppression"
"""The purposes under which visitors are hashed."""

_MARK = "mark"


class Keyring:
    """Hashes a visitor for a purpose, under the newest key and under those before it."""

    def __init__(self, secret_keys: Sequence[bytes]) -> None:
        """Use `secret_keys`, oldest first; at least one."""
        self._secret_keys = tuple(secret_keys)

    def newest(self, purpose: str, namespace: str, key: str) -> bytes:
        """Give the hash to write."""
        return keyed_hash(self.keys()[-1], purpose, namespace, key)

    def every(self, purpose: str, namespace: str, key: str) -> list[bytes]:
        """Give the hashes to look for, newest first."""
        return [keyed_hash(secret, purpose, namespace, key) for secret in reversed(self.keys())]

    def marks(self) -> list[bytes]:
        """Give what tells each key without giving it away, oldest first: a hash of nobody."""
        return [keyed_hash(secret, _MARK, "", "") for secret in self.keys()]

    def keys(self) -> tuple[bytes, ...]:
        """Give the keys, oldest first."""
        return self._secret_keys
