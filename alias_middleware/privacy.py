"""The rights of the person: everything known of a visitor, its erasure, and how long anything is kept.

`docs/reference/export.md` has the schema of an export.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from alias_middleware.errors import SettingsError
from alias_middleware.events import Event, Purchase
from alias_middleware.habits import Habits, decode_habits
from alias_middleware.history import Knowledge
from alias_middleware.identity import lasting_part
from alias_middleware.local_time import LocalDays, from_micros, to_micros
from alias_middleware.profile import StoredProfile, decode_knowledge, stored_habits
from alias_middleware.settings import Settings
from alias_middleware.storage.base import Storage
from alias_middleware.storage.custody import Custody, Cut, Disclosure
from alias_middleware.storage.outbox import Dispatch, Suppression

_WHOLE_HISTORY = 2**62
_ID_BYTES = 8

logger = logging.getLogger("alias_middleware")


class Privacy:
    """Export and erasure by alias, retention, and the audit."""

    def __init__(
        self,
        storage: Storage,
        settings: Settings,
        *,
        key_of: Callable[[str], str],
        now: Callable[[], int],
        entropy: Callable[[int], bytes],
        forget_rejected: Callable[[str], int] = lambda key: 0,
    ) -> None:
        """Work on the namespace of `settings`; `key_of` gives an alias's visitor key.

        `now` gives microseconds since the epoch, `entropy(n)` n random bytes. `forget_rejected` takes out what
        could not be stored of a visitor key, and gives how much that was.
        """
        self._storage = storage
        self._settings = settings
        self._namespace = settings.namespace
        self._key_of = key_of
        self._now = now
        self._entropy = entropy
        self._forget_rejected = forget_rejected

    def export(self, alias: str, *, requester: str = "", reason: str = "") -> dict[str, Any]:
        """Give everything stored of a visitor as plain JSON values; events still in the spool are not in it.

        A row of the audit, with who asked and why, is kept first; the export has it, too.

        Raises:
            ValueError: no alias.
            StorageError: the storage does not answer, or did not keep the audit's row.
        """
        key = self._key_of(alias)
        custody = self._custody()
        if custody is None:
            logger.warning("an export was made, and this storage keeps no audit")
        else:
            custody.note(self._namespace, key, self._disclosure(requester, reason))
        known = self._storage.read_knowledge(self._namespace, key)
        return export_document(
            self._storage.read_profile(self._namespace, key),
            decode_knowledge(known),
            self._storage.history(self._namespace, key, _WHOLE_HISTORY),
            self._storage.suppressions(self._namespace, key),
            decode_habits(stored_habits(known)),
            custody.dispatches(self._namespace, key) if custody else [],
            custody.disclosures(self._namespace, key) if custody else [],
        )

    def disclosures(self, alias: str) -> list[Disclosure]:
        """Give the audit of one visitor: who was given his data, when and why, oldest first.

        Raises:
            ValueError: no alias.
            SettingsError: the storage keeps no audit.
            StorageError: the storage does not answer.
        """
        return self._storage.custody().disclosures(self._namespace, self._key_of(alias))

    def _custody(self) -> Custody | None:
        try:
            return self._storage.custody()
        except SettingsError:
            return None

    def _disclosure(self, requester: str, reason: str) -> Disclosure:
        return Disclosure(
            id=int.from_bytes(self._entropy(_ID_BYTES), "big") % 2**63,
            time_us=self._now(),
            what="export",
            requester=requester.strip(),
            reason=reason.strip(),
        )

    def erase(self, alias: str) -> dict[str, int]:
        """Erase a visitor and give the number of rows gone by table.

        Events of requests begun before now, those still in the spool included, are dropped; later ones start
        a new profile. What this machine keeps aside of him because it could not be stored goes, too. Suppressions
        stay, under a keyed hash.

        Raises:
            ValueError: no alias.
            StorageError: the storage did not do it, or not yet: an erasure begun is finished by the writer.
            OSError: it is done, but for what this machine keeps aside.
        """
        key = self._key_of(alias)
        gone = self._storage.erase(self._namespace, key, self._now())
        rejected = self._forget_rejected(lasting_part(key))  # it is in every record of him, whenever
        return {**gone, "rejected": rejected} if rejected else gone

    def would_erase(self, alias: str) -> dict[str, int]:
        """Count what `erase` would take away: events, profiles, messages of campaigns.

        Raises:
            ValueError: no alias.
            StorageError: the storage does not answer.
        """
        key = self._key_of(alias)
        custody = self._custody()
        return {
            "events": len(self._storage.history(self._namespace, key, _WHOLE_HISTORY)),
            "profiles": int(self._storage.read_profile(self._namespace, key) != StoredProfile()),
            "dispatches": len(custody.dispatches(self._namespace, key)) if custody else 0,
        }

    def purge(
        self,
        *,
        raw_older_than: timedelta | None = None,
        profiles_idle: timedelta | None = None,
        dry_run: bool = False,
    ) -> dict[str, int]:
        """Let go of what is too old, and give the rows gone by table; with `dry_run` only count them.

        Raw events of the local days before `raw_older_than` ago go; the figures of those days stay as they are,
        and events of theirs that come later are `dropped[too_old]`. Orders and refunds stay with their visitor.
        A visitor without any activity for `profiles_idle` is forgotten: profile, knowledge, orders; in
        the figures he stays as a number. Both default to the settings: 25 months and 3 years.

        Raises:
            ValueError: a time is not positive, or profiles would go before raw events.
            SettingsError: the storage cannot do it.
            StorageError: the storage did not do all of it; the next purge does the rest.
        """
        raw = raw_older_than or timedelta(days=self._settings.keep_raw_days)
        idle = profiles_idle or timedelta(days=self._settings.keep_profiles_days)
        if raw <= timedelta() or idle < raw:
            raise ValueError("keep raw events for some time, and profiles no shorter than those")
        now = from_micros(self._now())
        days = LocalDays(self._settings.tzinfo)
        idle_since = (now - idle).astimezone(self._settings.tzinfo).date()
        cut = Cut(
            raw_before=(now - raw).astimezone(self._settings.tzinfo).date().toordinal(),
            idle_since_day=idle_since.toordinal(),
            idle_since_us=days.start(idle_since),
            now_us=to_micros(now),
        )
        return self._storage.custody().purge(self._namespace, cut, dry_run=dry_run)

    def replay_erasures(self, *, dry_run: bool = False) -> dict[str, int]:
        """Erase again whoever was erased since the backup that the storage was restored from.

        Call it before the site runs on the restored storage: all there is of those persons goes. It needs the log
        of erasures and the keys of the day. Gives `logged`, `replayed` and the rows gone by table.

        Raises:
            SettingsError: the storage keeps no such log.
            StorageError: it was not done, or not wholly; call it again.
        """
        return self._storage.custody().replay_erasures(dry_run=dry_run)


def export_document(  # noqa: PLR0917 -- one argument for each part of the document
    stored: StoredProfile,
    knowledge: Knowledge,
    events: list[Event],
    suppressions: list[Suppression],
    habits: Habits,
    dispatches: Sequence[tuple[str, Dispatch]] = (),
    disclosures: Sequence[Disclosure] = (),
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
        "dispatches": [_dispatch_document(service, dispatch) for service, dispatch in dispatches],
        "disclosures": [msgspec.structs.asdict(disclosure) for disclosure in disclosures],
    }


def _event_document(event: Event) -> dict[str, Any]:
    fields = msgspec.structs.asdict(event)
    if isinstance(event, Purchase):
        fields["items"] = [msgspec.structs.asdict(item) for item in event.items]
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(fields))
    return {"type": type(event).__name__, **plain}


def _dispatch_document(service: str, dispatch: Dispatch) -> dict[str, Any]:
    """Lay out one message of a campaign, without the visitor's key."""
    fields = msgspec.structs.asdict(dispatch)
    del fields["key"]
    return {"service": service, **fields}
