"""The storage contract as `conformance` runs it, on the storage that its plugin opens.

What only some storages offer is checked where the verb for it gives something, else skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from alias_middleware.errors import SettingsError
from alias_middleware.storage.base import Storage
from alias_middleware.testing._contract_case import ContractCase
from alias_middleware.testing.conformance import PLUGIN, Conformance
from alias_middleware.testing.storage_contract import (
    CustodyContract,
    MovingContract,
    OutboxContract,
    PseudonymContract,
    RotationContract,
    SharedOutboxContract,
    StorageContract,
)


class OpenedCase(ContractCase):
    """Opens the storage under test."""

    @pytest.fixture(autouse=True)
    def _find(self, request: pytest.FixtureRequest) -> None:
        run = request.config.pluginmanager.get_plugin(PLUGIN)
        assert isinstance(run, Conformance)
        self.run = run

    def make_storage(self, tmp_path: Path, *, secret_keys: Sequence[bytes] = ()) -> Storage:
        return self.run.make(tmp_path, secret_keys)


class OfferedCase(OpenedCase):
    """Skips every check where the storage does not offer what they are about.

    `verbs` give it, or raise `SettingsError`. `shared`: whether the storage outlives its process; None: either.
    """

    verbs: Sequence[str]
    shared: bool | None = None

    @pytest.fixture(autouse=True)
    def _skip_what_is_not_offered(self, _find: None, tmp_path: Path) -> None:
        storage = self.make_storage(tmp_path)
        try:
            if self.shared not in {None, storage.abilities.shared}:
                pytest.skip("for other storages")
            for verb in self.verbs:
                getattr(storage, verb)()
        except SettingsError as error:
            pytest.skip(str(error))
        finally:
            storage.close()


class TestConformance(OpenedCase, StorageContract):
    """What every storage does."""


class TestOutbox(OfferedCase, OutboxContract):
    """Campaigns, in one process."""

    verbs = ("outbox", "conversions")
    shared = False


class TestSharedOutbox(OfferedCase, SharedOutboxContract):
    """Campaigns, over processes."""

    verbs = ("outbox", "conversions")
    shared = True


class TestCustody(OfferedCase, CustodyContract):
    """The audit."""

    verbs = ("custody", "outbox")


class TestMoving(OfferedCase, MovingContract):
    """Moving everything."""

    verbs = ("moving",)


class TestPseudonyms(OfferedCase, PseudonymContract):
    """Pseudonyms for as long as the process lives."""

    verbs = ("pseudonyms", "outbox")
    shared = False


class TestRotation(OfferedCase, RotationContract):
    """Pseudonyms, and their rotation."""

    verbs = ("pseudonyms", "outbox")
    shared = True
