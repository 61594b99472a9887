"""A request's working copy of a profile, and the field operations that its changes amount to.

Nothing is read before it is needed; nothing is written here. The app holds it by the mappings of `fields`;
`visitor` hands the noted operations on when they are due.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

import msgspec

from alias_middleware.discreet import Discreet
from alias_middleware.errors import ProfileError, ProfileTooLarge, ProfileValueError, StorageCorrupt
from alias_middleware.habits import Habits, decode_habits
from alias_middleware.history import Knowledge
from alias_middleware.interests import Population
from alias_middleware.keeper import Reader
from alias_middleware.profile import (
    LINK_NOTE,
    PROFILE_LIMIT,
    PURPOSES,
    UNDECODABLE,
    Area,
    Consent,
    Json,
    Operation,
    StoredProfile,
    check_value,
    decode_consents,
    decode_json,
    decode_knowledge,
    encode_json,
    latest_consents,
    stored_habits,
)

Decoded = TypeVar("Decoded")

_LIMITED: tuple[Area, ...] = ("preferences", "personal")
NESTED = (list, dict)  # made once: `list | dict` is made anew each time it is reached


Restraint = Literal["signal", "mode"]
"""Why a visitor is there for the statistics only: his browser's signal, which his own word to the site outweighs,
or the site's mode, which nothing does."""


class Edits(Discreet, msgspec.Struct, eq=False):
    """What a request does to a profile: the operations noted, and nested values as they were when it saw them."""

    operations: list[Operation] = []
    watched: dict[tuple[Area, str], bytes] = {}

    def __repr__(self) -> str:  # reporters of errors show the locals of every frame
        return f"<Edits: {len(self.operations)} operations, {len(self.watched)} values watched>"


