"""What a profile keeps: JSON values, field operations with their times, consents."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware.errors import ProfileValueError
from alias_middleware.profile import (
    CONSENTS_KEPT,
    LARGEST_INTEGER,
    PROFILE_LIMIT,
    REMOVALS_KEPT,
    Consent,
    Operation,
    ProfileChange,
    ProfileDocument,
    StoredProfile,
    apply_change,
    check_value,
    decode_json,
    encode_json,
    incremented,
    latest_consents,
    same_json,
)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


class Text(str):
    """A str that is more than a str."""

    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="None"),
        pytest.param([True, False], id="truth"),
        pytest.param([LARGEST_INTEGER, -LARGEST_INTEGER], id="the largest integers"),
        pytest.param(1.5e300, id="a float"),
        pytest.param("é☃😀\x00", id="any text"),
        pytest.param({"": {"a": []}}, id="an empty name inside"),
        pytest.param(nested(32), id="32 levels"),
    ],
)
def test_json_is_kept(value: Any) -> None:
    """What passes comes back equal from its coding."""
    check_value("f", value)
    assert decode_json(encode_json(value)) == value
    assert json.loads(encode_json(value)) == value


@pytest.mark.parametrize(
    ("value", "found"),
    [
        pytest.param({1, 2}, set, id="set"),
        pytest.param((1,), tuple, id="tuple"),
        pytest.param(b"x", bytes, id="bytes"),
        pytest.param([object()], object, id="an object in a list"),
        pytest.param({1: "a"}, int, id="a number as name"),
        pytest.param({"a": {None: 1}}, type(None), id="None as name"),
        pytest.param(Text("a"), Text, id="a subclass of str"),
        pytest.param(LARGEST_INTEGER + 1, int, id="past 64 bits"),
        pytest.param(float("inf"), float, id="infinity"),
        pytest.param([float("nan")], float, id="not a number"),
        pytest.param("\ud800", str, id="no UTF-8"),
        pytest.param({"\udfff": 1}, str, id="a name that is no UTF-8"),
        pytest.param(nested(33), list, id="33 levels"),
    ],
)
def test_what_is_not_json(value: Any, found: type) -> None:
    """A TypeError with the field and the type, and never the value."""
    with pytest.raises(ProfileValueError) as raised:
        check_value("font", value)
    assert (raised.value.field, raised.value.found) == ("font", found)
    assert isinstance(raised.value, TypeError)
    assert "font" in str(raised.value)


def test_a_value_inside_itself() -> None:
    """A circle is too deep, not endless."""
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ProfileValueError):
        check_value("f", circle)


@pytest.mark.parametrize(
    ("present", "step", "total"),
    [
        pytest.param(1, 2, 3, id="integers"),
        pytest.param(1, 0.5, 1.5, id="a float makes a float"),
        pytest.param(LARGEST_INTEGER, 1, None, id="past 64 bits"),
        pytest.param(1e308, 1e308, None, id="past the largest float"),
        pytest.param("1", 1, None, id="a text"),
        pytest.param(True, 1, None, id="truth is no number"),
        pytest.param(None, 1, None, id="None"),
    ],
)
def test_increments(present: Any, step: float, total: float | None) -> None:
    """A number stays a number that can be kept."""
    assert incremented(present, step) == total


def test_equality_is_that_of_json() -> None:
    """Python's equalities between types do not count."""
    assert not same_json(1, True)
    assert not same_json(1, 1.0)
    assert not same_json([0], [False])
    assert same_json({"a": [1]}, {"a": [1]})


def op(verb: Any, value: Any = None, *, limit: int | None = None) -> Operation:
    return Operation(verb, "preferences", "f", value, limit)


def apply(document: ProfileDocument, operation: Operation, time_us: int, *, late: bool = False) -> int:
    return apply_change(document, ProfileChange("k", time_us, time_us, (operation,)), late=late)


@pytest.mark.parametrize(
    ("made", "late", "result"),
    [
        pytest.param([(op("set", 1), 10)], (op("set", 2), 9), 1, id="an older set"),
        pytest.param([(op("set", 1), 10)], (op("set", 2), 11), 2, id="a newer set"),
        pytest.param([(op("set", 1), 10)], (op("set", 2), 10), 2, id="of one moment, the later to arrive"),
        pytest.param([(op("set", 1), 10)], (op("remove"), 9), 1, id="an older removal"),
        pytest.param([(op("remove"), 10)], (op("set", 2), 9), None, id="a set before the removal"),
        pytest.param([(op("increment", 1), 10)], (op("set", 5), 9), 1, id="a set before an increment"),
        pytest.param([(op("increment", 1), 10)], (op("increment", 5), 9), 6, id="increments have no order"),
        pytest.param([(op("set", 1), 10)], (op("increment", 5), 9), 1, id="an increment before the set"),
        pytest.param([(op("set", 1), 10)], (op("increment", 5), 11), 6, id="an increment after the set"),
        pytest.param([(op("set", [1]), 10)], (op("append", 2), 9), [1], id="an append before the set"),
    ],
)
def test_a_late_operation(made: list[tuple[Operation, int]], late: tuple[Operation, int], result: Any) -> None:
    """Out of the spool, a field's times decide; nothing newer is overwritten."""
    document = ProfileDocument()
    for each in made:
        apply(document, *each)
    assert apply(document, *late, late=True) == 0
    assert document.preferences.get("f") == result


