"""The example storage of the documentation keeps the whole contract, and is short enough to be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from alias_middleware.errors import SettingsError
from alias_middleware.storage import open_storage
from alias_middleware.storage.base import Batch, Span, Storage
from alias_middleware.testing.histories import Teller
from alias_middleware.testing.storage_contract import StorageContract
from docs.examples import notebook_storage

KEY = b"a key of the example"


class TestNotebookStorage(StorageContract):
    """Every check."""

    def make_storage(self, tmp_path: Path, *, secret_keys: Sequence[bytes] = ()) -> Storage:
        return open_storage(f"notebook://{tmp_path}/alias", secret_keys=(KEY, *secret_keys))


def test_it_is_short() -> None:
    """A storage is an afternoon: at most 150 lines."""
    assert len(Path(notebook_storage.__file__).read_text().splitlines()) <= 150


@pytest.mark.parametrize(
    ("url", "keys"),
    [pytest.param("notebook://", (KEY,), id="no file"), pytest.param("notebook:///a", (), id="no key")],
)
def test_it_refuses_at_start_up(url: str, keys: tuple[bytes, ...]) -> None:
    """With what to write instead."""
    with pytest.raises(SettingsError, match="notebook:///a/file"):
        open_storage(url, secret_keys=keys)


def test_nothing_of_an_erased_visitor_is_in_its_file(tmp_path: Path) -> None:
    """Not even his key."""
    storage = open_storage(f"notebook://{tmp_path}/alias", secret_keys=(KEY,))
    entry = Teller(key="314522000001").view("2026-03-02T12:00", path="/only/his")
    storage.apply(Batch(entries=[entry], spans={"s": Span(0, 1)}))
    assert b"314522000001" in (tmp_path / "alias").read_bytes()
    storage.erase("portal", "314522000001", entry.event.time_us)
    left = (tmp_path / "alias").read_bytes()
    assert b"314522000001" not in left
    assert b"/only/his" not in left
    assert storage.ledger().counts == {"stored": 1}
