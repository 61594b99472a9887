"""Secrets as the settings give them: read as bytes, and written as text."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

from alias_middleware.errors import SettingsError

_LEAST_BYTES = 16
_IN_BASE64 = "base64:"


def secret_bytes(value: str | bytes, *, setting: str = "secret_keys") -> bytes:
    """A secret from the settings as bytes; under 16 bytes it is a `SettingsError`.

    Text is taken as UTF-8, or as `secret_text` writes any bytes.
    """
    secret = value.encode() if isinstance(value, str) else value
    if isinstance(value, str) and value.startswith(_IN_BASE64):
        try:
            secret = urlsafe_b64decode(value.removeprefix(_IN_BASE64))
        except ValueError as error:
            raise SettingsError(f"what follows {_IN_BASE64} is no base64", setting=setting) from error
    if len(secret) < _LEAST_BYTES:
        raise SettingsError(
            f"a secret is at least {_LEAST_BYTES} bytes long; `alias-middleware keys` makes one",
            setting=setting,
        )
    return secret


def secret_text(secret: bytes) -> str:
    """A secret of any bytes as text for the settings."""
    return _IN_BASE64 + urlsafe_b64encode(secret).decode("ascii")
