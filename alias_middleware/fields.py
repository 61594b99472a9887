"""What the app holds of a profile: mappings whose every change is a field operation, and read-only knowledge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from alias_middleware.draft import NESTED, Draft
from alias_middleware.errors import ProfileValueError
from alias_middleware.history import Knowledge, revenue_of
from alias_middleware.interests import Horizon, Interest, Shortcut, Taste, shortcuts_of
from alias_middleware.local_time import from_micros
from alias_middleware.profile import Area, Json, Operation, changed_list, check_value, incremented


class Fields(MutableMapping[str, Json]):
    """A mapping of JSON values by name, whose every change is one field operation.

    Reading gives the values themselves: a change inside a list or dict is noticed when the response starts.
    """

    __slots__ = ("_draft",)
    _area: ClassVar[Area]

    def __init__(self, draft: Draft) -> None:
        """Show one area of a draft."""
        self._draft = draft

    def __getitem__(self, field: str) -> Json:
        value = self._draft.document(self._area)[field]
        self._draft.watch(self._area, field, value)
        return value

    def __setitem__(self, field: str, value: Json) -> None:
        _check_name(field)
        self._draft.replace(Operation("set", self._area, field, value), value)

    def get(self, field: str, default: Json = None) -> Json:
        """Give a field's value, `default` when it is missing. The mapping's own way there is by an exception."""
        value = self._draft.document(self._area).get(field, default)
        return self[field] if type(value) in NESTED and value is not default else value

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


class Personal(Fields):
    """What the visitor typed about himself."""

    __slots__ = ()
    _area = "personal"


class Profile(Fields):
    """What is known of a visitor: his preferences as a mapping, `personal` data apart, and knowledge.

    Knowledge is derived from the recorded history; it follows within about a second.
    """

    __slots__ = ()
    _area = "preferences"

    @property
    def personal(self) -> Fields:
        """What the visitor typed about himself; never in logs or tables of figures."""
        return Personal(self._draft)

    @property
    def _knowledge(self) -> Knowledge:
        return self._draft.knowledge

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

    def interests(self, top: int = 5, *, horizon: Horizon = "recent") -> list[Interest]:
        """Give the categories the visitor favours, each with its evidence, the strongest first.

        `horizon`: "recent" (half-life of 30 days) or "whole" (his whole history). Where his own habits say
        nothing, or he refuses to be personalised, everybody's favourites stand in; their evidence says so.
        """
        return self._taste(horizon).interests(top)

    def rank(self, candidates: Iterable[str]) -> list[str]:
        """Put the categories he goes to first; all others, and all of a stranger's, keep their order."""
        return self._taste("recent").rank(candidates)

    def shortcuts(self, n: int = 5) -> list[Shortcut]:
        """Give the pages he goes to most and most recently: his own way in."""
        return shortcuts_of(self._draft.habits, self._draft.now(), n)

    def _taste(self, horizon: Horizon) -> Taste:
        draft = self._draft
        return Taste(draft.habits, draft.population, draft.now(), horizon)


def _check_name(field: str) -> None:
    if type(field) is not str or not field:
        raise ProfileValueError(field=str(field)[:64], found=type(field), why="a name is a non-empty str")
    check_value(field, field)
