"""Pseudonym keys and the storage: a site with others than its storage is refused, a rotation brings them together.

Wrapping rotation: with one more key the new visitor key is an HMAC of the old one, so no alias is needed.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

from alias_middleware import segments
from alias_middleware.errors import AliasError, SettingsError
from alias_middleware.identity import check_value, rotated
from alias_middleware.keying import keyed, namespaces
from alias_middleware.settings import Settings
from alias_middleware.storage import open_storage
from alias_middleware.storage.base import Storage
from alias_middleware.storage.pseudonyms import Pseudonyms, Rotation
from alias_middleware.writer import Writer

_ROTATE = "stop the site and run `alias-middleware pseudonyms rotate`"


def storage_of(settings: Settings) -> Storage:
    """Open a site's storage, which was last keyed as the site is.

    Raises:
        SettingsError: the storage's settings are no use, or `pseudonym_keys` are others.
    """
    storage = open_storage(settings.storage, secret_keys=settings.secret_keys)
    try:
        refuse_other_keys(settings, storage)
    except SettingsError:
        if storage is not settings.storage:
            storage.close()
        raise
    return storage


def refuse_other_keys(settings: Settings, storage: Storage) -> None:
    """Refuse to start a site with other pseudonym keys than its storage was last keyed with.

    A server is asked only by a site that has such keys. Where the storage does not say, batches are still refused.

    Raises:
        SettingsError: the keys are others; the message says what to do.
    """
    if storage.abilities.reads_block and not settings.pseudonym_keys:
        return
    try:
        pseudonyms = storage.pseudonyms()
    except SettingsError:
        if len(settings.pseudonym_keys) > 1:
            raise
        return
    for namespace in namespaces(settings):
        marks = pseudonyms.marks(namespace)
        if any(mark != keyed(settings, namespace) for mark in marks):
            raise SettingsError(_remedy(settings, namespace, marks), setting="pseudonym_keys")


def _remedy(settings: Settings, namespace: str, marks: list[str]) -> str:
    """Say what to do about keys that are not the storage's."""
    steps = _steps(settings, namespace)
    if "" in marks:
        return "the storage was begun without any and cannot be given some: begin a new one"
    if not all(mark in steps for mark in marks):
        return (
            "the storage was last keyed with others: give those of before, oldest first"
            f"{', and new ones behind them' if settings.pseudonym_keys else ''}"
        )
    if len(marks) > 1:
        return f"a rotation was cut short: {_ROTATE} again"
    known = steps.index(marks[0])
    return f"the storage is keyed with the first {known} of these {len(steps) - 1}: {_ROTATE}"


def _steps(settings: Settings, namespace: str) -> list[str]:
    """Give the check values of the first keys, from none to all of them."""
    keys = settings.pseudonym_keys
    return [check_value(namespace, keys[:number]) for number in range(len(keys) + 1)]


def rotate_pseudonyms(settings: Settings, storage: Storage) -> dict[str, int]:
    """Put a site's visitor keys under all of the `pseudonym_keys`, and give the rows changed by table.

    Offline: the site must not run. What is in the spool is drained first, for its records have the old keys. Cut
    short, it is finished by the next call; called again it changes nothing.

    Raises:
        SettingsError: the keys do not go on from those that the storage is keyed with.
        AliasError: the spool is in use, or not empty.
        StorageError: the storage does not serve.
    """
    if not settings.pseudonym_keys:
        raise SettingsError("give them all, oldest first, the new one last", setting="pseudonym_keys")
    pseudonyms = storage.pseudonyms()
    folder = settings.spool or storage.spool_folder
    if folder is None:
        raise SettingsError("name its folder: it must be empty before keys change", setting="spool")
    writer = Writer.alone(folder, storage)
    try:
        if not writer.drain():
            raise AliasError("another process is the writer of the spool: stop the site first")
        _require_empty(folder)
        rotations = [found for each in namespaces(settings) if (found := _rotation(settings, pseudonyms, each))]
        changed: Counter[str] = Counter()
        for rotation in rotations:
            changed.update(pseudonyms.rotate(rotation))
        return dict(changed)
    finally:
        writer.stand_down()


def _rotation(settings: Settings, pseudonyms: Pseudonyms, namespace: str) -> Rotation | None:
    """Give a namespace's way to the newest keys, None where it is there."""
    marks, steps = pseudonyms.marks(namespace), _steps(settings, namespace)
    if "" in marks or not all(mark in steps for mark in marks):
        raise SettingsError(_remedy(settings, namespace, marks), setting="pseudonym_keys")
    behind = [steps.index(mark) for mark in marks if mark != steps[-1]]
    if not behind:
        return None
    rekeyed = partial(rotated, new_keys=settings.pseudonym_keys[min(behind) :])
    return Rotation(namespace, steps[min(behind)], steps[-1], rekeyed)


def _require_empty(folder: Path) -> None:
    """Refuse while records wait, or somebody may still add some."""
    waiting = len(segments.names(folder)) + len(segments.done(folder))
    if waiting:
        raise AliasError(
            f"the spool has {waiting} segments that are in use or could not be drained: stop every process of the "
            "site, run `alias-middleware drain --once`, and try again"
        )
