"""Secrets from the settings: long enough, and readable again."""

from __future__ import annotations

import pytest

from alias_middleware.errors import SettingsError
from alias_middleware.secret import secret_bytes, secret_text


def test_secrets_are_bytes() -> None:
    """Text is taken as UTF-8, bytes as they are."""
    assert secret_bytes("é" * 8) == "é".encode() * 8
    assert secret_bytes(b"\xff" * 16) == b"\xff" * 16


@pytest.mark.parametrize("value", [pytest.param("hush" * 3, id="text"), pytest.param(b"hush" * 3, id="bytes")])
def test_short_secrets_are_refused(value: str | bytes) -> None:
    """Under 16 bytes the error names the setting and the command that makes a good one, not the value."""
    with pytest.raises(SettingsError, match="alias-middleware keys") as caught:
        secret_bytes(value, setting="pseudonym_keys")
    assert caught.value.setting == "pseudonym_keys"
    assert "hush" not in str(caught.value)


def test_any_bytes_can_be_written_as_text() -> None:
    """What `secret_text` writes is read as the same bytes; what only looks like it is refused."""
    secret = bytes(range(240, 256)) + b"\0"
    assert secret_bytes(secret_text(secret)) == secret
    with pytest.raises(SettingsError, match="no base64"):
        secret_bytes("base64:a")
