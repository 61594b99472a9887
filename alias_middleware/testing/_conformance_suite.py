"""The storage contract as `conformance` runs it, on the storage that its plugin opens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from alias_middleware.storage.base import Storage
from alias_middleware.testing.conformance import PLUGIN, Conformance
from alias_middleware.testing.storage_contract import StorageContract


class TestConformance(StorageContract):
    """Every check."""

    @pytest.fixture(autouse=True)
    def _find(self, request: pytest.FixtureRequest) -> None:
        run = request.config.pluginmanager.get_plugin(PLUGIN)
        assert isinstance(run, Conformance)
        self.run = run

    def make_storage(self, tmp_path: Path, *, secret_keys: Sequence[bytes] = ()) -> Storage:
        return self.run.make(tmp_path, secret_keys)
