"""A profile as the app sees it: a mapping whose every change becomes one field operation."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware.draft import Draft
from alias_middleware.errors import ProfileError, ProfileTooLarge, ProfileValueError, StorageCorrupt
from alias_middleware.fields import Profile
from alias_middleware.history import Knowledge
from alias_middleware.interests import Population
from alias_middleware.profile import (
    PROFILE_LIMIT,
    Consent,
    Operation,
    ProfileChange,
    ProfileDocument,
    StoredProfile,
    apply_change,
    decode_json,
    encode_json,
)

STORED = {"font": "large", "seen": [1, 2], "deep": {"a": {"b": []}}, "n": 3}


KEY = "314522927347"
STRANGER = StoredProfile()


class Shelf:
    """Where a draft reads: one profile, counted each time, and the problems it is told of."""

    def __init__(
        self,
        stored: StoredProfile = STRANGER,
        problems: list[Exception] | None = None,
        knowledge: bytes = b"[]",
    ) -> None:
        self.stored = stored
        self.problems = problems
        self.knowledge = knowledge
        self.reads: list[str] = []

    def load(self, key: str) -> StoredProfile:
        self.reads.append("profile")
        return self.stored

    def know(self, key: str) -> bytes:
        self.reads.append("knowledge")
        return self.knowledge

    def now(self) -> int:
        return 0

    def population(self, *, wait: bool) -> Population:
        return Population()

    def problem(self, error: Exception) -> None:
        if self.problems is None:
            raise error
        self.problems.append(error)


def opened(preferences: Any = STORED, *, consents: Any = None, **more: Any) -> tuple[Draft, Profile]:
    stored = StoredProfile(encode_json(preferences), consents=encode_json(consents or {}), **more)
    draft = Draft(Shelf(stored), KEY)
    return draft, Profile(draft)


def taken(draft: Draft) -> list[Operation]:
    operations = draft.has_operations()
    taken = draft.take()
    assert operations is bool(taken)
    return taken


def test_it_is_a_mapping() -> None:
    """Reading behaves as a dict's does."""
    _, profile = opened()
    assert (profile["font"], profile.get("none"), profile.get("none", 7)) == ("large", None, 7)
    assert list(profile) == ["font", "seen", "deep", "n"]
    assert len(profile) == 4
    assert "font" in profile
    assert "none" not in profile
    assert dict(profile) == STORED
    assert profile == STORED
    with pytest.raises(KeyError):
        profile["none"]
    with pytest.raises(KeyError):
        del profile["none"]


def test_nothing_is_read_before_it_is_needed() -> None:
    """One read at the first look at each, none without; all at once where it is asked for."""
    shelf = Shelf()
    draft = Draft(shelf, KEY)
    profile = Profile(draft)
    assert shelf.reads == []
    assert len(profile) + len(profile.personal) == 0
    assert shelf.reads == ["profile"]
    draft.load()
    assert profile.visits + profile.page_views == 0
    assert shelf.reads == ["profile", "knowledge"]
    draft.reread()
    assert profile.get("x") is None
    assert shelf.reads == ["profile", "knowledge", "profile"]


@pytest.mark.parametrize(
    ("use", "operations"),
    [
        pytest.param(lambda p: p.__setitem__("font", "small"), [("set", "font", "small")], id="set"),
        pytest.param(lambda p: p.__delitem__("font"), [("remove", "font", None)], id="delete"),
        pytest.param(lambda p: p.pop("font"), [("remove", "font", None)], id="pop"),
        pytest.param(lambda p: p.pop("none", None), [], id="pop what is not there"),
        pytest.param(lambda p: p.setdefault("font", "x"), [], id="setdefault of what is there"),
        pytest.param(lambda p: p.setdefault("x", 1), [("set", "x", 1)], id="setdefault"),
        pytest.param(lambda p: p.update(x=1, y=2), [("set", "x", 1), ("set", "y", 2)], id="update"),
        pytest.param(lambda p: p.increment("n"), [("increment", "n", 1)], id="increment"),
        pytest.param(lambda p: p.increment("x", 2.5), [("increment", "x", 2.5)], id="increment what is not there"),
        pytest.param(lambda p: p.append("seen", 3), [("append", "seen", 3)], id="append"),
        pytest.param(lambda p: p.remove("seen", 1), [("discard", "seen", 1)], id="remove"),
        pytest.param(lambda p: p.remove("none", 1), [], id="remove from what is not there"),
        pytest.param(lambda p: p["seen"].append(3), [("set", "seen", [1, 2, 3])], id="a nested list"),
        pytest.param(lambda p: p["deep"]["a"]["b"].append(1), [("set", "deep", {"a": {"b": [1]}})], id="deeper"),
        pytest.param(lambda p: list(p.values())[1].append(3), [("set", "seen", [1, 2, 3])], id="by values"),
        pytest.param(lambda p: p["seen"].reverse() or p["seen"].reverse(), [], id="changed and changed back"),
        pytest.param(dict, [], id="only read"),
    ],
)  # fmt: skip
def test_what_becomes_an_operation(
    use: Callable[[Profile], object], operations: list[tuple[str, str, Any]]
) -> None:
    """Each change is noted as itself; what did not change is not written."""
    draft, profile = opened()
    use(profile)
    assert [(each.verb, each.field, each.value) for each in taken(draft)] == operations
    assert taken(draft) == []


