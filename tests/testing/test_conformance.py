"""The shipped contract suite tells a storage that keeps the contract from one that does not, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.testing.conformance import check_conformance
from tests.support.broken_storages import BROKEN


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
