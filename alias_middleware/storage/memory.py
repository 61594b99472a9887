"""`memory://`: the reference storage, for tests and trials. It keeps raw events and recounts on every question.

It lives as long as its process and is not shared; it is right before it is fast.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter
from collections.abc import Sequence
from functools import partial
from urllib.parse import urlsplit

from alias_middleware.errors import SettingsError, StorageUnavailable
from alias_middleware.events import Event
from alias_middleware.habits import bounded, encode_habits
from alias_middleware.history import Knowledge, knowledge_of, needs_consent
from alias_middleware.identity import stored_part
from alias_middleware.interests import Sums
from alias_middleware.profile import ProfileChange, ProfileDocument, StoredProfile, apply_change, encode_json
from alias_middleware.rollups.model import Days, merge_periods
from alias_middleware.sealing import fold
from alias_middleware.storage import recount
from alias_middleware.storage.base import (
    Abilities,
    Answer,
    Batch,
    Difference,
    Entry,
    LateSealing,
    Ledger,
    Origin,
    Outcome,
    Question,
    Scope,
    Storage,
)  # fmt: skip
from alias_middleware.storage.clientele import Clientele
from alias_middleware.storage.memory_contact import MemoryConversions, MemoryOutbox
from alias_middleware.storage.memory_custody import MemoryCustody, MemoryPseudonyms
from alias_middleware.storage.memory_record import Record, Timeline, concerns, sums_of, when
from alias_middleware.storage.moving import Moving
from alias_middleware.storage.outbox import Evidence, Suppression
from alias_middleware.storage.pseudonyms import check_keyed

Person = tuple[str, str]
"""A visitor's namespace and key."""


