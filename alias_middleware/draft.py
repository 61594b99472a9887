"""What a request sees of a profile: mappings that note every change as a field operation.

Nothing is read before it is needed; nothing is written here. `visitor` hands the noted operations to the
tracker when they are due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from datetime import datetime
from decimal import Decimal

from alias_middleware.errors import ProfileError, ProfileTooLarge, ProfileValueError
from alias_middleware.history import Knowledge, revenue_of
from alias_middleware.local_time import from_micros
from alias_middleware.profile import (
    PROFILE_LIMIT,
    PURPOSES,
    Area,
    Consent,
    Json,
    Operation,
    StoredProfile,
    changed_list,
    check_value,
    decode_consents,
    decode_json,
    encode_json,
    incremented,
    latest_consents,
)

Load = Callable[[], StoredProfile]

_LIMITED: tuple[Area, ...] = ("preferences", "personal")
_NESTED = (list, dict)  # made once: `list | dict` is made anew each time it is reached


class Draft:
    """One request's working copy of a profile: loaded at first use, with the operations noted so far."""

    __slots__ = ("_changed", "_consents", "_documents", "_load", "_stored", "_watched", "keeps", "operations")

    def __init__(self, load: Load, *, keeps: bool, changed: Callable[[], None] | None = None) -> None:
        """Work on what `load` reads. Where it `keeps` nothing, changes live as long as the draft.

        `changed` is called after every operation, for visitors that commit at once.
        """
        self._load = load
        self._changed = changed
        self._stored: StoredProfile | None = None
        self._documents: dict[Area, dict[str, Json]] = {}
        self._watched: dict[tuple[Area, str], bytes] = {}
        self._consents: dict[str, Consent] | None = None
        self.keeps = keeps
        self.operations: list[Operation] = []

    @property
    def stored(self) -> StoredProfile:
        """What the storage had when it was first asked."""
        if self._stored is None:
            self._stored = self._load()
        return self._stored

    def load(self) -> None:
        """Read now what would be read at first use."""
        _ = self.stored

    @property
    def consents(self) -> dict[str, Consent]:
        """The visitor's last word on each purpose he spoke of."""
        if self._consents is None:
            raw = self.stored.consents
            self._consents = latest_consents(decode_consents(raw)) if raw != b"{}" else {}
        return self._consents

    def allows(self, purpose: str) -> bool:
        """Tell whether the visitor consents to a purpose."""
        said = self.consents.get(purpose)
        return PURPOSES[purpose] if said is None else said.granted

    def document(self, area: Area) -> dict[str, Json]:
        """Give the working copy of one area; empty for a visitor who refuses to be personalised."""
        document = self._documents.get(area)
        if document is None:
            raw: bytes = getattr(self.stored, area)
            document = decode_json(raw) if raw != b"{}" and self.allows("personalise") else {}
            self._documents[area] = document
        return document

    def watch(self, area: Area, field: str, value: Json) -> None:
        """Remember a nested value as it is now, so that a change inside it is noticed."""
        if isinstance(value, _NESTED):
            self._watched.setdefault((area, field), encode_json(value))

    def replace(self, operation: Operation, value: Json) -> None:
        """Give a field a new value, checked, and note the operation that does it.

        Raises:
            ProfileValueError: the value is not JSON.
            ProfileTooLarge: the profile would not fit; nothing changed.
        """
        area, field = operation.area, operation.field
        check_value(field, operation.value)
        self._check_size(area, field, value)
        self.document(area)[field] = value
        self._watched.pop((area, field), None)
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
        if (area, field) in self._watched and (problem := self._check_nested((area, field))):
            raise problem

    def forget(self, area: Area, field: str) -> None:
        """Remove a field that is there."""
        del self.document(area)[field]
        self._watched.pop((area, field), None)
        self.note(Operation("remove", area, field))

    def note(self, operation: Operation) -> None:
        """Keep an operation for the next commit; a nested value is kept as it is now."""
        if operation.verb != "consent" and not self.allows("personalise"):
            return
        if isinstance(operation.value, list | dict):
            copy = decode_json(encode_json(operation.value))
            operation = Operation(operation.verb, operation.area, operation.field, copy, operation.limit)
        self.operations.append(operation)
        if self._changed is not None:
            self._changed()

    def consent(self, purpose: str, consent: Consent) -> None:
        """Take note of the visitor's word on a purpose."""
        self.consents[purpose] = consent
        if purpose == "personalise":
            self._documents.clear()
            self._watched.clear()
        self.note(Operation("consent", "consents", purpose, [consent.granted, consent.source]))

    def collect(self) -> list[ProfileError]:
        """Note what changed inside nested values, and give what was wrong with it.

        A nested value that is no JSON any more, or too large, is put back as it was; the rest is noted.
        """
        if not self._watched:
            return []
        return [problem for problem in map(self._check_nested, list(self._watched)) if problem]

    def take(self) -> list[Operation]:
        """Give the operations noted since the last call."""
        taken, self.operations = self.operations, []
        return taken if self.keeps else []

    def reread(self) -> None:
        """Forget what was read, so that the next look sees what others wrote."""
        self._stored = self._consents = None
        self._documents.clear()
        self._watched.clear()

    def _check_nested(self, place: tuple[Area, str]) -> ProfileError | None:
        area, field = place
        document = self.document(area)
        value, before = document[field], self._watched[place]
        try:
            check_value(field, value)
            now = encode_json(value)
            if now != before:
                self._check_size(area, field, value)
        except (ProfileValueError, ProfileTooLarge) as problem:
            document[field] = decode_json(before)
            return problem
        if now != before:
            self._watched[place] = now
            self.operations.append(Operation("set", area, field, decode_json(now)))
        return None


