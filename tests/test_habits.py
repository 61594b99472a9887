"""The sums of a visitor's habits: order-free, bounded, and kept in bytes that only grow a little."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware.events import PageView, body_of
from alias_middleware.habits import (
    CATEGORIES_KEPT,
    EPOCH_S,
    HALF_LIFE_S,
    PAGES_KEPT,
    Habits,
    Note,
    as_of,
    bounded,
    count,
    decayed,
    decode_habits,
    encode_habits,
    grown,
    habits_of,
    line_of_view,
    lines_of,
    notes_of,
)
from alias_middleware.testing.histories import Teller, instant

NOON = "2026-03-02T12:00"
NOON_S = instant(NOON) // 1_000_000

moments = st.integers(EPOCH_S - 10 * 365 * 86400, EPOCH_S + 10 * 365 * 86400)
notes = st.builds(
    Note,
    moments,
    st.sampled_from([None, "/", "/a", '/"],[', "/line\nbreak", "/é"]),
    st.sampled_from([None, "One", "Two"]),
    st.sampled_from([None, "sport", "music"]),
    st.sampled_from([1, 3, 5]),
)


def same(one: Habits, other: Habits) -> bool:
    """Compare as the storage contract does: counts exactly, sums within 1e-9."""
    return (
        {name: (each.pages, each.carts, each.purchases, each.since_s) for name, each in one.categories.items()}
        == {
            name: (each.pages, each.carts, each.purchases, each.since_s) for name, each in other.categories.items()
        }
        and {path: (each.titled_s, each.title) for path, each in one.pages.items()}
        == {path: (each.titled_s, each.title) for path, each in other.pages.items()}
        and all(
            each.recent == pytest.approx(other.categories[name].recent, rel=1e-9)
            for name, each in one.categories.items()
        )
        and all(
            each.recent == pytest.approx(other.pages[path].recent, rel=1e-9) for path, each in one.pages.items()
        )
    )


@given(st.lists(notes, max_size=60), st.integers(), st.lists(st.integers(0, 60), max_size=8))
def test_the_order_of_arrival_does_not_matter(told: list[Note], seed: int, cuts: list[int]) -> None:
    """In any order and in any pieces, kept bytes say the same as one addition."""
    whole = Habits({}, {})
    count(whole, told)
    arrived = Random(seed).sample(told, k=len(told))
    kept = b""
    for since, until in zip([0, *sorted(cuts)], [*sorted(cuts), len(arrived)], strict=True):
        kept = grown(kept, lines_of(arrived[since:until]))
    assert same(decode_habits(kept), whole)
    assert same(decode_habits(encode_habits(whole)), whole)


@given(st.lists(notes, max_size=20), st.integers(0, 400), st.sampled_from(["sport", "music"]))
def test_what_counts_no_more_is_taken_back(told: list[Note], days: int, category: str) -> None:
    """An order counted and taken back leaves counts as they were, and sums within what scores can show."""
    moment_s = EPOCH_S + days * 86400
    habits, before = Habits({}, {}), Habits({}, {})
    count(before, told)
    order = Note(moment_s, None, None, category, 5)
    count(habits, [*told, order, msgspec.structs.replace(order, weight=-5)])
    assert habits.categories.keys() == before.categories.keys()
    for name, strength in habits.categories.items():
        expected = before.categories[name]
        assert (strength.pages, strength.purchases) == (expected.pages, expected.purchases)
        assert strength.recent == pytest.approx(expected.recent, rel=1e-9, abs=1e-9 * decayed(5, moment_s))


@pytest.mark.parametrize("seed", range(5))
def test_hundreds_of_categories_have_no_order(seed: int) -> None:
    """No site has as many as would be forgotten: what is kept is one addition, whichever came first."""
    random = Random(seed)
    told = [
        Note(NOON_S + random.randrange(365 * 86400), None, None, f"c{random.randrange(400)}", weight)
        for weight in (1, 3, 5) * 600
    ]
    whole, kept = Habits({}, {}), b""
    count(whole, told)
    for note in random.sample(told, k=len(told)):
        kept = grown(kept, lines_of([note]))
    assert len(whole.categories) > 380
    assert same(decode_habits(kept), whole)


def test_a_half_life_is_thirty_days() -> None:
    """A weight is plain at the epoch, twice as much a half-life later; as of a moment it is plain again."""
    assert decayed(3, EPOCH_S) == 3
    assert decayed(3, EPOCH_S + HALF_LIFE_S) == 6
    assert as_of(decayed(3, NOON_S), NOON_S * 1_000_000) == pytest.approx(3)
    assert as_of(decayed(3, NOON_S), (NOON_S + HALF_LIFE_S) * 1_000_000) == pytest.approx(1.5)


@pytest.mark.parametrize("at", [pytest.param(0, id="1970"), pytest.param(253_000_000_000, id="the year 9987")])
def test_far_from_the_epoch_nothing_overflows(at: int) -> None:
    """The sums stay finite, whatever time an app names."""
    assert 0 <= decayed(5, at) < float("inf")
    assert 0 <= as_of(decayed(5, at), at * 1_000_000) < float("inf")


def test_what_events_say_of_habits() -> None:
    """Views, carts with a category, orders once per category; nothing else."""
    tell = Teller()
    told = [
        tell.view(NOON, path="/a", title="A", category="sport"),
        tell.track(NOON, "cart", category="music"),
        tell.track(NOON, "cart"),
        tell.track(NOON, "download", category="music"),
        tell.purchase(NOON, "A", category="music"),
        tell.purchase(NOON, "B", category=None),
        tell.refund(NOON, "A"),
    ]
    assert [notes_of(entry.event) for entry in told] == [
        [Note(NOON_S, "/a", "A", "sport", 1)],
        [Note(NOON_S, None, None, "music", 3)],
        [],
        [],
        [Note(NOON_S, None, None, "music", 5)],
        [],
        [],
    ]
    assert notes_of(told[4].event, -1) == [Note(NOON_S, None, None, "music", -5)]
    assert habits_of(entry.event for entry in told).categories["music"].whole == 8


@pytest.mark.parametrize("title", ["A", ",null]", None])
@pytest.mark.parametrize("category", ["sport", None])
def test_a_view_is_noted_from_its_stored_body(title: str | None, category: str | None) -> None:
    """The short way gives what the long way gives."""
    event = Teller().view(NOON, path='/a"\n,null]', title=title, category=category).event
    assert isinstance(event, PageView)
    quick = decode_habits(grown(b"", line_of_view(event.time_us, body_of(event))))
    assert same(quick, habits_of([event]))


def test_what_is_kept_is_bounded() -> None:
    """A visitor who goes everywhere has no longer a row for it; what he does again and again stays."""
    kept = b""
    for number in range(2000):
        for path in (f"/page-{number}", "/home"):
            note = Note(NOON_S + number, path, "A title of some length", f"category-{number}")
            kept = grown(kept, lines_of([note]))
    habits = decode_habits(kept)
    assert len(habits.pages) <= PAGES_KEPT + 10
    assert len(habits.categories) <= CATEGORIES_KEPT + 10
    assert habits.pages["/home"].recent == pytest.approx(2000 * decayed(1, NOON_S), rel=1e-3)
    assert len(kept) < 70 * CATEGORIES_KEPT


def test_the_least_are_forgotten() -> None:
    """By their sums, and by name among equals."""
    habits = Habits({}, {})
    for number in range(PAGES_KEPT + 2):
        count(habits, [Note(NOON_S, f"/{number:02d}", None, None)] * (1 if number < 3 else 2))
    assert f"/{0:02d}" in bounded(habits).pages
    assert {"/01", "/02"}.isdisjoint(habits.pages)


def test_a_long_path_is_no_habit() -> None:
    """It would fill the row."""
    habits = Habits({}, {})
    count(habits, [Note(NOON_S, "/" + "x" * 128, None, "sport")])
    assert (habits.pages, habits.categories["sport"].pages) == ({}, 1)


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(b"[{broken", id="no JSON"),
        pytest.param(b"\n\n", id="no note"),
        pytest.param(b'[{"\xff":[1.0]}]', id="no UTF-8"),
        pytest.param(b'[{},{}]\n[1,"\xff"]', id="a note that is no UTF-8"),
        pytest.param(b"[{},{}]\n[%b,null]" % (b"9" * 400), id="a moment beyond all"),
    ],
)
def test_a_damaged_row_begins_anew(kept: bytes) -> None:
    """The visitor's events must not wait for it."""
    with pytest.raises(msgspec.DecodeError):
        decode_habits(kept)
    lines = lines_of([Note(NOON_S, "/a", None, "sport")] * 40)
    assert decode_habits(grown(kept, lines)).categories["sport"].pages == 40