def test_clear_and_popitem() -> None:
    """Fields go one by one."""
    draft, profile = opened()
    profile.popitem()
    profile.clear()
    assert len(profile) == 0
    assert {each.verb for each in taken(draft)} == {"remove"}


def test_a_nested_change_before_an_append_is_not_lost() -> None:
    """The operation builds on what the app sees: the change inside comes first."""
    draft, profile = opened()
    profile["seen"].append(3)
    profile.append("seen", 4)
    assert profile["seen"] == [1, 2, 3, 4]
    assert [(each.verb, each.value) for each in taken(draft)] == [("set", [1, 2, 3]), ("append", 4)]


def test_a_noted_value_is_kept_as_it_was() -> None:
    """The app's own object may change afterwards; that is a change of its own."""
    draft, profile = opened({})
    mine = [1]
    profile["f"] = mine
    mine.append(2)
    assert [each.value for each in taken(draft)] == [[1], [1, 2]]


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda p: p.__setitem__("font", {1}), id="set"),
        pytest.param(lambda p: p.__setitem__(5, 1), id="a number as name"),
        pytest.param(lambda p: p.__setitem__("", 1), id="no name"),
        pytest.param(lambda p: p.__setitem__("\ud800", 1), id="a name that is no UTF-8"),
        pytest.param(lambda p: p.append("seen", b""), id="append bytes"),
        pytest.param(lambda p: p.append("font", 1), id="append to a text"),
        pytest.param(lambda p: p.remove("font", 1), id="remove from a text"),
        pytest.param(lambda p: p.remove("seen", ()), id="remove a tuple"),
        pytest.param(lambda p: p.increment("font"), id="increment a text"),
        pytest.param(lambda p: p.increment("n", "1"), id="increment by a text"),
        pytest.param(lambda p: p.increment("n", True), id="increment by truth"),
        pytest.param(lambda p: p.increment("n", 10**400), id="increment past 64 bits"),
        pytest.param(lambda p: p.increment("n", float("nan")), id="increment by no number"),
    ],
)
def test_a_wrong_type_is_refused_at_once(use: Callable[[Profile], object]) -> None:
    """A TypeError where the mistake is, and nothing changed."""
    draft, profile = opened()
    with pytest.raises(TypeError):
        use(profile)
    assert (dict(profile), taken(draft)) == (STORED, [])


def test_a_limit_keeps_the_last_items() -> None:
    """At least one."""
    draft, profile = opened()
    profile.append("seen", 3, limit=2)
    assert profile["seen"] == [2, 3]
    assert taken(draft)[0].limit == 2
    with pytest.raises(ValueError, match="1 or more"):
        profile.append("seen", 3, limit=0)


