"""Storages by URL: `memory://`, `sqlite:///alias.db`, or a third party's entry point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from urllib.parse import urlsplit

from alias_middleware.errors import SettingsError
from alias_middleware.storage.base import Storage

ENTRY_POINTS = "alias_middleware.storages"
"""Entry point group by which a third party names its storages: URL scheme = class or function."""

BUILT_IN = {
    "memory": "alias_middleware.storage.memory:MemoryStorage",
    "sqlite": "alias_middleware.storage.sqlite:SQLiteStorage",
}


def open_storage(storage: str | Storage, *, secret_keys: Sequence[bytes] = ()) -> Storage:
    """Give the storage of a URL; an instance is given back as it is.

    The class is made with `(url, secret_keys=...)`, oldest key first; no data is read before it is needed.

    Raises:
        SettingsError: no storage has that scheme, or it refuses the URL.
    """
    if isinstance(storage, Storage):
        return storage
    if not isinstance(storage, str):
        raise SettingsError("a URL or a Storage, as sqlite:///alias.db", setting="storage")
    scheme = urlsplit(storage).scheme
    made = _storage_class(scheme)(storage, secret_keys=tuple(secret_keys))
    if not isinstance(made, Storage):
        raise SettingsError(f"what serves {scheme}:// is no Storage", setting="storage")
    return made


def _storage_class(scheme: str) -> Callable[..., object]:
    if scheme in BUILT_IN:
        module, _, name = BUILT_IN[scheme].partition(":")
        found: Callable[..., object] = getattr(import_module(module), name)
        return found
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
