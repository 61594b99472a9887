"""The storage contract as a test suite, for the storages shipped here and for third parties' own.

Subclass `StorageContract` in a test module and say how your storage is opened:

    class TestMyStorage(StorageContract):
        def make_storage(self, tmp_path, *, secret_keys=()):
            return MyStorage(f"mine:///{tmp_path}/data", secret_keys=secret_keys)

It needs pytest. For assertions with their values, call
`pytest.register_assert_rewrite("alias_middleware.testing")` in your conftest.
"""

from __future__ import annotations

from alias_middleware.testing._contract_batches import BatchContract
from alias_middleware.testing._contract_custody import CustodyContract
from alias_middleware.testing._contract_erasure import ErasureContract
from alias_middleware.testing._contract_figures import FiguresContract
from alias_middleware.testing._contract_live_time import LiveTimeContract
from alias_middleware.testing._contract_marks import MarksContract
from alias_middleware.testing._contract_moving import MovingContract
from alias_middleware.testing._contract_outbox import OutboxContract, SharedOutboxContract
from alias_middleware.testing._contract_profiles import ProfileContract
from alias_middleware.testing._contract_pseudonyms import PseudonymContract, RotationContract
from alias_middleware.testing._contract_replacing import ReplacingContract
from alias_middleware.testing._contract_tastes import TasteContract
from alias_middleware.testing._contract_upkeep import UpkeepContract
from alias_middleware.testing._contract_verifying import VerifyingContract

__all__ = [
    "CustodyContract",
    "MovingContract",
    "OutboxContract",
    "PseudonymContract",
    "RotationContract",
    "SharedOutboxContract",
    "StorageContract",
]


class StorageContract(
    ProfileContract,
    BatchContract,
    FiguresContract,
    MarksContract,
    UpkeepContract,
    TasteContract,
    ErasureContract,
    ReplacingContract,
    LiveTimeContract,
    VerifyingContract,
):
    """Every verb of `alias_middleware.storage.base.Storage`, with concurrency and random histories.

    Override `make_storage`; the tests then come by inheritance.
    """
