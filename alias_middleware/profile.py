"""A visitor's profile as data: field operations, consents, and how a change is applied to what is stored.

Writing a whole document back would lose what another request wrote meanwhile, so a change is a list of
operations on fields, carried out by `apply_change` inside a storage's own transaction. What a request sees
and edits is the business of `draft` and `fields`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from alias_middleware.discreet import Discreet
from alias_middleware.errors import ProfileValueError
from alias_middleware.history import Knowledge
from alias_middleware.local_time import from_micros

PROFILE_LIMIT = 64 * 1024
"""Bytes of JSON that one profile's preferences and personal data may take together."""

PURPOSES = {"measure": True, "personalise": True, "contact": False}
"""What a visitor may consent to, and what holds until he says."""

CONSENTS_KEPT = 50
"""How many of a visitor's latest answers about one purpose are kept."""

REMOVALS_KEPT = 256
"""How many removed fields are remembered, so that a late change does not bring them back."""

LINK_NOTE = "alias_middleware.link"
"""The personal field in which `linking` notes what it copied; apps do not see it."""

LARGEST_INTEGER = 2**63 - 1
_DEEPEST = 32
_REMOVING = ("remove", "withdraw")
_REPLACING = ("set", "fill", *_REMOVING)

Area = Literal["preferences", "personal", "consents"]
Verb = Literal["set", "remove", "increment", "append", "discard", "consent", "fill", "withdraw"]
"""What is done to a field. "fill" sets one that is missing; "withdraw" removes one that was filled at its value,
a time in microseconds, and has not been changed since."""

Json = Any
"""None, bool, int of 64 bits, finite float, str, list of these, dict of these by str."""

encode_json: Callable[[Json], bytes] = msgspec.json.Encoder().encode
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What decoding raises where stored bytes are damaged: no JSON, or a text in it that is no UTF-8."""

decode_json: Callable[[bytes], Json] = msgspec.json.Decoder().decode
_decode_knowledge: Callable[[bytes], Knowledge] = msgspec.json.Decoder(Knowledge).decode


class Operation(msgspec.Struct, frozen=True, array_like=True):
    """One change of one field. `limit` is the number of items an appended list keeps."""

    verb: Verb
    area: Area
    field: str
    value: Json = None
    limit: int | None = None


class ProfileChange(Discreet, msgspec.Struct, frozen=True, array_like=True, tag="c"):
    """Operations of one request on one profile; times in microseconds since the epoch (UTC)."""

    key: str
    time_us: int
    begun_us: int
    operations: tuple[Operation, ...]

    def __repr__(self) -> str:  # reporters of errors show the locals of every frame
        return f"<ProfileChange of {len(self.operations)} operations>"


class Consent(NamedTuple):
    """What a visitor said about one purpose, when, and where he said it."""

    granted: bool
    time_us: int
    source: str | None

    @property
    def time(self) -> datetime:
        """The moment of the answer, as an aware UTC datetime."""
        return from_micros(self.time_us)


class StoredProfile(Discreet, msgspec.Struct, frozen=True, eq=False, gc=False):
    """A profile's documents as one storage read gives them: JSON that is decoded when it is looked at.

    Two with the same documents are equal, also where a storage's own kind remembers more.
    """

    preferences: bytes = b"{}"
    personal: bytes = b"{}"
    consents: bytes = b"{}"

    def __repr__(self) -> str:  # reporters of errors show the locals of every frame
        return f"<StoredProfile of {self.size} bytes>"

    def __eq__(self, other: object) -> bool:
        return self._documents == other._documents if isinstance(other, StoredProfile) else NotImplemented

    def __ne__(self, other: object) -> bool:  # a struct has one of its own, which knows only the struct's own `eq`
        return not self == other

    def __hash__(self) -> int:
        return hash(self._documents)

    @property
    def _documents(self) -> tuple[bytes, bytes, bytes]:
        return self.preferences, self.personal, self.consents

    @property
    def size(self) -> int:
        """The bytes of all documents."""
        return sum(map(len, self._documents))


class ProfileDocument(msgspec.Struct):
    """A stored profile opened for a change.

    `stamps` keeps for each field the time of its last absolute change (set, remove) and of its last change
    of any kind, so that a change which arrives late cannot overwrite a newer one.
    """

    preferences: dict[str, Json] = {}
    personal: dict[str, Json] = {}
    consents: dict[str, list[Consent]] = {}
    stamps: dict[str, tuple[int, int]] = {}

    def size(self) -> int:
        """Give the bytes of JSON of preferences and personal data together."""
        return len(encode_json(self.preferences)) + len(encode_json(self.personal))

    def refuses(self, purpose: str) -> Consent | None:
        """Give the visitor's refusal of a purpose, if that is his last word."""
        last = latest_consents(self.consents).get(purpose)
        return last if last is not None and not last.granted else None


def latest_consents(consents: dict[str, list[Consent]]) -> dict[str, Consent]:
    """Give the visitor's last word on each purpose he spoke of."""
    return {purpose: said[-1] for purpose, said in consents.items() if said}


def decode_consents(raw: bytes) -> dict[str, list[Consent]]:
    """Decode a stored consents document."""
    return msgspec.json.decode(raw, type=dict[str, list[Consent]])


def decode_knowledge(stored: bytes) -> Knowledge:
    """Decode knowledge as a storage gives it: its first line."""
    return _decode_knowledge(stored.partition(b"\n")[0])


def stored_habits(stored: bytes) -> bytes:
    """Give the habits that come with stored knowledge: what stands behind its first line."""
    return stored.partition(b"\n")[2]


