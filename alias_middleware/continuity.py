"""The continuity cookie: it keeps a recognised visitor recognised where the operator's header is missing.

Operators add the header on plain HTTP and on their own network only, some to the first request of a
connection only. The cookie holds the alias encrypted, so it needs the extra ``crypto``. Whether a site wants
it is a setting.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from alias_middleware.errors import MissingExtra
from alias_middleware.identity import Status

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

COOKIE = "alias_continuity"
COUNTS_WITH: frozenset[Status] = frozenset({Status.ABSENT, Status.EMPTY, Status.NO_ALIAS, Status.UNTRUSTED})
"""The outcomes with which a cookie may stand in for the header; a header that is wrong is never overruled."""

_PURPOSE = b"alias-middleware continuity cookie 1\0"
_LONGEST_VALUE = 1024
_DAYS = 30
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_CLOCK_SKEW = 5 * 60 * _SECOND
_PAYLOAD = re.compile(rb"([0-9]{1,18}):([\x20-\x7e]+)")


class Claim(NamedTuple):
    """What a valid cookie says: the alias, and when a header last named it (UTC microseconds since 1970)."""

    alias: str
    header_at: int

    def __repr__(self) -> str:
        return f"Claim(alias=<{len(self.alias)} chars>, header_at={self.header_at})"


class Continuity:
    """Issues and reads the cookie of one namespace.

    ``secret_keys`` run from oldest to newest: the newest encrypts, all decrypt. The cipher's keys are derived
    with HKDF-SHA256 (RFC 5869) for this purpose and namespace, so a cookie of another namespace does not
    decrypt. A cookie is good for 30 days after the header it was issued for; use does not extend it. Needs one
    key or more; raises `MissingExtra` without the package ``cryptography``.
    """

    def __init__(self, namespace: str, secret_keys: Sequence[bytes]) -> None:
        self._fernet, self._invalid = _fernet(namespace, secret_keys)

    def issue(self, alias: str, now: int) -> str:
        """The cookie's value for an ``alias`` whose header came at ``now`` (UTC microseconds since 1970)."""
        return self._fernet.encrypt_at_time(f"{now}:{alias}".encode("ascii"), now // _SECOND).decode("ascii")

    def read(self, value: str, now: int) -> Claim | None:
        """What the cookie claims at ``now``; None if it is forged, foreign, expired or from the future.

        The clocks of two machines may differ by 5 minutes. Never raises, whatever the text.
        """
        token = _canonical(value)
        if token is None:
            return None
        try:
            payload = self._fernet.decrypt(token)  # without a ttl, so that it reads no clock
        except self._invalid:
            return None
        match = _PAYLOAD.fullmatch(payload)
        if match is None:
            return None
        claim = Claim(match[2].decode("ascii"), int(match[1]))
        return claim if -_CLOCK_SKEW <= now - claim.header_at < _DAYS * _DAY else None

    @staticmethod
    def set_cookie(value: str, secure: bool) -> str:
        """The ``Set-Cookie`` header for an issued ``value``: every path of the host, out of scripts' reach.

        ``secure`` keeps it off plain HTTP.
        """
        attributes = f"Max-Age={_DAYS * 86_400}; Path=/; HttpOnly; SameSite=Lax"
        return f"{COOKIE}={value}; {attributes}{'; Secure' if secure else ''}"

    @staticmethod
    def find(cookie_header: str) -> str | None:
        """The value of our cookie in a ``Cookie`` header; None without it or if two values differ."""
        pairs = (pair.partition("=") for pair in cookie_header.split(";"))
        values = {value.strip(" \t") for name, _, value in pairs if name.strip(" \t") == COOKIE}
        return values.pop() if len(values) == 1 else None


def _canonical(value: str) -> bytes | None:
    """``value`` as bytes if an encoder writes it so: decoders also take variants and stray characters."""
    if len(value) > _LONGEST_VALUE or not value.isascii():
        return None
    token = value.encode("ascii")
    try:
        return token if urlsafe_b64encode(urlsafe_b64decode(token)) == token else None
    except binascii.Error:
        return None


def _fernet(namespace: str, secret_keys: Sequence[bytes]) -> tuple[MultiFernet, type[Exception]]:
    """The cipher, and what it raises for a token it did not make."""
    try:
        from cryptography.fernet import Fernet, InvalidToken, MultiFernet
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    except ImportError as error:
        raise MissingExtra(extra="crypto", setting="continuity") from error

    def derived(secret: bytes) -> bytes:
        info = _PURPOSE + namespace.encode()
        return urlsafe_b64encode(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret))

    return MultiFernet([Fernet(derived(secret)) for secret in reversed(secret_keys)]), InvalidToken
