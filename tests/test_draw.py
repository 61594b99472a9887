"""A draw is fair, and whoever has the list finds the same winner."""

from __future__ import annotations

import hashlib
import random
from collections import Counter

import pytest

from alias_middleware.draw import draw_winner, list_digest

SEED = "5f" * 32
PEOPLE = [f"{number:012}" for number in range(1, 8)]


def test_a_draw_is_repeated_from_its_seed() -> None:
    """Whatever the order of the list, and whoever stands in it twice; another seed draws anew."""
    drawn = draw_winner(PEOPLE, SEED)
    shuffled = random.Random(1).sample(PEOPLE * 2, k=14)
    assert draw_winner(shuffled, SEED) == drawn
    assert (drawn.participants, drawn.seed) == (7, SEED)
    assert len({draw_winner(PEOPLE, f"{number:064x}").winner for number in range(50)}) == len(PEOPLE)


def test_the_digest_is_of_the_list() -> None:
    """Anybody computes it with the tools at hand: sorted lines, SHA-256."""
    assert list_digest(["b", "a", "b"]) == hashlib.sha256(b"a\nb\n").hexdigest()
    assert draw_winner(PEOPLE, SEED).digest == list_digest(PEOPLE)


def test_everybody_has_the_same_chance() -> None:
    """Chi square of 7,000 draws among 7 stays below the value that one in a million exceeds (6 degrees)."""
    wins = Counter(draw_winner(PEOPLE, f"{number:064x}").winner for number in range(7000))
    assert sum((wins[one] - 1000) ** 2 / 1000 for one in PEOPLE) < 38


def test_the_winner_is_not_shown() -> None:
    """Not where a draw is printed or logged."""
    drawn = draw_winner(PEOPLE, SEED)
    assert drawn.winner not in repr(drawn)


@pytest.mark.parametrize(
    ("participants", "seed"),
    [
        pytest.param([], SEED, id="nobody"),
        pytest.param(PEOPLE, "5f", id="a short seed"),
        pytest.param(PEOPLE, "xy" * 32, id="no hexadecimal seed"),
        pytest.param(PEOPLE, "5f " * 32, id="a seed with blanks"),
    ],
)
def test_no_draw(participants: list[str], seed: str) -> None:
    """An empty list and a seed nobody could have recorded are refused."""
    with pytest.raises(ValueError, match=r"nobody|64 hexadecimal"):
        draw_winner(participants, seed)
