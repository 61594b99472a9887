"""Interests, rank and shortcuts, from habits and everybody's sums."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from alias_middleware.habits import HALF_LIFE_S, Habits, Note, count, decayed
from alias_middleware.interests import PRIOR, Horizon, Interest, Population, Sums, Taste, shortcuts_of
from alias_middleware.testing.histories import instant

NOW_US = instant("2026-03-02T12:00")
NOW_S = NOW_US // 1_000_000


def habits(*told: tuple[str, int], at_s: int = NOW_S, weight: int = 1) -> Habits:
    """Habits of so many views in each category."""
    made = Habits({}, {})
    for category, number in told:
        count(made, [Note(at_s, f"/{category}", category.title(), category, weight)] * number)
    return made


def population(**wholes: float) -> Population:
    """Everybody's sums, all of today."""
    return Population(NOW_US, {name: Sums(decayed(whole, NOW_S), whole) for name, whole in wholes.items()})


EVERYBODY = population(news=600, sport=300, music=100)


def test_the_score_is_the_shrunk_lift() -> None:
    """((S + m p) / (sum of S + m)) / p, share the plain part of his own weight."""
    taste = Taste(habits(("music", 6), ("news", 2)), EVERYBODY, NOW_US)
    [music] = taste.interests(5)
    assert music.score == pytest.approx((6 + PRIOR * 0.1) / (8 + PRIOR) / 0.1)
    assert music.share == pytest.approx(0.75)
    assert (music.category, music.evidence.basis, music.evidence.pages) == ("music", "visitor", 6)


def test_interests_rank_by_share_times_log_lift() -> None:
    """Much of what few others do comes before more of what everybody does."""
    found = Taste(habits(("news", 10), ("sport", 9), ("music", 8)), EVERYBODY, NOW_US).interests(5)
    merits = {each.category: each.share * math.log(each.score) for each in found}
    assert [each.category for each in found] == ["music", "sport"]
    assert merits["music"] > merits["sport"] > 0


def test_too_little_is_no_interest() -> None:
    """Two pages are chance; then everybody's favourites stand in, and say so."""
    favourites = Taste(habits(("music", 2)), EVERYBODY, NOW_US).interests(2)
    assert [each.category for each in favourites] == ["news", "sport"]
    assert {each.evidence.basis for each in favourites} == {"population"}
    assert [each.share for each in favourites] == [pytest.approx(0.6), pytest.approx(0.3)]
    assert [each.category for each in Taste(habits(("music", 1), weight=3), EVERYBODY, NOW_US).interests(2)] == [
        "music"
    ]


def test_of_nobody_nothing_is_known() -> None:
    """Without a visitor's habits and without a population there is no interest, and no error."""
    assert Taste(Habits(), Population(), NOW_US).interests(5) == []
    assert Taste(Habits(), Population(), NOW_US).rank(["b", "a"]) == ["b", "a"]


def test_without_a_population_share_alone_ranks() -> None:
    """Until the first snapshot is there."""
    found = Taste(habits(("news", 4), ("music", 6)), Population(), NOW_US).interests(5)
    assert [(each.category, each.score) for each in found] == [("music", 1.0), ("news", 1.0)]
    assert found[0].evidence.population_at is None


@pytest.mark.parametrize(
    ("horizon", "first"),
    [pytest.param("recent", "music", id="recent"), pytest.param("whole", "sport", id="whole")],
)
def test_the_two_horizons(horizon: Horizon, first: str) -> None:
    """What he did a year ago counts in the whole history, and hardly now."""
    made = habits(("sport", 40), at_s=NOW_S - 12 * HALF_LIFE_S)
    count(made, [Note(NOW_S, "/music", None, "music")] * 8)
    assert Taste(made, population(news=90, sport=5, music=5), NOW_US, horizon).interests(5)[0].category == first


def test_a_category_new_to_everybody_has_a_score() -> None:
    """The snapshot may be older than the category."""
    [fresh] = Taste(habits(("fresh", 4)), EVERYBODY, NOW_US).interests(5)
    assert fresh.category == "fresh"
    assert 1 < fresh.score < float("inf")


def test_evidence_reads_well() -> None:
    """It says how much, since when, and what else."""
    made = habits(("sport", 7), at_s=NOW_S)
    count(made, [Note(NOW_S + 60, None, None, "sport", 5)] * 2 + [Note(NOW_S, None, None, "sport", 3)])
    [sport] = Taste(made, EVERYBODY, NOW_US).interests(1)
    assert str(sport.evidence) == "7 pages since 2026-03-02, 1 cart, 2 purchases"
    assert sport.evidence.since == datetime(2026, 3, 2, 11, tzinfo=UTC)
    assert sport.evidence.population_at == datetime(2026, 3, 2, 11, tzinfo=UTC)
    [favourite] = Taste(Habits(), EVERYBODY, NOW_US).interests(1)
    assert isinstance(favourite, Interest)
    assert str(favourite.evidence) == "a favourite of everybody's"


def test_rank_keeps_the_order_of_what_he_does_not_do() -> None:
    """What he goes to comes first; one old page moves nothing; unknown names stay where they were."""
    menu = ["news", "unknown", "music", "sport"]
    assert Taste(Habits(), EVERYBODY, NOW_US).rank(menu) == menu
    assert Taste(habits(("sport", 5), ("music", 1)), EVERYBODY, NOW_US).rank(menu) == [
        "sport",
        "music",
        "news",
        "unknown",
    ]
    old = habits(("sport", 1), at_s=NOW_S - HALF_LIFE_S - 1)
    assert Taste(old, EVERYBODY, NOW_US).rank(menu) == menu


def test_shortcuts_weigh_frequency_and_recency() -> None:
    """Four times a half-life ago are twice today; titles come along."""
    made = habits(("sport", 4), at_s=NOW_S - HALF_LIFE_S)
    count(made, [Note(NOW_S, "/home", "Home", None)] * 3)
    found = shortcuts_of(made, NOW_US, 5)
    assert [(each.path, each.title) for each in found] == [("/home", "Home"), ("/sport", "Sport")]
    assert [each.weight for each in found] == [pytest.approx(3), pytest.approx(2)]
    assert shortcuts_of(made, NOW_US, 1) == found[:1]
    assert shortcuts_of(Habits(), NOW_US, 5) == []
