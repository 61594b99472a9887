"""The keys under which erased and suppressed visitors are remembered: the settings', or a file's."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from alias_middleware.identity import keyed_hash

_KEY_BYTES = 32


class Keyring:
    """Hashes a visitor for a purpose, under the newest key and under those before it."""

    def __init__(self, path: Path, secret_keys: Sequence[bytes]) -> None:
        """Use `secret_keys` (oldest first), or the key file at `path`, made when first needed (0600).

        Keys that come after a key file was in use do not undo it: its key is then the oldest.
        """
        self._path = path
        self._secret_keys = tuple(secret_keys)
        self._keys: tuple[bytes, ...] = ()

    def newest(self, purpose: str, namespace: str, key: str) -> bytes:
        """Give the hash to write."""
        return keyed_hash(self._all()[-1], purpose, namespace, key)

    def every(self, purpose: str, namespace: str, key: str) -> list[bytes]:
        """Give the hashes to look for, newest first."""
        return [keyed_hash(secret, purpose, namespace, key) for secret in reversed(self._all())]

    def _all(self) -> tuple[bytes, ...]:
        if not self._keys:
            in_file = () if self._secret_keys and not self._path.exists() else (_key_in_file(self._path),)
            self._keys = (*in_file, *self._secret_keys)
        return self._keys


def _key_in_file(path: Path) -> bytes:
    """Read the key, making the file whole or not at all when it is missing, whoever else does the same."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.unlink(draft)
    return path.read_bytes()
