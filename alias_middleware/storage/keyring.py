"""The keys under which erased and suppressed visitors are remembered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from alias_middleware.errors import StorageCorrupt
from alias_middleware.identity import joined, keyed_hash, keyed_hashes, lasting_part

TOMBSTONE = "tombstone"
SUPPRESSION = "suppression"
"""The purposes under which visitors are hashed."""

_MARK = "mark"
_LASTING = "lasting"
_CHECK_BYTES = 8


class Keyring:
    """Hashes a visitor for a purpose, under the newest key and under those before it."""

    def __init__(self, secret_keys: Sequence[bytes]) -> None:
        """Use `secret_keys`, oldest first; at least one."""
        self._secret_keys = tuple(secret_keys)

    def newest(self, purpose: str, namespace: str, key: str) -> bytes:
        """Give the hash to write."""
        return keyed_hash(self.keys()[-1], purpose, namespace, lasting_part(key))

    def every(self, purpose: str, namespace: str, key: str) -> list[bytes]:
        """Give the hashes to look for, newest first."""
        lasting = lasting_part(key)
        return [keyed_hash(secret, purpose, namespace, lasting) for secret in reversed(self.keys())]

    def conceal(self, namespace: str, stored: str, lasting: str) -> bytes:
        """Give what a row may keep of a visitor's lasting key: who has the row but not the keys learns nothing.

        A pad that is this visitor's own, a keyed hash of his visitor key, lies over the text; its first bytes tell
        which key made it. Under one pad there is ever one text.

        Raises:
            ValueError: that is no lasting key.
        """
        text = lasting.encode()
        pad = keyed_hash(self.keys()[-1], _LASTING, namespace, stored)
        if not text or len(text) > len(pad) - _CHECK_BYTES:
            raise ValueError("that is no lasting key")
        return pad[:_CHECK_BYTES] + _over(text, pad)

    def reveal(self, namespace: str, stored: str, concealed: bytes) -> str:
        """Give the visitor named by both his keys, from his row.

        Raises:
            StorageCorrupt: it was concealed under a key that is missing.
        """
        for secret in reversed(self.keys()):
            pad = keyed_hash(secret, _LASTING, namespace, stored)
            if pad[:_CHECK_BYTES] == concealed[:_CHECK_BYTES]:
                return joined(stored, _over(concealed[_CHECK_BYTES:], pad).decode())
        raise StorageCorrupt(
            "a key under which lasting keys are kept is missing: give the secret_keys of before, or restore the "
            "key file from the database's backup, and start again"
        )

    def every_of(self, purpose: str, namespace: str, keys: Sequence[str]) -> Iterator[tuple[bytes, str]]:
        """Give the hashes to look for of many visitors, each with whose it is."""
        lasting = list(map(lasting_part, keys))
        for secret in reversed(self.keys()):
            yield from zip(keyed_hashes(secret, purpose, namespace, lasting), keys, strict=True)

    def marks(self) -> list[bytes]:
        """Give what tells each key without giving it away, oldest first: a hash of nobody."""
        return _marks_of(self.keys())

    def present_marks(self) -> list[bytes]:
        """Give the marks of the keys there are; none is made."""
        return _marks_of(self.present())

    def check(self, marks: Iterable[bytes]) -> None:
        """Refuse to answer without a key that opt-outs or erasures were kept under: they would be forgotten.

        Raises:
            StorageCorrupt: a mark is that of none of our keys.
        """
        kept = set(marks)
        if kept <= set(_marks_of(self.present())):
            return
        self.look_again()
        if not kept <= set(_marks_of(self.present())):
            raise StorageCorrupt(
                "a key under which opt-outs or erasures are kept is missing: restore the key file from the "
                "database's backup, or give the secret_keys of before (a command has them from "
                "ALIAS_SECRET_KEYS), and start again"
            )

    def present(self) -> tuple[bytes, ...]:
        """Give the keys there are, oldest first; none is made."""
        return self.keys()

    def look_again(self) -> None:
        """Forget which keys there were: another process may have made one."""

    def keys(self) -> tuple[bytes, ...]:
        """Give the keys, oldest first."""
        return self._secret_keys


def _marks_of(keys: Iterable[bytes]) -> list[bytes]:
    return [keyed_hash(secret, _MARK, "", "") for secret in keys]


def _over(text: bytes, pad: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(text, pad[_CHECK_BYTES:], strict=False))


@runtime_checkable
class KeepsKey(Protocol):
    """A storage that makes a key of its own where the settings have none."""

    def own_key(self) -> bytes | None:
        """Give the key that it makes itself, None where it goes by those of the settings."""
