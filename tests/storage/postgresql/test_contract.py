"""The PostgreSQL storage keeps the contract, on an old and on a new server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from alias_middleware.copying import Copy
from alias_middleware.storage.base import Storage
from alias_middleware.storage.postgresql import PostgreSQLStorage
from alias_middleware.testing.storage_contract import (
    CustodyContract,
    MovingContract,
    RotationContract,
    SharedOutboxContract,
    StorageContract,
)
from tests.support.postgresql import KEY, PostgreSQLServer, schema_of


class PostgreSQLContract(StorageContract, SharedOutboxContract, CustodyContract, MovingContract, RotationContract):
    """The whole contract, each test in a schema of its own."""

    server: PostgreSQLServer

    def make_storage(self, tmp_path: Path, *, secret_keys: Sequence[bytes] = ()) -> Storage:
        url = self.server.url(schema=schema_of(tmp_path))
        return PostgreSQLStorage(url, secret_keys=(KEY, *secret_keys))


class TestDebianPostgreSQL(PostgreSQLContract):
    """On Debian's server."""

    @pytest.fixture(autouse=True)
    def _choose(self, debian_postgresql: PostgreSQLServer) -> None:
        self.server = debian_postgresql


class TestPackagedPostgreSQL(PostgreSQLContract):
    """On PyPI's server, which is newer. Of the random histories, a third of the suite's time, only two."""

    @pytest.fixture(autouse=True)
    def _choose(self, packaged_postgresql: PostgreSQLServer) -> None:
        self.server = packaged_postgresql

    @pytest.mark.parametrize("seed", range(2))
    def test_random_histories_equal_the_reference(self, storage: Storage, seed: int) -> None:
        """Debian's server is asked for all of them."""
        super().test_random_histories_equal_the_reference(storage, seed)

    @pytest.mark.parametrize("seed", range(1))
    def test_everything_moves(self, source: Storage, target: Storage, copying: Copy, seed: int) -> None:
        """Debian's server is asked for more."""
        super().test_everything_moves(source, target, copying, seed)

    @pytest.mark.parametrize("seed", range(1))
    def test_a_pass_brings_what_changed(self, source: Storage, target: Storage, copying: Copy, seed: int) -> None:
        """Debian's server is asked for more."""
        super().test_a_pass_brings_what_changed(source, target, copying, seed)