class Fields(MutableMapping[str, Json]):
    """A mapping of JSON values by name, whose every change is one field operation.

    Reading gives the values themselves: a change inside a list or dict is noticed when the response starts.
    """

    __slots__ = ("_area", "_draft")

    def __init__(self, draft: Draft, area: Area) -> None:
        """Show one area of a draft."""
        self._draft = draft
        self._area = area

    def __getitem__(self, field: str) -> Json:
        value = self._draft.document(self._area)[field]
        self._draft.watch(self._area, field, value)
        return value

    def __setitem__(self, field: str, value: Json) -> None:
        _check_name(field)
        self._draft.replace(Operation("set", self._area, field, value), value)

    def get(self, field: str, default: Json = None) -> Json:
        """Give a field's value, `default` when it is missing. The mapping's own way there is by an exception."""
        return self[field] if field in self._draft.document(self._area) else default

    def __delitem__(self, field: str) -> None:
        self._draft.forget(self._area, field)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._draft.document(self._area)))

    def __len__(self) -> int:
        return len(self._draft.document(self._area))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} fields>"

    def increment(self, field: str, n: int | float = 1) -> int | float:
        """Add `n` to a number (0 when the field is missing) and give the sum as this request sees it.

        Concurrent increments all count.

        Raises:
            ProfileValueError: `n` or the field's value is no number, or the sum leaves 64 bits.
        """
        _check_name(field)
        check_value(field, n)
        if type(n) not in (int, float):
            raise ProfileValueError(field=field, found=type(n), why="a number is needed")
        present = self._draft.document(self._area).get(field, 0)
        total = incremented(present, n)
        if total is None:
            raise ProfileValueError(field=field, found=type(present), why="the sum is no number of 64 bits")
        self._draft.replace(Operation("increment", self._area, field, n), total)
        return total

    def append(self, field: str, value: Json, *, limit: int | None = None) -> None:
        """Add a value at the end of a list (a new one when missing), keeping its last `limit` items.

        Raises:
            ProfileValueError: the value is not JSON, or the field holds no list.
            ValueError: the limit is below 1.
        """
        if limit is not None and limit < 1:
            raise ValueError("limit is the number of items kept: 1 or more")
        self._edit_list(Operation("append", self._area, field, value, limit))

    def remove(self, field: str, value: Json) -> None:
        """Take every item equal to `value` out of a list; nothing happens when there is none.

        Raises:
            ProfileValueError: the value is not JSON, or the field holds no list.
        """
        if field in self._draft.document(self._area):
            self._edit_list(Operation("discard", self._area, field, value))

    def _edit_list(self, operation: Operation) -> None:
        field = operation.field
        _check_name(field)
        check_value(field, operation.value)
        self._draft.settle(self._area, field)
        present = self._draft.document(self._area).get(field, [])
        if not isinstance(present, list):
            raise ProfileValueError(field=field, found=type(present), why="a list is needed")
        self._draft.replace(operation, changed_list(present, operation))


class Profile(Fields):
    """What is known of a visitor: his preferences as a mapping, `personal` data apart, and knowledge.

    Knowledge is derived from the recorded history; it follows within about a second.
    """

    __slots__ = ()

    def __init__(self, draft: Draft) -> None:
        """Show a draft."""
        super().__init__(draft, "preferences")

    @property
    def personal(self) -> Fields:
        """What the visitor typed about himself; never in logs or tables of figures."""
        return Fields(self._draft, "personal")

    @property
    def _knowledge(self) -> Knowledge:
        return self._draft.stored.knowledge

    @property
    def first_seen(self) -> datetime | None:
        """The moment of the visitor's first recorded event (aware, UTC)."""
        moment = self._knowledge.first_seen
        return None if moment is None else from_micros(moment)

    @property
    def last_seen(self) -> datetime | None:
        """The moment of the visitor's latest recorded event (aware, UTC)."""
        moment = self._knowledge.last_seen
        return None if moment is None else from_micros(moment)

    @property
    def visits(self) -> int:
        """The number of visits, over all services of the namespace."""
        return self._knowledge.visits

    @property
    def page_views(self) -> int:
        """The number of pages shown."""
        return self._knowledge.page_views

    @property
    def orders(self) -> int:
        """The number of orders that were not cancelled."""
        return self._knowledge.orders

    @property
    def revenue(self) -> dict[str, Decimal]:
        """The orders' value less refunds, by currency."""
        return revenue_of(self._knowledge)


def _check_name(field: str) -> None:
    if type(field) is not str or not field:
        raise ProfileValueError(field=str(field)[:64], found=type(field), why="a name is a non-empty str")
    check_value(field, field)
