"""The PostgreSQL storage on a Citus cluster, where the environment names one: see `tests.support.citus`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from alias_middleware.storage.base import Storage
from alias_middleware.storage.postgresql import PostgreSQLStorage
from alias_middleware.testing.storage_contract import (
    CustodyContract,
    MovingContract,
    RotationContract,
    SharedOutboxContract,
    StorageContract,
)
from tests.support.citus import Cluster
from tests.support.postgresql import CITUS_IS_THERE, CITUS_PG_CONFIG, CITUS_URL, KEY, schema_of

if not CITUS_IS_THERE:
    pytest.skip(f"neither {CITUS_URL} nor {CITUS_PG_CONFIG} is set", allow_module_level=True)


class TestCitus(StorageContract, SharedOutboxContract, CustodyContract, MovingContract, RotationContract):
    """The whole contract, with the tables spread over the machines."""

    @pytest.fixture(autouse=True)
    def _choose(self, citus: Cluster) -> Iterator[None]:
        self.cluster = citus
        self.schemas: set[str] = set()
        yield
        for schema in self.schemas:
            citus.drop(schema)

    def make_storage(self, tmp_path: Path, *, secret_keys: Sequence[bytes] = ()) -> Storage:
        schema = schema_of(tmp_path)
        if schema not in self.schemas:
            self.cluster.spread(schema)
            self.schemas.add(schema)
        return PostgreSQLStorage(self.cluster.url(schema=schema), secret_keys=(KEY, *secret_keys))