def check_value(field: str, value: Json, depth: int = 0) -> None:
    """Check that a value can be kept as JSON and comes back equal.

    Raises:
        ProfileValueError: naming the field and the type found (never the value).
    """
    kind = type(value)
    if value is None or kind is bool:
        return
    if kind is str:
        _check_text(field, value)
    elif kind is int:
        if abs(value) > LARGEST_INTEGER:
            raise ProfileValueError(field=field, found=int, why="integers are kept in 64 bits")
    elif kind is float:
        if not math.isfinite(value):
            raise ProfileValueError(field=field, found=float, why="JSON has no infinity and no NaN")
    elif kind is list or kind is dict:
        _check_container(field, value, depth)
    else:
        raise ProfileValueError(field=field, found=kind)


def _check_container(field: str, value: list[Json] | dict[str, Json], depth: int) -> None:
    if depth >= _DEEPEST:
        raise ProfileValueError(field=field, found=type(value), why=f"at most {_DEEPEST} levels are kept")
    if isinstance(value, dict):
        for name in value:
            if type(name) is not str:
                raise ProfileValueError(field=field, found=type(name), why="the keys of a dict must be str")
            _check_text(field, name)
    for part in value.values() if isinstance(value, dict) else value:
        check_value(field, part, depth + 1)


def _check_text(field: str, text: str) -> None:
    if not text.isascii() and text.encode("utf-8", "replace").decode("utf-8") != text:
        raise ProfileValueError(field=field, found=str, why="it cannot be written as UTF-8")


def apply_change(
    document: ProfileDocument, change: ProfileChange, *, late: bool, limit: int = PROFILE_LIMIT
) -> int:
    """Carry out a change and give the number of its operations that were refused.

    Operations that do not fit their field any more (an increment of a text), or would take the profile past
    `limit` bytes, are refused one by one. A `late` change comes out of the spool some time after it was
    made: it never overwrites what is newer. Any other change happens now, so arrival is its order, even
    when the clock was stepped back.
    """
    refused = 0
    for operation in change.operations:
        refused += not _apply(document, operation, change.time_us, late=late, limit=limit)
    return refused


def _apply(document: ProfileDocument, operation: Operation, time_us: int, *, late: bool, limit: int) -> bool:
    if operation.verb == "consent":
        granted, source = operation.value
        _say(document.consents.setdefault(operation.field, []), Consent(granted, time_us, source), late=late)
        return True
    stamp = f"{operation.area}/{operation.field}"
    absolute, touched = document.stamps.get(stamp, (0, 0))
    replaces = operation.verb in _REPLACING
    if late and time_us < (touched if replaces else absolute):
        return True
    fields: dict[str, Json] = getattr(document, operation.area)
    before = fields.get(operation.field, _MISSING)
    if _is_moot(operation, before, (absolute, touched)):
        return True
    if not _perform(fields, operation):
        return False
    if operation.verb not in _REMOVING and document.size() > limit:
        _restore(fields, operation.field, before)
        return False
    latest = max(time_us, touched) if late else time_us
    document.stamps[stamp] = (time_us if replaces else absolute, latest)
    if operation.verb in _REMOVING:
        _forget_oldest_removal(document)
    return True


def _is_moot(operation: Operation, before: Json, stamp: tuple[int, int]) -> bool:
    """Tell whether a field is there that was to be filled, or was changed since it was."""
    if operation.verb == "fill":
        return before is not _MISSING
    return operation.verb == "withdraw" and stamp != (operation.value, operation.value)


def _say(said: list[Consent], consent: Consent, *, late: bool) -> None:
    """Put an answer in its place among those about one purpose: the last of them holds."""
    place = len(said)
    while late and place and said[place - 1].time_us > consent.time_us:
        place -= 1
    said.insert(place, consent)
    if len(said) > CONSENTS_KEPT:
        del said[0]


def _forget_oldest_removal(document: ProfileDocument) -> None:
    """Keep the stamps of removed fields from growing without end."""
    removed = []
    for stamp in document.stamps:
        area, _, field = stamp.partition("/")
        if field not in getattr(document, area):
            removed.append(stamp)
    if len(removed) > REMOVALS_KEPT:
        del document.stamps[min(removed, key=lambda stamp: document.stamps[stamp])]


class _Missing:
    """Stands for a field that is not there."""


_MISSING = _Missing()


def _restore(fields: dict[str, Json], field: str, before: Json | _Missing) -> None:
    if before is _MISSING:
        del fields[field]
    else:
        fields[field] = before


def _perform(fields: dict[str, Json], operation: Operation) -> bool:
    """Change one field; False when its present value does not allow it. Lists are replaced, never altered."""
    field, value = operation.field, operation.value
    match operation.verb:
        case "set" | "fill":
            fields[field] = value
        case "remove" | "withdraw":
            fields.pop(field, None)
        case "increment":
            total = incremented(fields.get(field, 0), value)
            if total is None:
                return False
            fields[field] = total
        case "append" | "discard":
            present = fields.get(field, [])
            if not isinstance(present, list):
                return False
            fields[field] = changed_list(present, operation)
    return True


def incremented(present: Json, step: int | float) -> int | float | None:
    """Add a step to a number; None when the field holds no number or the sum leaves 64 bits."""
    if type(present) not in (int, float):
        return None
    total: int | float = present + step
    usable = abs(total) <= LARGEST_INTEGER if isinstance(total, int) else math.isfinite(total)
    return total if usable else None


def changed_list(present: list[Json], operation: Operation) -> list[Json]:
    """Give the list after an append (keeping the last `limit` items) or a discard of every equal item."""
    if operation.verb == "discard":
        return [item for item in present if not same_json(item, operation.value)]
    longer = [*present, operation.value]
    return longer if operation.limit is None else longer[-operation.limit :]


def same_json(one: Json, other: Json) -> bool:
    """Compare as JSON does: True is not 1, and 1 is not 1.0."""
    return encode_json(one) == encode_json(other)
