"""The keys under which erased and suppressed visitors are remembered: the settings', or a file's."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from alias_middleware.storage.keyring import Keyring

_KEY_BYTES = 32


class FileKeyring(Keyring):
    """The settings' keys, or the one in a file beside the database."""

    def __init__(self, path: Path, secret_keys: Sequence[bytes]) -> None:
        """Use `secret_keys` (oldest first), or the key file at `path`, made when first needed (0600).

        Keys that come after a key file was in use do not undo it: its key is then the oldest.
        """
        super().__init__(secret_keys)
        self._path = path
        self._keys: tuple[bytes, ...] = ()

    def keys(self) -> tuple[bytes, ...]:
        """Give the keys, oldest first; the file is made or read once."""
        if not self._keys:
            in_file = () if self._secret_keys and not self._path.exists() else (_key_in_file(self._path),)
            self._keys = (*in_file, *self._secret_keys)
        return self._keys

    def present(self) -> tuple[bytes, ...]:
        """Give the keys there are, without making the file."""
        return self.keys() if self._keys or self._path.exists() else self._secret_keys

    def look_again(self) -> None:
        """Read the file anew."""
        self._keys = ()

    def in_file(self, *, make: bool) -> bytes | None:
        """Give the key in the file, which is made if need be where that is wanted; else None."""
        return _key_in_file(self._path) if make or self._path.exists() else None


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
