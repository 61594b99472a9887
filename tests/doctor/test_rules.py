"""Settings that trust too many, and keys that are easily guessed."""

from __future__ import annotations

from typing import Any

import pytest

from alias_middleware.doctor.findings import Level, worst
from alias_middleware.doctor.rules import keys, trust
from alias_middleware.settings import make_settings

_GOOD = "Jd8-3kfLq0_sPz7Wn1yVbXc5TgRhMuAe"
_SECRET = ("x-gateway-key", _GOOD)


@pytest.mark.parametrize(
    ("gateways", "secret", "level", "said"),
    [
        pytest.param(["10.12.0.0/16"], None, Level.OK, "10.12.0.0/16", id="a private range"),
        pytest.param(["10.12.0.1"], _SECRET, Level.OK, "with a secret", id="an address and a secret"),
        pytest.param(["192.0.2.0/24"], None, Level.OK, "192.0.2.0/24", id="a small public range"),
        pytest.param(["0.0.0.0/0"], None, Level.FAIL, "everyone", id="everyone"),
        pytest.param(["::/0"], _SECRET, Level.FAIL, "everyone", id="everyone by IPv6, whatever the secret"),
        pytest.param(
            ["10.12.0.1", "80.0.0.0/4"], None, Level.FAIL, "public", id="a wide public range among others"
        ),
        pytest.param(["2a01:c000::/19"], None, Level.FAIL, "public", id="a wide public range of IPv6"),
        pytest.param(["10.0.0.0/8"], None, Level.WARN, "16777216", id="a whole private network"),
        pytest.param(["127.0.0.1"], None, Level.WARN, "this machine", id="this machine"),
        pytest.param(["::1"], None, Level.WARN, "this machine", id="this machine by IPv6"),
        pytest.param(["127.0.0.1"], _SECRET, Level.OK, "127.0.0.1", id="this machine with a secret"),
        pytest.param(["unix"], None, Level.WARN, "Unix socket", id="a Unix socket"),
        pytest.param([], None, Level.WARN, "no trusted gateway", id="nobody"),
    ],
)
def test_trust_is_as_narrow_as_the_gateways(gateways: list[str], secret: Any, level: Level, said: str) -> None:
    """Who trusts more than gateways is told so; a secret makes up for neighbours, not for the whole internet."""
    found = trust(make_settings({"service": "s", "trusted_gateways": gateways, "gateway_secret": secret}))
    assert worst(finding.level for finding in found) is level
    assert any(said in finding.measured for finding in found)


@pytest.mark.parametrize(
    ("settings", "level", "said"),
    [
        pytest.param({}, Level.OK, "no secret_keys", id="none"),
        pytest.param({"secret_keys": [_GOOD]}, Level.OK, "secret_keys: 1", id="a good one"),
        pytest.param({"secret_keys": [_GOOD, "changemechangeme"]}, Level.WARN, "number 2 of 2", id="a guess"),
        pytest.param({"secret_keys": ["a" * 40]}, Level.WARN, "number 1 of 1", id="one letter"),
        pytest.param({"pseudonym_keys": [_GOOD, _GOOD]}, Level.WARN, "twice", id="one key twice"),
        pytest.param({"gateway_secret": ("x-key", "short")}, Level.WARN, "gateway_secret", id="a short secret"),
    ],
)
def test_keys_are_long_and_varied(settings: dict[str, Any], level: Level, said: str) -> None:
    """A key that somebody typed is warned of, without a letter of it."""
    found = keys(make_settings({"service": "s", "trusted_gateways": [], **settings}))
    assert worst(finding.level for finding in found) is level
    assert any(said in finding.measured for finding in found)
    shown = repr(found)
    assert all(secret not in shown for secret in (_GOOD, "changeme", "aaaa", "short'"))
