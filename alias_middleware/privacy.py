"""The rights of the person: everything known of a visitor, and its erasure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from alias_middleware.events import Event, Purchase
from alias_middleware.habits import Habits, decode_habits
from alias_middleware.history import Knowledge
from alias_middleware.profile import StoredProfile, decode_knowledge, stored_habits
from alias_middleware.storage.base import Storage
from alias_middleware.storage.outbox import Suppression

_WHOLE_HISTORY = 2**62


class Privacy:
    """Export and erasure by alias."""

    def __init__(
        self, storage: Storage, namespace: str, *, key_of: Callable[[str], str], now: Callable[[], int]
    ) -> None:
        """Work on one namespace; `key_of` gives an alias's visitor key, `now` microseconds since the epoch."""
        self._storage = storage
        self._namespace = namespace
        self._key_of = key_of
        self._now = now

    def export(self, alias: str) -> dict[str, Any]:
        """Give everything stored of a visitor as plain JSON values; events still in the spool are not in it.

        Raises:
            ValueError: no alias.
            StorageError: the storage does not answer.
        """
        key = self._key_of(alias)
        known = self._storage.read_knowledge(self._namespace, key)
        return export_document(
            self._storage.read_profile(self._namespace, key),
            decode_knowledge(known),
            self._storage.history(self._namespace, key, _WHOLE_HISTORY),
            self._storage.suppressions(self._namespace, key),
            decode_habits(stored_habits(known)),
        )

    def erase(self, alias: str) -> dict[str, int]:
        """Erase a visitor and give the number of rows gone by table.

        Events of requests begun before now, those still in the spool included, are dropped; later ones start
        a new profile. Suppressions stay, under a keyed hash.

        Raises:
            ValueError: no alias.
            StorageError: the storage did not do it, or not yet: an erasure begun is finished by the writer.
        """
        return self._storage.erase(self._namespace, self._key_of(alias), self._now())


def export_document(
    stored: StoredProfile,
    knowledge: Knowledge,
    events: list[Event],
    suppressions: list[Suppression],
    habits: Habits,
) -> dict[str, Any]:
    """Lay out everything known of a visitor as plain JSON values."""
    return {
        "preferences": msgspec.json.decode(stored.preferences),
        "personal": msgspec.json.decode(stored.personal),
        "consents": msgspec.json.decode(stored.consents),
        "knowledge": {
            **msgspec.structs.asdict(knowledge),
            "contacts": [msgspec.structs.asdict(note) for note in knowledge.contacts],
        },
        "habits": {
            "categories": {name: msgspec.structs.asdict(each) for name, each in habits.categories.items()},
            "pages": {path: msgspec.structs.asdict(each) for path, each in habits.pages.items()},
        },
        "history": [_event_document(event) for event in events],
        "suppressions": [msgspec.structs.asdict(suppression) for suppression in suppressions],
    }


def _event_document(event: Event) -> dict[str, Any]:
    fields = msgspec.structs.asdict(event)
    if isinstance(event, Purchase):
        fields["items"] = [msgspec.structs.asdict(item) for item in event.items]
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(fields))
    return {"type": type(event).__name__, **plain}