class Draft(Discreet, msgspec.Struct, eq=False):
    """One request's working copy of a profile: loaded at first use, with the operations noted so far.

    For the key None, changes live as long as the draft. The reader is told of what cannot be read, which then is
    as if it were empty. `_changed` is called after every operation, for visitors that commit at once; no
    request waits for a `patient` one.
    """

    _reader: Reader
    _key: str | None
    _changed: Callable[[], None] | None = None
    _stored: StoredProfile | None = None
    _knowledge: bytes | None = None
    _consents: dict[str, Consent] | None = None
    _habits: Habits | None = None
    patient: bool = False
    restraint: Restraint | None = None
    _documents: dict[Area, dict[str, Json]] = {}
    edits: Edits | None = None
    """What was done so far; None while the profile was only read, as by most requests."""

    def __repr__(self) -> str:  # reporters of errors show the locals of every frame
        return f"<Draft with {len(self.edits.operations) if self.edits else 0} operations>"

    def _edited(self) -> Edits:
        """Give the edits, begun if need be."""
        if self.edits is None:
            self.edits = Edits()
        return self.edits

    def _read(self) -> StoredProfile:
        """Give what the storage had when it was first asked."""
        stored = self._stored
        if stored is None:
            stored = self._stored = StoredProfile() if self._key is None else self._reader.load(self._key)
        return stored

    def load(self) -> None:
        """Read now what would be read at first use."""
        self._read()
        _ = self._stored_knowledge

    @property
    def consents(self) -> dict[str, Consent]:
        """The visitor's last word on each purpose he spoke of."""
        if self._consents is None:
            raw = self._read().consents
            said: dict[str, list[Consent]] = {}
            if raw != b"{}":
                said = self._decoded(raw, decode_consents, said)
            self._consents = latest_consents(said)
        return self._consents

    @property
    def knowledge(self) -> Knowledge:
        """What is derived from the visitor's history; nothing in the mode without profiles."""
        if self.restraint == "mode":
            return Knowledge()
        return self._decoded(self._stored_knowledge, decode_knowledge, Knowledge())

    @property
    def habits(self) -> Habits:
        """What the visitor favours, read with knowledge; nothing of one who refuses to be personalised."""
        if self._habits is None:
            kept = stored_habits(self._stored_knowledge) if self.allows("personalise") else b""
            self._habits = self._decoded(kept, decode_habits, Habits())
        return self._habits

    @property
    def population(self) -> Population:
        """Everybody's tastes, as last read."""
        return self._reader.population(wait=self.patient)

    def now(self) -> int:
        """Give the present moment in microseconds."""
        return self._reader.now()

    @property
    def _stored_knowledge(self) -> bytes:
        if self._knowledge is None:
            self._knowledge = b"[]" if self._key is None else self._reader.know(self._key)
        return self._knowledge

    def _decoded(self, raw: bytes, decode: Callable[[bytes], Decoded], instead: Decoded) -> Decoded:
        try:
            return decode(raw)
        except UNDECODABLE:
            self._damaged()
            return instead

    def _damaged(self) -> None:
        self._reader.problem(StorageCorrupt("a stored profile does not decode"))

    def allows(self, purpose: str) -> bool:
        """Tell whether the visitor consents to a purpose."""
        if self.restraint == "mode" and purpose != "measure":
            return False
        said = self.consents.get(purpose)
        if said is not None:
            return said.granted
        return PURPOSES[purpose] and (self.restraint is None or purpose == "measure")

    def document(self, area: Area) -> dict[str, Json]:
        """Give the working copy of one area; empty for a visitor who refuses to be personalised."""
        document = self._documents.get(area)
        if document is None:
            stored = self._read()
            raw: bytes = stored.preferences if area == "preferences" else getattr(stored, area)
            document = {}
            if raw != b"{}" and (
                (stored.consents == b"{}" and self.restraint is None) or self.allows("personalise")
            ):
                try:
                    document = decode_json(raw)
                    if area == "personal":
                        document.pop(LINK_NOTE, None)
                except UNDECODABLE:
                    self._damaged()
            self._documents[area] = document
        return document

    def watch(self, area: Area, field: str, value: Json) -> None:
        """Remember a nested value as it is now, so that a change inside it is noticed."""
        if isinstance(value, NESTED):
            self._edited().watched.setdefault((area, field), encode_json(value))

    def replace(self, operation: Operation, value: Json) -> None:
        """Give a field a new value, checked, and note the operation that does it.

        Raises:
            ProfileValueError: the value is not JSON.
            ProfileTooLarge: the profile would not fit; nothing changed.
        """
        area, field = operation.area, operation.field
        check_value(field, operation.value)
        self._collect()
        self._check_size(area, field, value)
        self.document(area)[field] = value
        self._edited().watched.pop((area, field), None)
        self.watch(area, field, value)
        self.note(operation)

    def _check_size(self, area: Area, field: str, value: Json) -> None:
        """Check that the profile would fit with this value in this field."""
        size = len(encode_json({**self.document(area), field: value}))
        size += sum(len(encode_json(self.document(other))) for other in _LIMITED if other != area)
        if size > PROFILE_LIMIT:
            raise ProfileTooLarge(size=size, limit=PROFILE_LIMIT)

    def settle(self, area: Area, field: str) -> None:
        """Note what changed inside a nested value, before an operation that builds on it.

        Raises:
            ProfileError: the value was no JSON any more, or too large, and was put back.
        """
        if self.edits and (area, field) in self.edits.watched and (problem := self._check_nested((area, field))):
            raise problem

    def forget(self, area: Area, field: str) -> None:
        """Remove a field that is there."""
        del self.document(area)[field]
        self._edited().watched.pop((area, field), None)
        self.note(Operation("remove", area, field))

    def note(self, operation: Operation) -> None:
        """Keep an operation for the next commit; a nested value is kept as it is now."""
        if operation.verb != "consent" and not self.allows("personalise"):
            return
        if isinstance(operation.value, list | dict):
            copy = decode_json(encode_json(operation.value))
            operation = Operation(operation.verb, operation.area, operation.field, copy, operation.limit)
        self._edited().operations.append(operation)
        if self._changed is not None:
            self._changed()

    def consent(self, purpose: str, consent: Consent) -> None:
        """Take note of the visitor's word on a purpose."""
        self.consents[purpose] = consent
        if purpose == "personalise":
            self._habits = None
            self._documents.clear()
            self._edited().watched.clear()
        self.note(Operation("consent", "consents", purpose, [consent.granted, consent.source]))

    def has_operations(self) -> bool:
        """Tell whether there is anything to `take`."""
        if self.edits is None:
            return False
        self._collect()
        return bool(self.edits.operations)

    def _collect(self) -> None:
        """Note what changed inside nested values, and report what was wrong with it.

        A nested value that is no JSON any more, or too large, is put back as it was; the rest is noted.
        """
        if self.edits is not None and self.edits.watched:
            for problem in [found for found in map(self._check_nested, list(self.edits.watched)) if found]:
                self._reader.problem(problem)

    def take(self) -> list[Operation]:
        """Give the operations noted since the last call; of a stranger none is kept."""
        if self.edits is None:
            return []
        taken, self.edits.operations = self.edits.operations, []
        return [] if self._key is None else taken

    def reread(self) -> None:
        """Forget what was read, so that the next look sees what others wrote."""
        self._stored = self._knowledge = self._consents = self._habits = None
        self._documents.clear()
        if self.edits is not None:
            self.edits.watched.clear()

    def _check_nested(self, place: tuple[Area, str]) -> ProfileError | None:
        area, field = place
        document = self.document(area)
        edits = self._edited()
        value, before = document[field], edits.watched[place]
        try:
            check_value(field, value)
            now = encode_json(value)
            if now != before:
                self._check_size(area, field, value)
        except (ProfileValueError, ProfileTooLarge) as problem:
            document[field] = decode_json(before)
            return problem
        if now != before:
            edits.watched[place] = now
            if self.allows("personalise"):
                edits.operations.append(Operation("set", area, field, decode_json(now)))
        return None
