"""Every setting is checked when the application starts; the error names it and says what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alias_middleware import Tracker
from alias_middleware.errors import SettingsError
from alias_middleware.settings import Settings, make_settings

REQUIRED: dict[str, Any] = {"service": "sonneries", "trusted_gateways": ["10.12.0.0/16"]}


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        pytest.param("service", None, "name of your Gallery service", id="no service"),
        pytest.param("service", "", "name of your Gallery service", id="an empty service"),
        pytest.param("service", 36123, "1 to 64 printable", id="a service that is no text"),
        pytest.param("service", "x" * 65, "1 to 64 printable", id="a long service"),
        pytest.param("service", "a\nb", "1 to 64 printable", id="a service of two lines"),
        pytest.param("reference", "", "1 to 64 printable", id="an empty reference"),
        pytest.param("trusted_gateways", None, "There is no default", id="no gateways"),
        pytest.param("trusted_gateways", "10.12.0.1", "There is no default", id="a gateway that is no list"),
        pytest.param("trusted_gateways", ["gateway.example"], "CIDR range", id="a gateway by name"),
        pytest.param("trusted_gateways", ["10.12.0.1", 5], "CIDR range", id="a gateway that is no text"),
        pytest.param("gateway_secret", "sesame", "(header name, value)", id="a secret without a header"),
        pytest.param("gateway_secret", ("x-gate", ""), "(header name, value)", id="an empty secret"),
        pytest.param("gateway_secret", ("x gate", "sesame"), "header name", id="no header name"),
        pytest.param("source", "x-acr", "HeaderAlias", id="a source that is none"),
        pytest.param("secret_keys", "a key that is 16 bytes long", "a list of keys", id="one key, no list"),
        pytest.param("secret_keys", ["short"], "at least 16 bytes", id="a short key"),
        pytest.param("secret_keys", [5], "text or bytes", id="a key that is a number"),
        pytest.param("pseudonym_keys", ["short"], "at least 16 bytes", id="a short pseudonym key"),
        pytest.param("pseudonym_keys", b"a key that is 16 bytes long", "a list of keys", id="one pseudonym key"),
        pytest.param("continuity", "yes", "True or False", id="a flag that is a text"),
        pytest.param("zone", "Paris", "Europe/Paris", id="no time zone"),
        pytest.param("zone", "../etc/passwd", "Europe/Paris", id="a path for a time zone"),
        pytest.param("visit_gap", 0, "positive number", id="no gap"),
        pytest.param("visit_gap", "30", "positive number", id="a gap that is a text"),
        pytest.param("visit_gap", True, "positive number", id="a gap that is a flag"),
        pytest.param("storage_timeout", float("nan"), "positive number", id="a timeout that is no number"),
        pytest.param("writer_interval", float("inf"), "positive number", id="an interval without end"),
        pytest.param("spool_limit", -1, "positive number", id="a negative limit"),
        pytest.param("page_types", "text/html", "list of texts", id="one page type, no list"),
        pytest.param("excluded_paths", ["/a", 5], "list of texts", id="a path that is a number"),
        pytest.param("categories", [("/a", "b")], "by pattern", id="categories as pairs"),
        pytest.param("categories", {"/a": ""}, "not empty", id="an empty category"),
        pytest.param("categories", {"/a": 5}, "are texts", id="a category that is a number"),
        pytest.param("categories", {"/a": "b" * 65}, "at most 64", id="a long category"),
        pytest.param("excluded_paths", [""], "list of texts", id="an empty path"),
        pytest.param("spool", 5, "a folder", id="a spool that is a number"),
        pytest.param("durability", "disk", "'process', 'power'", id="no durability"),
        pytest.param("purchase_durability", None, "'process', 'power'", id="no purchase durability"),
        pytest.param("writer", "process", "'thread', 'external'", id="no writer"),
        pytest.param("raise_errors", 1, "True or False", id="a number for a flag"),
        pytest.param("desalias_quota", -1, "whole number", id="a quota below nothing"),
        pytest.param("desalias_quota", True, "whole number", id="a quota that is a flag"),
        pytest.param("desalias_quota_scope", "site", "'publisher', 'service'", id="no scope of a quota"),
        pytest.param("storage", "redis://localhost", "memory://", id="no such storage"),
        pytest.param("storage", 5, "sqlite:///alias.db", id="a storage that is a number"),
        pytest.param("storage", "sqlite://", "sqlite:///alias.db", id="a database without a file"),
    ],
)
def test_a_wrong_value(setting: str, value: object, says: str) -> None:
    """The error names the setting and says what is wanted."""
    with pytest.raises(SettingsError) as refused:
        Tracker(**{**REQUIRED, setting: value})
    assert refused.value.setting == setting
    assert str(refused.value).startswith(setting)
    assert says in str(refused.value)


def test_no_key_is_shown() -> None:
    """A refused key is not repeated."""
    with pytest.raises(SettingsError) as refused:
        make_settings({**REQUIRED, "secret_keys": ["hunter2"]})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        pytest.param("trusted_gateway", "trusted_gateways", id="one letter less"),
        pytest.param("secret_key", "secret_keys", id="singular"),
        pytest.param("continuty", "continuity", id="a letter lost"),
        pytest.param("timezone", "zone", id="another word"),
    ],
)
def test_a_misspelt_name(given: str, meant: str) -> None:
    """The error suggests the name that was meant."""
    with pytest.raises(SettingsError, match=f"did you mean {meant}") as refused:
        make_settings({**REQUIRED, given: 1})
    assert refused.value.setting == given


def test_an_unknown_name() -> None:
    """Where nothing is near, the error lists what there is."""
    with pytest.raises(SettingsError, match=r"there are service, trusted_gateways, storage"):
        make_settings({**REQUIRED, "qwxyz": 1})


def test_continuity_needs_keys() -> None:
    """The cookie is encrypted: without keys the error names them."""
    with pytest.raises(SettingsError, match="alias-middleware keys") as refused:
        make_settings({**REQUIRED, "continuity": True})
    assert refused.value.setting == "secret_keys"


def test_what_is_made_of_them() -> None:
    """Texts become paths and bytes, media types lower case; the namespace is the reference or the service."""
    made = make_settings(
        {**REQUIRED, "spool": "spool", "secret_keys": ["sixteen bytes or more"], "page_types": ["Text/HTML"]}
    )
    assert (made.spool, made.secret_keys, made.page_types) == (
        Path("spool"),
        (b"sixteen bytes or more",),
        frozenset({"text/html"}),
    )
    assert made.namespace == "sonneries"
    assert make_settings({**REQUIRED, "reference": "portal"}).namespace == "portal"
    assert (made.visit_gap_us, str(made.tzinfo)) == (1_800_000_000, "Europe/Paris")


def test_only_two_are_required() -> None:
    """Everything but the service and the gateways has a default."""
    made = make_settings(REQUIRED)
    assert set(Settings.__struct_fields__) - {
        name for name in Settings.__struct_fields__ if getattr(made, name) is not None
    } == {"attached_on", "frequency_cap", "gateway_secret", "light_gallery_days", "reference", "spool"}