@pytest.mark.parametrize("area", ["preferences", "personal"])
def test_too_large_changes_nothing(area: str) -> None:
    """The error tells the size and the limit; both areas count together."""
    draft, profile = opened({"f": "x" * 60_000})
    fields = profile if area == "preferences" else profile.personal
    with pytest.raises(ProfileTooLarge) as raised:
        fields["g"] = "x" * 6_000
    assert raised.value.size > raised.value.limit == PROFILE_LIMIT
    assert (len(profile), len(profile.personal), taken(draft)) == (1, 0, [])
    fields["g"] = "x" * 5_000
    assert len(taken(draft)) == 1


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        pytest.param(lambda seen: seen.append({1}), ProfileValueError, id="no JSON"),
        pytest.param(lambda seen: seen.append("x" * 66_000), ProfileTooLarge, id="too large alone"),
        pytest.param(lambda seen: seen.append("x" * 6_000), ProfileTooLarge, id="too large with the rest"),
    ],
)
def test_a_spoilt_nested_value_is_put_back(
    spoil: Callable[[list[Any]], None], problem: type[ProfileError]
) -> None:
    """What cannot be kept is reported, and the rest of the changes are kept."""
    draft, profile = opened({"seen": [1], "other": [1], "big": "x" * 60_000})
    spoil(profile["seen"])
    profile["other"].append(2)
    with pytest.raises(problem):
        draft.has_operations()
    assert profile["seen"] == [1]
    assert [(each.field, each.value) for each in draft.take()] == [("other", [1, 2])]


def test_a_spoilt_nested_value_stops_an_append() -> None:
    """An operation cannot build on what cannot be kept."""
    draft, profile = opened()
    profile["seen"].append({1})
    with pytest.raises(ProfileValueError):
        profile.append("seen", 3)
    assert (profile["seen"], taken(draft)) == ([1, 2], [])


def test_a_visitor_who_is_nobody() -> None:
    """The mapping lives for the request and keeps nothing."""
    draft = Draft(Shelf(), None)
    profile = Profile(draft)
    profile["f"] = 1
    profile.increment("n")
    assert dict(profile) == {"f": 1, "n": 1}
    assert draft.take() == []


def test_every_operation_is_told_at_once() -> None:
    """Visitors that commit at once are called after each."""
    calls: list[int] = []
    draft = Draft(Shelf(), KEY, lambda: calls.append(len(draft.edits.operations) if draft.edits else 0))
    profile = Profile(draft)
    profile["f"] = 1
    profile.personal["g"] = 2
    assert calls == [1, 2]


def test_who_refuses_to_be_personalised() -> None:
    """He sees an empty mapping, and nothing of it is written; a consent is."""
    draft, profile = opened(consents={"personalise": [Consent(False, 1, None)]})
    assert len(profile) == 0
    profile["f"] = 1
    assert profile["f"] == 1
    assert taken(draft) == []
    draft.consent("personalise", Consent(True, 2, "page"))
    assert dict(profile) == STORED
    assert [(each.verb, each.value) for each in taken(draft)] == [("consent", [True, "page"])]


def test_defaults_of_consents() -> None:
    """Measuring and personalising are allowed until refused, contact only when granted."""
    draft, _ = opened()
    assert [draft.allows(each) for each in ("measure", "personalise", "contact")] == [True, True, False]
    draft.consent("contact", Consent(True, 1, None))
    assert draft.allows("contact")
    assert draft.consents == {"contact": Consent(True, 1, None)}


def test_knowledge_is_read_only() -> None:
    """Times are aware, money exact."""
    knowledge = Knowledge(0, 1_500_000, visits=2, page_views=3, orders=1, revenue={"EUR": 2_500_000})
    profile = Profile(Draft(Shelf(knowledge=encode_json(knowledge)), KEY))
    assert profile.first_seen == datetime(1970, 1, 1, tzinfo=UTC)
    assert profile.last_seen == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    assert (profile.visits, profile.page_views, profile.orders) == (2, 3, 1)
    assert profile.revenue == {"EUR": Decimal("2.50")}
    with pytest.raises(AttributeError):
        profile.visits = 3  # type: ignore[misc]
    nobody = Profile(Draft(Shelf(), None))
    assert (nobody.first_seen, nobody.last_seen) == (None, None)


def test_no_value_in_its_repr() -> None:
    """Logs may hold it."""
    _, profile = opened()
    assert repr(profile) == "<Profile of 4 fields>"
    assert repr(profile.personal) == "<Personal of 0 fields>"


