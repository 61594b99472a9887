"""The shipped contract suite tells a storage that keeps the contract from one that does not, and says why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from alias_middleware.errors import SettingsError
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.storage.memory_contact import MemoryOutbox
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.testing.conformance import check_conformance
from tests.support.broken_storages import BROKEN


@pytest.mark.once
@pytest.mark.parametrize(("broken", "name"), [pytest.param(*each, id=each[0].__name__) for each in BROKEN.items()])
def test_a_broken_storage_fails_a_named_check(broken: type[MemoryStorage], name: str) -> None:
    """The check that fails says by its name and its promise what is wrong; an honest storage passes it."""
    honest = check_conformance(lambda folder, keys: MemoryStorage(), only=name)
    assert honest
    assert not any(check.problem for check in honest)
    found = [check for check in check_conformance(lambda folder, keys: broken(), only=name) if check.problem]
    assert {check.name.partition("[")[0] for check in found} == {name}
    assert all(check.promise for check in found)


def test_a_storage_that_does_not_open_fails_every_check(tmp_path: Path) -> None:
    """What breaks before a check begins is told as well."""

    def fail(folder: Path, keys: object) -> MemoryStorage:
        raise OSError("no such server")

    checks = check_conformance(fail, only="interval or stranger")
    assert len(checks) >= 2
    assert all("no such server" in check.problem for check in checks)


OPTIONAL = ("a_quota_of_conversions", "the_audit_survives_erasure", "other_keys_are_refused")


def test_what_only_some_storages_offer_is_checked() -> None:
    """Campaigns, the audit, moving and rotation: where a storage has them, and nowhere else."""
    last = ("a_newer_change_is_not_overwritten", "another_namespace_stays")
    asked = " or ".join((*OPTIONAL, *last))

    def opened(folder: Path, keys: Sequence[bytes]) -> SQLiteStorage:
        return SQLiteStorage(f"sqlite:///{folder}/alias.db", secret_keys=keys)

    everything = check_conformance(opened, only=asked)
    assert not any(check.problem for check in everything)
    names = {check.name for check in everything}
    assert names == {*OPTIONAL, *last}
    in_memory = {check.name for check in check_conformance(lambda folder, keys: MemoryStorage(), only=asked)}
    assert names - in_memory == set(last)


class WithoutCampaigns(MemoryStorage):
    """A storage that keeps no more than it must."""

    def outbox(self) -> MemoryOutbox:
        raise SettingsError("this storage keeps no campaigns", setting="storage")


def test_what_a_storage_does_not_offer_is_not_asked_of_it() -> None:
    """It has said so in the documented way."""
    assert check_conformance(lambda folder, keys: WithoutCampaigns(), only=" or ".join(OPTIONAL)) == []
