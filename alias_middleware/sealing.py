"""The sealed alias: with pseudonyms, what a campaign needs to write to a visitor, kept only while it may.

Each reason to keep it (a window, the consent to be contacted) has an entry of its own, with its end. Pure: the
cipher is `cryptography`'s Fernet, which needs the extra ``crypto``.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from alias_middleware.discreet import Discreet
from alias_middleware.errors import MissingExtra, SettingsError
from alias_middleware.identity import full_key, stored_part

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

CONSENT = "consent"
"""The reason that is the visitor's consent to be contacted; windows are `window_of` a service and an offer."""

NO_END = 2**62
"""The end of what lasts until it is taken back (microseconds)."""

_PURPOSE = b"alias-middleware sealed alias 1\0"


class Sealing(Discreet, msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """That a reason to keep a visitor's alias begins, with the alias `sealed`; or ends, without.

    What ends may be many: `why` is then empty or ends in a colon, and all reasons that begin so are meant. A
    reason that has not ended yet goes on as it began unless this one `renews` it. Microseconds since the epoch.
    """

    key: str
    time_us: int
    begun_us: int
    why: str
    until_us: int
    sealed: bytes = b""
    renews: bool = False

    def __repr__(self) -> str:  # the key leads to the visitor
        return f"<Sealing {'begins' if self.sealed else 'ends'}>"


class Seal(NamedTuple):
    """A visitor's alias as it is kept for one reason: since when, until when, and sealed; empty where it ended."""

    time_us: int
    until_us: int
    sealed: bytes


def window_of(service: str, offer: str = "") -> str:
    """Give the reason that is an offer's window; without an offer, that of all windows of a service."""
    return f"{service}:{offer}"


def fold(seals: Mapping[str, Seal], said: Sealing) -> dict[str, Seal]:
    """Give a visitor's seals, by reason, after one more was said; what was said later holds, whenever it comes."""
    changed = dict(seals)
    meant = [why for why in seals if why.startswith(said.why)] if _is_many(said.why) else [said.why]
    for why in meant:
        held = seals.get(why)
        goes_on = held is not None and held.sealed and held.until_us > said.time_us and not said.renews
        if held is None or (held.time_us <= said.time_us and not (said.sealed and goes_on)):
            changed[why] = Seal(said.time_us, said.until_us, said.sealed)
    return changed


def _is_many(why: str) -> bool:
    return not why or why.endswith(":")


def sealed_at(seals: Sequence[Seal], time_us: int) -> bytes | None:
    """Give the sealed alias that may be used at a moment, None where none may any more."""
    return next((seal.sealed for seal in seals if seal.sealed and time_us < seal.until_us), None)


class Sealer:
    """Seals and unseals the aliases of one namespace."""

    def __init__(self, namespace: str, secret_keys: Sequence[bytes], pseudonym_keys: Sequence[bytes]) -> None:
        """Use `secret_keys`, oldest first: the newest seals, all unseal.

        Raises:
            SettingsError: there are none.
            MissingExtra: the package ``cryptography`` is not installed.
        """
        self._namespace = namespace
        self._pseudonym_keys = tuple(pseudonym_keys)
        self._fernet, self._invalid = _fernet(namespace, secret_keys)

    def seal(self, alias: str, now_us: int) -> bytes:
        """Seal an alias."""
        return self._fernet.encrypt_at_time(alias.encode(), now_us // 1_000_000)

    def unseal(self, sealed: bytes, key: str) -> str | None:
        """Give the alias, None where it cannot be had, or is not that of the visitor key."""
        try:
            alias = self._fernet.decrypt(sealed).decode()
        except self._invalid:
            return None
        return alias if stored_part(full_key(alias, self._namespace, self._pseudonym_keys)) == key else None


def _fernet(namespace: str, secret_keys: Sequence[bytes]) -> tuple[MultiFernet, type[Exception]]:
    """Give the cipher, and what it raises for a text that it did not seal."""
    if not secret_keys:
        raise SettingsError(
            "aliases are sealed for campaigns under your own keys: make one with `alias-middleware keys`",
            setting="secret_keys",
        )
    try:
        from cryptography.fernet import Fernet, InvalidToken, MultiFernet
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    except ImportError as error:
        raise MissingExtra(extra="crypto", setting="pseudonym_keys") from error

    def derived(secret: bytes) -> bytes:
        info = _PURPOSE + namespace.encode()
        return urlsafe_b64encode(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret))

    return MultiFernet([Fernet(derived(secret)) for secret in reversed(secret_keys)]), InvalidToken
