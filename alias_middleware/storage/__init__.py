"""Storages by URL: the ones shipped here, a third party's entry point, or one that the site registered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from urllib.parse import urlsplit

from alias_middleware.errors import SettingsError
from alias_middleware.storage.base import Abilities, Storage

ENTRY_POINTS = "alias_middleware.storages"
"""Entry point group by which a third party names its storages: URL scheme = class or function."""

BUILT_IN = {
    "memory": "alias_middleware.storage.memory:MemoryStorage",
    "postgresql": "alias_middleware.storage.postgresql:PostgreSQLStorage",
    "sqlite": "alias_middleware.storage.sqlite:SQLiteStorage",
}

_registered: dict[str, Callable[..., object]] = {}
"""What `register` was told: the one thing that this package keeps for the whole process."""


def register(scheme: str, make: Callable[..., object]) -> None:
    """Have `scheme://` URLs served by what `make(url, secret_keys=...)` gives, in this process.

    For a site's own storage, or one under test; a package names its storages by the entry point group instead.

    Raises:
        SettingsError: another storage has that scheme already.
    """
    if _registered.get(scheme, make) is not make or scheme in BUILT_IN:
        raise SettingsError(f"{scheme}:// is served already", setting="storage")
    _registered[scheme] = make


def open_storage(storage: str | Storage, *, secret_keys: Sequence[bytes] = ()) -> Storage:
    """Give the storage of a URL; an instance is given back as it is.

    The class is made with `(url, secret_keys=...)`, oldest key first; no data is read before it is needed.

    Raises:
        SettingsError: no storage has that scheme, it refuses the URL, or it does not keep the contract as far as
            that can be seen without using it.
    """
    if isinstance(storage, str):
        scheme = urlsplit(storage).scheme
        return _checked(_made(scheme, storage, secret_keys), f"what serves {scheme}://")
    if not isinstance(storage, Storage):
        raise SettingsError("a URL or a Storage, as sqlite:///alias.db", setting="storage")
    return _checked(storage, type(storage).__name__)


def _made(scheme: str, url: str, secret_keys: Sequence[bytes]) -> object:
    make = _storage_class(scheme)
    missing = sorted(getattr(make, "__abstractmethods__", ()))
    if missing:
        raise SettingsError(f"what serves {scheme}:// lacks {', '.join(missing)}", setting="storage")
    return make(url, secret_keys=tuple(secret_keys))


def _checked(made: object, what: str) -> Storage:
    if not isinstance(made, Storage):
        raise SettingsError(f"{what} is no Storage", setting="storage")
    if not isinstance(getattr(made, "abilities", None), Abilities):
        raise SettingsError(f"{what} declares no abilities (alias_middleware.storage.base)", setting="storage")
    return made


def _storage_class(scheme: str) -> Callable[..., object]:
    if scheme in BUILT_IN:
        module, _, name = BUILT_IN[scheme].partition(":")
        found: Callable[..., object] = getattr(import_module(module), name)
        return found
    if scheme in _registered:
        return _registered[scheme]
    from importlib.metadata import (
        entry_points,  # takes as long as all the rest: only who brings a storage needs it
    )

    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == scheme:
            return entry.load()  # type: ignore[no-any-return]  # whatever it is, what it makes is checked
    raise SettingsError(
        f"no storage serves {f'{scheme}://' if scheme else 'a URL without scheme'}; write sqlite:///alias.db or "
        "memory://, or install the package that serves it",
        setting="storage",
    )