def test_a_late_increment_does_not_hide_a_newer_one() -> None:
    """After it, a late set that is older than the newest increment still does not overwrite it."""
    document = ProfileDocument()
    apply(document, op("set", 1), 10)
    apply(document, op("increment", 1), 20)
    apply(document, op("increment", 1), 15, late=True)
    apply(document, op("set", 100), 17, late=True)
    assert document.preferences == {"f": 3}


def test_what_happens_now_happens() -> None:
    """A clock that was stepped back does not undo what a visitor does now."""
    document = ProfileDocument()
    apply(document, op("set", 1), 100)
    apply(document, op("set", 2), 50)
    assert document.preferences == {"f": 2}


def test_each_area_has_its_own_times() -> None:
    """A name in personal data is another field."""
    document = ProfileDocument()
    apply(document, op("set", 1), 100)
    apply(document, Operation("set", "personal", "f", 2), 50, late=True)
    assert (document.preferences, document.personal) == ({"f": 1}, {"f": 2})


def test_the_size_limit_is_exact() -> None:
    """64 KiB of JSON of both areas fit; a byte more is refused and changes nothing."""
    document = ProfileDocument()
    frame = document.size() + len('"f":""')
    assert apply(document, op("set", "x" * (PROFILE_LIMIT - frame)), 1) == 0
    assert document.size() == PROFILE_LIMIT
    before = encode_json(document)
    assert apply(document, op("set", "x" * (PROFILE_LIMIT - frame + 1)), 2) == 1
    assert apply(document, Operation("set", "personal", "g", 1), 2) == 1
    assert encode_json(document) == before
    assert apply(document, op("remove"), 3) == 0


def consent(granted: bool, source: str | None = None) -> Operation:
    return Operation("consent", "consents", "measure", [granted, source])


def test_the_last_word_counts() -> None:
    """By its time; of two at one moment, the later."""
    document = ProfileDocument()
    apply(document, consent(True), 10)
    assert document.refuses("measure") is None
    apply(document, consent(False, "page"), 10)
    assert document.refuses("measure") == Consent(False, 10, "page")
    apply(document, consent(True), 9, late=True)
    assert latest_consents(document.consents) == {"measure": Consent(False, 10, "page")}
    apply(document, consent(True), 11)
    assert document.refuses("measure") is None
    assert document.refuses("contact") is None


def test_only_the_latest_answers_are_kept() -> None:
    """Whoever answers again and again does not fill the file; what goes is the oldest by time."""
    document = ProfileDocument()
    for time_us in reversed(range(CONSENTS_KEPT + 9)):
        apply(document, consent(True), time_us, late=True)
    kept = sorted(said.time_us for said in document.consents["measure"])
    assert kept == list(range(9, CONSENTS_KEPT + 9))


def test_only_the_latest_removals_are_remembered() -> None:
    """Fields that come and go do not fill the file; those that are there keep their times."""
    document = ProfileDocument()
    apply(document, Operation("set", "personal", "kept", 1), 1)
    for number in range(REMOVALS_KEPT + 9):
        apply(document, Operation("set", "preferences", str(number), 1), number)
        apply(document, Operation("remove", "preferences", str(number)), number)
    assert len(document.stamps) == REMOVALS_KEPT + 1
    assert "personal/kept" in document.stamps
    assert "preferences/8" not in document.stamps
    assert "preferences/9" in document.stamps


fields = st.sampled_from(["a", "b"])
operations = st.one_of(
    st.builds(Operation, st.just("set"), st.just("preferences"), fields, st.integers(-3, 3)),
    st.builds(Operation, st.just("remove"), st.just("preferences"), fields),
)


@given(st.lists(operations, max_size=12), st.randoms(use_true_random=False))
def test_late_sets_and_removals_have_no_order_of_arrival(made: list[Operation], random: Any) -> None:
    """Whatever the order in which spools are read, the newest change of a field stands."""
    changes = [ProfileChange("k", number, number, (each,)) for number, each in enumerate(made)]
    in_order, shuffled = ProfileDocument(), ProfileDocument()
    for each in changes:
        apply_change(in_order, each, late=True)
    for each in random.sample(changes, k=len(changes)):
        apply_change(shuffled, each, late=True)
    assert shuffled.preferences == in_order.preferences


def test_a_stored_profile_leaves_others_their_word_in_a_comparison() -> None:
    """What it does not know may know it: a test's ANY."""
    assert StoredProfile() == ANY
    assert StoredProfile() != (b"{}", b"{}", b"{}")
