"""The simulated life: the same for the same seed, in order, with a truth that interests find again."""

from __future__ import annotations

from collections import Counter
from datetime import date
from itertools import pairwise

import pytest

from alias_middleware.testing.foretelling import foretell
from alias_middleware.testing.simulated_log import (
    FIRST_DAY,
    PastClock,
    log_lines,
    order_rows,
    play,
    simulated_tracker,
)
from alias_middleware.testing.simulation import CATEGORIES, Life


def life(subscribers: int = 300, days: int = 30, seed: int = 1, first_day: date = FIRST_DAY) -> Life:
    return Life(subscribers=subscribers, days=days, seed=seed, first_day=first_day)


def test_a_seed_makes_one_life() -> None:
    """The same again, and another for another seed."""
    steps = list(life().steps())
    assert steps == list(life().steps())
    assert steps != list(life(seed=2).steps())
    assert len(steps) > 1000


@pytest.mark.parametrize("first_day", [date(2026, 1, 1), date(2026, 3, 28), date(2026, 10, 24)])
def test_steps_come_in_the_order_of_time(first_day: date) -> None:
    """Over midnight, and over days of 23 and 25 hours."""
    steps = list(life(days=4, first_day=first_day).steps())
    assert all(one.time_us <= other.time_us for one, other in pairwise(steps))


def test_everybody_has_an_alias_of_his_own() -> None:
    """Twelve digits, leading zeros kept."""
    made = life()
    aliases = [made.alias(number) for number in range(300)]
    assert len(set(aliases)) == 300
    assert all(len(alias) == 12 and alias.isdigit() for alias in aliases)
    assert all(made.planted(number) <= set(CATEGORIES) for number in range(300))


def test_orders_and_refunds() -> None:
    """An order id is unique; what is refunded was bought before."""
    bought: dict[str, int] = {}
    kinds: Counter[str] = Counter()
    for step in life(subscribers=2000).steps():
        kinds[step.kind] += 1
        if step.kind == "purchase":
            assert step.order_id not in bought
            bought[step.order_id] = step.time_us
        elif step.kind == "refund":
            assert bought[step.order_id] < step.time_us
    assert kinds["view"] > 20 * kinds["purchase"] > 200 * min(1, kinds["refund"]) > 0


def test_nobody_lives_nowhere() -> None:
    """A life without subscribers or days is refused."""
    with pytest.raises(ValueError, match="at least one"):
        life(subscribers=0)


def test_planted_interests_are_found_again() -> None:
    """In at least 95 % of visitors with 20 or more views; and a visitor's menu beats everybody's favourites."""
    told = foretell(Life(subscribers=1000, days=120, seed=3, first_day=FIRST_DAY))
    assert told.found >= 0.95
    assert told.by_rank > told.by_popularity + 0.1


def test_it_plays_on_a_tracker() -> None:
    """Through spool, writer and storage: nothing is lost on the way, and interests come out."""
    clock = PastClock()
    tracker = simulated_tracker(clock, service="simulated", storage="memory://")
    made = life(subscribers=20, days=20)
    steps = play(made, tracker, clock)
    counters = tracker.counters()
    assert counters["stored"] == counters["seen"] == steps > 50
    assert set(tracker.storage.category_sums("simulated")) <= set(CATEGORIES)
    tracker.close()


def test_it_writes_a_log() -> None:
    """One line a page view, in the combined format, with the alias behind; orders as rows of a table."""
    views = [step for step in life().steps() if step.kind == "view"]
    lines = list(log_lines(life()))
    assert len(lines) == len(views)
    assert lines[0].startswith("10.12.0.1 - - [01/Jan/2026:")
    assert f'"GET {views[0].path} HTTP/1.1" 200' in lines[0]
    assert lines[0].endswith(f'"mUserAlias:{life().alias(views[0].subscriber)}"\n')
    rows = list(order_rows(life()))
    assert rows[0][:3] == ("alias", "order_id", "time")
    assert rows[1][3:5] == ("EUR", "3.00") or rows[1][3] == "EUR"