class MemoryStorage(Storage):
    """The reference storage: everything in this process, recounted from raw events."""

    abilities = Abilities(reads_block=False, shared=False, replaces=True)

    def __init__(self, url: str = "memory://", *, secret_keys: Sequence[bytes] = ()) -> None:
        """Start empty. Keys are not needed: erasures are remembered as long as the process lives."""
        parts = urlsplit(url)
        if parts.netloc or parts.path or parts.query:
            raise SettingsError("memory:// takes nothing after the slashes", setting="storage")
        self._lock = threading.RLock()
        os.register_at_fork(after_in_child=partial(_unlock, weakref.ref(self)))
        self._records: dict[Person, Record] = {}
        self._suppressions: dict[Person, dict[str, Suppression]] = {}
        self._outbox = MemoryOutbox(lambda: self._lock, self._evidence, self._keys_after, self._knows)
        self._conversions = MemoryConversions(lambda: self._lock)
        self._custody = MemoryCustody(lambda: self._lock, self._outbox)
        self._unidentified: Counter[tuple[Origin, int]] = Counter()
        self._counts: Counter[str] = Counter()
        self._positions: dict[str, int] = {}
        self._applied: set[int] = set()
        self._gaps_us: dict[str, int] = {}
        self._timeline = Timeline()
        self._namespaces: dict[str, set[str]] = {}
        self._marks: dict[str, str] = {}

    def read_profile(self, namespace: str, key: str) -> StoredProfile:
        """Give a visitor's documents."""
        with self._lock:
            record = self._records.get((namespace, stored_part(key)))
            return StoredProfile() if record is None else record.profile()

    def read_knowledge(self, namespace: str, key: str) -> bytes:
        """Recount what a visitor's history adds up to."""
        with self._lock:
            record = self._records.get((namespace, stored_part(key)), Record())
            knowledge = knowledge_of(record.streams(), self._gaps_us)
            return encode_json(knowledge) + b"\n" + encode_habits(bounded(record.habits()))

    def category_sums(self, namespace: str) -> dict[str, Sums]:
        """Recount what all visitors of a namespace did by category."""
        with self._lock:
            return sums_of(record for (of, _), record in self._records.items() if of == namespace)

    def live_since(self, service: str) -> int | None:
        """Give the time of a service's first live page view."""
        with self._lock:
            return self._timeline.live_since(service)

    def replace_live(self, service: str, since_us: int, until_us: int) -> int:
        """Leave live page views out of the raw events."""
        with self._lock:
            return self._timeline.replace(service, (since_us, until_us), self._records.values())

    def change_profile(self, namespace: str, change: ProfileChange, *, timeout: float) -> int:
        """Carry out operations under the storage's lock."""
        if not self._lock.acquire(timeout=timeout):
            raise StorageUnavailable("the memory storage is busy", reason="locked")
        try:
            return self._change(namespace, change, late=False)
        finally:
            self._lock.release()

    def _change(self, namespace: str, change: ProfileChange, *, late: bool) -> int:
        record = self._records.setdefault((namespace, stored_part(change.key)), Record())
        if record.begun_before_erasure(change.begun_us):
            return 0
        return apply_change(record.document, change, late=late)

    def apply(self, batch: Batch) -> Outcome:
        """Take over a batch under the storage's lock."""
        with self._lock:
            for segment, span in batch.spans.items():
                if self._positions.get(segment, 0) != span.start:
                    raise StorageUnavailable("the batch was read from elsewhere", reason="stale_position")
            origins = batch.origins()
            check_keyed(batch.keyings(origins), self._marks.setdefault)
            batch, _ = batch.parted(origins)  # nothing is rotated here: either key tells a visitor as well
            outcome = Outcome()
            for late in batch.changes_by_time():
                if late.id not in self._applied:
                    self._applied.add(late.id)
                    outcome.refused += self._change(late.namespace, late.change, late=True)
            for sealing in sorted(batch.sealings, key=lambda late: late.sealing.time_us):
                self._seal(sealing)
            for origin in origins:
                self._meet(origin)
            for entry in self._timeline.admitted(batch, outcome, self._records.values()).entries:
                self._keep(entry, outcome)
            self._positions.update({segment: span.end for segment, span in batch.spans.items()})
            for segment in batch.finished:
                self._positions.pop(segment, None)
            self._unidentified.update(batch.unidentified)
            self._counts.update(batch.counts)
            self._counts.update(outcome.counts())
            return outcome

    def _seal(self, late: LateSealing) -> None:
        record = self._records.setdefault((late.namespace, stored_part(late.sealing.key)), Record())
        if not record.begun_before_erasure(late.sealing.begun_us):
            record.seals = fold(record.seals, late.sealing)

    def _meet(self, origin: Origin) -> None:
        self._gaps_us.setdefault(origin.service, origin.visit_gap_us)
        self._namespaces.setdefault(origin.service, set()).add(origin.namespace)

    def _keep(self, entry: Entry, outcome: Outcome) -> None:
        record = self._records.setdefault((entry.origin.namespace, entry.event.key), Record())
        refusal = record.document.refuses("measure")
        if record.begun_before_erasure(entry.event.begun_us):
            outcome.dropped["erased"] += 1
        elif refusal and refusal.time_us <= entry.event.time_us and needs_consent(entry.event):
            outcome.dropped["no_consent"] += 1
        elif any(when(entry) == when(kept) for kept in record.entries):
            outcome.deduplicated += 1
        else:
            copy = record.copy_of_order(entry)
            outcome.stored += copy is None
            outcome.deduplicated += copy is not None
            outcome.conflicts += copy is not None and not copy.same_order(entry.event)  # type: ignore[arg-type]
            record.entries.append(entry)

    def ledger(self) -> Ledger:
        """Give the counters and positions."""
        with self._lock:
            return Ledger(dict(self._counts), dict(self._positions))

    def history(self, namespace: str, key: str, limit: int, *, before_us: int | None = None) -> list[Event]:
        """Give a visitor's latest counted events, newest first."""
        with self._lock:
            record = self._records.get((namespace, stored_part(key)), Record())
            return record.history(limit, before_us)

    def rollups(self, questions: Sequence[Question]) -> list[Answer]:
        """Roll everything up anew."""
        with self._lock:
            return [self._answer(question) for question in questions]

    def _answer(self, question: Question) -> Answer:
        days = recount.days_of(
            [
                record.counted()
                for (namespace, _), record in self._records.items()
                if concerns(question.scope, namespace)
            ],
            self._services(question.scope),
            {(origin.service, day): n for (origin, day), n in self._unidentified_in(question.scope).items()},
            question.scope.channel,
        )
        erased = sum(
            question.erased_since_us is not None
            and record.erased_us is not None
            and record.erased_us >= question.erased_since_us
            for (namespace, _), record in self._records.items()
            if any(namespace in self._namespaces[service] for service in self._services(question.scope))
        )
        return Answer(merge_periods(question.periods, days, question.sections), erased)

    def _services(self, scope: Scope) -> dict[str, int]:
        """The services of a scope with their visit gaps."""
        return {
            service: gap_us
            for service, gap_us in self._gaps_us.items()
            if (
                scope.namespace in self._namespaces[service] if scope.service is None else service == scope.service
            )
        }

    def entries(self) -> list[Entry]:
        """Give every event that counts, of all visitors: what a slow recount in a test begins with."""
        with self._lock:
            return [entry for record in self._records.values() for entry in record.counted()]

    def unidentified(self, scope: Scope, since: int, until: int) -> int:
        """Count the page views without an alias between two days, for the same recount."""
        with self._lock:
            return sum(n for (_, day), n in self._unidentified_in(scope).items() if since <= day < until)

    def _unidentified_in(self, scope: Scope) -> dict[tuple[Origin, int], int]:
        services = self._services(scope)
        return {
            (origin, day): number
            for (origin, day), number in self._unidentified.items()
            if origin.service in services and concerns(scope, origin.namespace)
        }

    def span(self, scope: Scope) -> Days | None:
        """Give the days between the first and the last that anything was recorded on."""
        with self._lock:
            services = self._services(scope)
            days = {day for _, day in self._unidentified_in(scope)} | {
                entry.event.day
                for entry in self.entries()
                if entry.origin.service in services and concerns(scope, entry.origin.namespace)
            }
            return (min(days), max(days) + 1) if days else None

    def verify(self, since: int, until: int) -> list[Difference]:
        """Find nothing: nothing derived is kept."""
        return []

    def clientele(self, page: Clientele) -> list[tuple[str, Knowledge]]:
        """Sort everybody."""
        with self._lock:
            everybody = [
                (key, knowledge_of(record.streams(), self._gaps_us))
                for (namespace, key), record in self._records.items()
                if namespace == page.namespace and record.entries
            ]
        return recount.page_of(everybody, page)

    def erase(self, namespace: str, key: str, time_us: int) -> dict[str, int]:
        """Forget everything of a visitor but the time of his erasure."""
        with self._lock:
            record = self._records.get((namespace, stored_part(key)), Record())
            self._records[(namespace, stored_part(key))] = Record(erased_us=max(time_us, record.erased_us or 0))
            known = record.document != ProfileDocument()
            return {
                "events": len(record.counted()),
                "profiles": int(known),
                "dispatches": self._outbox.erase(namespace, stored_part(key)),
            }

    def erased_at(self, namespace: str, key: str) -> int | None:
        """Give the time of a visitor's latest erasure."""
        with self._lock:
            return self._records.get((namespace, stored_part(key)), Record()).erased_us

    def suppress(self, namespace: str, key: str, suppression: Suppression) -> None:
        """Keep a suppression apart from the visitor's record, so that it survives erasure."""
        with self._lock:
            scopes = self._suppressions.setdefault((namespace, stored_part(key)), {})
            latest = scopes.get(suppression.scope)
            if latest is None or suppression.time_us >= latest.time_us:
                scopes[suppression.scope] = suppression

    def suppressions(self, namespace: str, key: str) -> list[Suppression]:
        """Give a visitor's suppressions by scope."""
        with self._lock:
            held = self._suppressions.get((namespace, stored_part(key)), {})
            return [held[scope] for scope in sorted(held)]

    def outbox(self) -> MemoryOutbox:
        """Give the campaigns and their messages."""
        return self._outbox

    def conversions(self) -> MemoryConversions:
        """Give the ledger of conversions to numbers."""
        return self._conversions

    def moving(self) -> Moving:
        """Refuse: another process that opens `memory://` finds it empty."""
        raise SettingsError("memory:// lives and ends with its process: it cannot be copied", setting="storage")

    def custody(self) -> MemoryCustody:
        """Give the audit."""
        return self._custody

    def _evidence(self, namespace: str, key: str, contacts: tuple[int, ...]) -> Evidence:
        known = self.read_knowledge(namespace, key), self.read_profile(namespace, key)
        seals = self._records.get((namespace, stored_part(key)), Record()).seals
        forbidden = tuple(self.suppressions(namespace, key))
        return Evidence(stored_part(key), *known, forbidden, contacts, tuple(seals.values()))

    def _keys_after(self, namespace: str, after: str) -> list[str]:
        return sorted(
            key for space, key in self._records if space == namespace and key > after and self._knows(space, key)
        )

    def _knows(self, namespace: str, key: str) -> bool:
        record = self._records.get((namespace, key))
        return record is not None and bool(record.entries)

    def pseudonyms(self) -> MemoryPseudonyms:
        """Give what knows the pseudonym keys again."""
        return MemoryPseudonyms(self._marks)

    def close(self) -> None:
        """Nothing to let go of: the data lives as long as the process."""

    def begin_anew(self) -> None:
        """In a child, right after the fork: the thread that held the lock does not exist here."""
        self._lock = threading.RLock()


def _unlock(storage: weakref.ref[MemoryStorage]) -> None:
    if (inherited := storage()) is not None:
        inherited.begin_anew()
