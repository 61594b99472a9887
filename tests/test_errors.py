"""The error tree: who catches what, what each error carries and says."""

from __future__ import annotations

import copy
import pickle

import pytest

from alias_middleware import errors

EXAMPLES = [
    errors.SettingsError("must be a list", setting="trusted_gateways"),
    errors.MissingExtra(extra="crypto", setting="continuity"),
    errors.StorageError("the statement failed"),
    errors.StorageUnavailable("no answer in 0.2 s", reason="down"),
    errors.StorageCorrupt("an unreadable profile"),
    errors.ProfileError("no such operation"),
    errors.ProfileValueError(field="theme", found=set),
    errors.ProfileTooLarge(size=70_000, limit=65_536),
    errors.EventError("is required", field="order_id"),
    errors.SpoolError(reason="disk_full"),
    errors.BlockingCallError(call="history"),
    errors.ContactError("no such kind", field="kind"),
    errors.QuotaSpent(limit=100, month="2026-03"),
    errors.NotAccepted(reason="refused"),
    errors.SendingUncertain(reason="no answer"),
    errors.UnreadableCall("is missing", field="id"),
    errors.UcpError("the checksum does not agree", code=1, field="chk", trn=7, operation=52),
]
EXAMPLE = {type(error): error for error in EXAMPLES}


def named(error: errors.AliasError) -> str:
    return type(error).__name__


def test_every_public_error_is_exercised_here() -> None:
    """A new error joins the examples, and so every test of this file."""
    kinds = {named(error) for error in EXAMPLES} | {"AliasError"}
    assert kinds == set(errors.__all__)


@pytest.mark.parametrize("error", EXAMPLES, ids=named)
def test_the_tree_in_the_docstring_names_it(error: errors.AliasError) -> None:
    """The drawing at the top of the module is complete."""
    assert errors.__doc__ is not None
    assert f" {named(error)} " in errors.__doc__.replace("\n", " ")


@pytest.mark.parametrize(
    ("error", "parents"),
    [
        pytest.param(EXAMPLE[errors.SettingsError], (ValueError,), id="settings"),
        pytest.param(EXAMPLE[errors.MissingExtra], (errors.SettingsError, ValueError), id="extra"),
        pytest.param(EXAMPLE[errors.StorageUnavailable], (errors.StorageError,), id="storage unavailable"),
        pytest.param(EXAMPLE[errors.StorageCorrupt], (errors.StorageError,), id="storage corrupt"),
        pytest.param(EXAMPLE[errors.ProfileValueError], (errors.ProfileError, TypeError), id="profile value"),
        pytest.param(EXAMPLE[errors.ProfileTooLarge], (errors.ProfileError, ValueError), id="profile size"),
        pytest.param(EXAMPLE[errors.EventError], (ValueError,), id="event"),
        pytest.param(EXAMPLE[errors.BlockingCallError], (RuntimeError,), id="blocking call"),
        pytest.param(EXAMPLE[errors.ContactError], (ValueError,), id="contact"),
        pytest.param(EXAMPLE[errors.UcpError], (ValueError,), id="UCP"),
    ],
)
def test_it_is_caught_as(error: errors.AliasError, parents: tuple[type[Exception], ...]) -> None:
    """Callers catch the root, the family, or the built-in they would expect."""
    assert isinstance(error, errors.AliasError)
    assert all(isinstance(error, parent) for parent in parents)


@pytest.mark.parametrize(
    ("error", "message", "evidence"),
    [
        pytest.param(
            EXAMPLE[errors.SettingsError],
            "trusted_gateways: must be a list",
            {"setting": "trusted_gateways"},
            id="settings",
        ),
        pytest.param(
            EXAMPLE[errors.MissingExtra],
            'continuity: needs the optional "crypto" packages: pip install "alias-middleware[crypto]"',
            {"setting": "continuity", "extra": "crypto"},
            id="extra",
        ),
        pytest.param(
            EXAMPLE[errors.StorageUnavailable],
            "the storage is unavailable (down): no answer in 0.2 s",
            {"reason": "down"},
            id="storage unavailable",
        ),
        pytest.param(
            EXAMPLE[errors.ProfileValueError],
            "profile field 'theme' was given a set: only JSON values are kept",
            {"field": "theme", "found": set},
            id="profile value",
        ),
        pytest.param(
            EXAMPLE[errors.ProfileTooLarge],
            "the profile would take 70000 bytes; the limit is 65536",
            {"size": 70_000, "limit": 65_536},
            id="profile size",
        ),
        pytest.param(EXAMPLE[errors.EventError], "order_id: is required", {"field": "order_id"}, id="event"),
        pytest.param(
            EXAMPLE[errors.SpoolError],
            "the spool cannot take an event (disk_full)",
            {"reason": "disk_full"},
            id="spool",
        ),
        pytest.param(
            EXAMPLE[errors.BlockingCallError],
            "history does I/O and was called on the event loop: use run_in_threadpool",
            {"call": "history"},
            id="blocking call",
        ),
        pytest.param(EXAMPLE[errors.ContactError], "kind: no such kind", {"field": "kind"}, id="contact"),
        pytest.param(
            EXAMPLE[errors.UcpError],
            "chk: the checksum does not agree (error code 01)",
            {"code": 1, "field": "chk", "trn": 7, "operation": 52},
            id="UCP",
        ),
    ],
)
def test_it_says_and_carries(error: errors.AliasError, message: str, evidence: dict[str, object]) -> None:
    """The message is for people, the attributes are for programs."""
    assert str(error) == message
    assert vars(error) == evidence


@pytest.mark.parametrize("error", EXAMPLES, ids=named)
def test_it_survives_the_way_to_another_process(error: errors.AliasError) -> None:
    """Pickled and copied errors keep their type, message and evidence, keyword-only or not."""
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)
