"""Storages by URL: the built-in ones, third parties' by entry point, instances as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import metadata

import pytest

from alias_middleware import storage as storages
from alias_middleware.errors import SettingsError
from alias_middleware.storage import open_storage, register
from alias_middleware.storage.base import Abilities, Outcome, Storage
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.storage.sqlite import SQLiteStorage


class Installed:
    """An entry point as `importlib.metadata` gives it."""

    def __init__(self, name: str, made: Callable[..., object]) -> None:
        self.name = name
        self._made = made

    def load(self) -> Callable[..., object]:
        return self._made


class RedisStorage(MemoryStorage):
    """A third party's storage."""

    def __init__(self, url: str, *, secret_keys: Sequence[bytes] = ()) -> None:
        super().__init__()
        self.made_with = url, secret_keys


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two packages that name storages."""

    def entry_points(*, group: str) -> list[Installed]:
        assert group == "alias_middleware.storages"
        return [Installed("redis", RedisStorage), Installed("odd", lambda url, **keys: object())]

    monkeypatch.setattr(metadata, "entry_points", entry_points)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        pytest.param("memory://", MemoryStorage, id="memory"),
        pytest.param("sqlite:///alias.db", SQLiteStorage, id="sqlite"),
    ],
)
def test_built_in(url: str, kind: type) -> None:
    """The scheme names the storage."""
    assert type(open_storage(url)) is kind


def test_an_instance_is_taken_as_it_is() -> None:
    """Whoever needs more than a URL says makes the storage himself."""
    storage = MemoryStorage()
    assert open_storage(storage) is storage


@pytest.mark.usefixtures("installed")
def test_a_third_partys_entry_point() -> None:
    """It is made with the URL and the keys, oldest first."""
    storage = open_storage("redis://host/1", secret_keys=[b"1", b"2"])
    assert isinstance(storage, RedisStorage)
    assert storage.made_with == ("redis://host/1", (b"1", b"2"))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param("mongo://host", "no storage serves mongo://", id="an unknown scheme"),
        pytest.param("alias.db", "no storage serves a URL without scheme", id="a file name"),
        pytest.param("", "no storage serves a URL without scheme", id="nothing"),
        pytest.param("odd://x", "what serves odd:// is no Storage", id="an entry point to something else"),
        pytest.param(None, "a URL or a Storage", id="None"),
    ],
)
def test_what_is_no_storage(value: str, message: str) -> None:
    """The error names the setting and what there is."""
    with pytest.raises(SettingsError, match=message) as raised:
        open_storage(value)
    assert raised.value.setting == "storage"


def test_an_outcome_as_counters() -> None:
    """Only what happened is named; reasons have names of their own."""
    outcome = Outcome(stored=2, conflicts=1)
    outcome.dropped["erased"] += 3
    assert outcome.counts() == {"stored": 2, "order_conflicts": 1, "dropped.erased": 3}
    assert Outcome().counts() == {}


@pytest.fixture
def unregistered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(storages, "_registered", {})


@pytest.mark.usefixtures("unregistered")
def test_a_storage_of_the_sites_own() -> None:
    """Registered under a scheme it serves that scheme's URLs; to say it twice does no harm."""
    for _ in range(2):
        register("redis", RedisStorage)
    storage = open_storage("redis://host/2", secret_keys=[b"1"])
    assert isinstance(storage, RedisStorage)
    assert storage.made_with == ("redis://host/2", (b"1",))


@pytest.mark.usefixtures("unregistered")
@pytest.mark.parametrize("scheme", ["sqlite", "redis"])
def test_a_scheme_is_served_by_one(scheme: str) -> None:
    """Whoever comes second is refused, so that no data go elsewhere unnoticed."""
    register("redis", RedisStorage)
    with pytest.raises(SettingsError, match=f"{scheme}:// is served already"):
        register(scheme, MemoryStorage)


class Undeclared(MemoryStorage):
    """A storage that does not say what it can do."""

    abilities = None  # type: ignore[assignment]


class Unfinished(Storage):
    """A storage that lacks a verb, as one made for an older contract does."""

    abilities = Abilities(reads_block=False, shared=False)


@pytest.mark.usefixtures("unregistered")
@pytest.mark.parametrize(
    ("made", "message"),
    [
        pytest.param(lambda url, secret_keys: Undeclared(), "declares no abilities", id="no abilities"),
        pytest.param(Unfinished, "lacks apply, .*, span", id="verbs that are missing"),
    ],
)
def test_what_does_not_keep_the_contract_is_refused_at_start_up(made: Callable[..., object], message: str) -> None:
    """Before the first visitor, with the reason."""
    register("mine", made)
    with pytest.raises(SettingsError, match=message):
        open_storage("mine://")
    if made is not Unfinished:
        with pytest.raises(SettingsError, match=message):
            open_storage(Undeclared())