names = st.sampled_from(["a", "b", "c"])
scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, -1.0]) | st.text(max_size=2)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=2), max_leaves=4
)
steps = st.one_of(
    st.tuples(st.just("set"), names, json_values),
    st.tuples(st.just("delete"), names, st.none()),
    st.tuples(st.just("increment"), names, st.integers(-3, 3) | st.just(0.5)),
    st.tuples(st.just("append"), names, json_values),
    st.tuples(st.just("append two"), names, json_values),
    st.tuples(st.just("remove"), names, json_values),
    st.tuples(st.just("nested"), names, json_values),
    st.tuples(st.just("commit"), names, st.none()),
    st.tuples(st.just("large"), names, st.none()),
)


def perform(fields: Any, verb: str, name: str, value: Any) -> None:
    match verb:
        case "set":
            fields[name] = value
        case "delete":
            del fields[name]
        case "increment":
            fields.increment(name, value)
        case "append":
            fields.append(name, value)
        case "append two":
            fields.append(name, value, limit=2)
        case "remove":
            fields.remove(name, value)
        case "large":
            fields[name] = "x" * PROFILE_LIMIT
        case "nested":
            inner = fields[name]
            if isinstance(inner, list):
                inner.append(value)
            elif isinstance(inner, dict):
                inner["new"] = value


@given(st.lists(st.tuples(st.booleans(), steps), max_size=12), st.booleans())
def test_what_is_stored_is_what_was_seen(told: list[tuple[bool, tuple[str, str, Any]]], late: bool) -> None:
    """Any use of the mappings, then its operations on the stored document, gives what the draft shows."""
    document = ProfileDocument(preferences={"a": [1]}, personal={"b": {"x": 1}})
    stored = StoredProfile(encode_json(document.preferences), encode_json(document.personal))
    draft = Draft(Shelf(stored), KEY)
    profile = Profile(draft)

    def commit(time_us: int) -> None:
        change = ProfileChange("k", time_us, time_us, tuple(taken(draft)))
        assert apply_change(document, change, late=late) == 0

    for number, (personal, (verb, name, value)) in enumerate(told):
        if verb == "commit":
            commit(number)
            continue
        try:
            perform(profile.personal if personal else profile, verb, name, decode_json(encode_json(value)))
        except (KeyError, TypeError, ProfileTooLarge):
            continue
    commit(len(told))
    seen = json.dumps([dict(profile), dict(profile.personal)])
    assert json.dumps([document.preferences, document.personal]) == seen


def test_a_nested_value_gone_bad_does_not_stop_another_field() -> None:
    """It is put back and reported; what is assigned afterwards is kept."""
    problems: list[Exception] = []
    draft = Draft(Shelf(StoredProfile(b'{"l":[1]}'), problems), KEY)
    profile = Profile(draft)
    profile["l"].append(object())
    profile["font"] = "large"
    assert [type(problem) for problem in problems] == [ProfileValueError]
    assert dict(profile) == {"l": [1], "font": "large"}
    assert [operation.field for operation in draft.take()] == ["font"]


@pytest.mark.parametrize(
    ("damaged", "look"),
    [
        pytest.param({"preferences": b"{"}, lambda profile: dict(profile) == {}, id="preferences"),
        pytest.param({"preferences": b'{"a":"\xff"}'}, lambda profile: dict(profile) == {}, id="no UTF-8"),
        pytest.param(
            {"preferences": b'{"a":1}', "consents": b"["}, lambda profile: dict(profile) == {"a": 1}, id="consents"
        ),
        pytest.param(
            {"preferences": b'{"a":1}', "consents": b'{"\xff":[]}'},
            lambda profile: dict(profile) == {"a": 1},
            id="consents of no UTF-8",
        ),
    ],
)
def test_a_profile_that_does_not_decode_is_reported_and_empty(damaged: Any, look: Any) -> None:
    """A damaged row is told; the app sees an empty profile."""
    problems: list[Exception] = []
    assert look(Profile(Draft(Shelf(StoredProfile(**damaged), problems), KEY)))
    assert StorageCorrupt in {type(problem) for problem in problems}


def test_knowledge_that_does_not_decode_is_reported_and_nothing() -> None:
    """A damaged row is told; the app sees a visitor of whom nothing is known."""
    problems: list[Exception] = []
    assert Profile(Draft(Shelf(problems=problems, knowledge=b"7"), KEY)).visits == 0
    assert [type(problem) for problem in problems] == [StorageCorrupt]
