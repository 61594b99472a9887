"""The reference storage keeps the contract; its URL takes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from alias_middleware.errors import SettingsError
from alias_middleware.storage.base import Storage
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.testing.storage_contract import (
    CustodyContract,
    OutboxContract,
    PseudonymContract,
    StorageContract,
)


class TestMemoryStorage(StorageContract, OutboxContract, CustodyContract, PseudonymContract):
    """The whole contract."""

    def make_storage(self, tmp_path: Path, *, secret_keys: Sequence[bytes] = ()) -> Storage:
        return MemoryStorage(secret_keys=secret_keys)


@pytest.mark.parametrize("url", ["memory://name", "memory:///path", "memory://?a=1"])
def test_its_url_names_nothing(url: str) -> None:
    """A name would suggest that data are found again."""
    with pytest.raises(SettingsError):
        MemoryStorage(url)
