"""What a storage does for pseudonyms: it knows the keys again that made them, and takes them over to new ones.

A storage that can do it gives a `Pseudonyms` from `Storage.pseudonyms`. No verb is told a key or an alias.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import NamedTuple

from alias_middleware.errors import StorageUnavailable

OTHER_KEYS = "other_keys"
"""The reason why a batch is refused whose visitor keys were made by other pseudonym keys."""


class Rotation(NamedTuple):
    """A namespace's way to new pseudonym keys.

    `before` and `after`: the check values of the old keys and of the new ones (`identity.check_value`). `rekeyed`
    gives the visitor key that takes the place of one.
    """

    namespace: str
    before: str
    after: str
    rekeyed: Callable[[str], str]


class Pseudonyms(ABC):
    """The verbs for the pseudonyms of one storage."""

    @abstractmethod
    def marks(self, namespace: str) -> list[str]:
        """Give the check values of what a namespace's visitors were last keyed with.

        None before anything was stored; two where a rotation was cut short. A storage that cannot be read gives
        none: what comes under other keys is refused by `Storage.apply` all the same.
        """

    @abstractmethod
    def begin(self, namespace: str, mark: str) -> None:
        """Keep a namespace's first check value; one that is there stays. `Storage.apply` does as much."""

    @abstractmethod
    def rotate(self, rotation: Rotation) -> dict[str, int]:
        """Put every visitor key's successor in its place, and give the rows changed by table.

        Every part of the storage changes in one transaction with its check value, so a rotation that was cut short
        is finished by the next: parts that stand at `after` are left as they are. Hashes of lasting keys stay. A
        visitor's lasting key is his visitor key before the first rotation; from then on rows keep it concealed.

        Raises:
            StorageUnavailable: a part was not changed; or (`other_keys`) stands at neither value.
        """


def check_keyed(keyings: Iterable[tuple[str, str]], mark_of: Callable[[str, str], str]) -> None:
    """Refuse a batch whose keys were made otherwise, by its namespaces and check values (`Batch.keyings`).

    `mark_of` gives a namespace's check value; the one it is given where there is none yet.

    Raises:
        StorageUnavailable: it waits in the spool; the reason is `other_keys`.
    """
    for namespace, keyed in keyings:
        if mark_of(namespace, keyed) != keyed:
            raise StorageUnavailable(
                "events were recorded under other pseudonym_keys than the storage is keyed with", reason=OTHER_KEYS
            )
