"""How visits of a stream change when events join and leave it."""

from __future__ import annotations

import pytest

from alias_middleware.history import visit_starts
from alias_middleware.storage.base import Entry
from alias_middleware.storage.visits import begun_after, begun_around, margin_days
from alias_middleware.testing.histories import GAP_US, Teller, instant

NOON = instant("2026-03-02T12:00")
DAY_US = 24 * 3600 * 1_000_000


def told(*minutes: float) -> list[Entry]:
    """Tell of page views so many minutes after noon."""
    tell = Teller()
    return [tell.view(NOON + round(minute * 60_000_000)) for minute in minutes]


@pytest.mark.parametrize(
    ("last", "minutes", "begun"),
    [
        pytest.param(None, (0, 30), 1, id="the first visit"),
        pytest.param(None, (0, 30.1), 2, id="two at once"),
        pytest.param(-30, (0, 10), 0, id="a visit goes on"),
        pytest.param(-30.1, (0, 10), 1, id="a visit later"),
    ],
)
def test_events_after_all_others(last: float | None, minutes: tuple[float, ...], begun: int) -> None:
    """Nothing stored needs to be looked at but where the stream ended."""
    last_us = None if last is None else NOON + round(last * 60_000_000)
    assert begun_after(last_us, told(*minutes), GAP_US) == begun


@pytest.mark.parametrize(
    ("stored", "new", "gone"),
    [
        pytest.param((-25, 25), (0,), (), id="one joins two visits"),
        pytest.param((-25, 0, 25), (), (0,), id="one leaves and parts a visit"),
        pytest.param((-50, 50), (0,), (), id="one between, far from both"),
        pytest.param((0,), (-10,), (0,), id="one takes another's place, earlier"),
        pytest.param((0, 0), (), (0,), id="one of two at the same moment leaves"),
        pytest.param((), (0, 60), (), id="an empty stream"),
        pytest.param((0,), (), (0,), id="the last one leaves"),
        pytest.param((-40, -20, 20, 40), (0, 5), (-20,), id="many at once"),
    ],
)
def test_events_among_others(stored: tuple[int, ...], new: tuple[int, ...], gone: tuple[int, ...]) -> None:
    """The change equals the difference between two countings of the whole stream."""
    there = [entry.event.time_us for entry in told(*stored)]
    leaving = told(*gone)
    staying = there.copy()
    for entry in leaving:
        staying.remove(entry.event.time_us)
    after = sorted([*staying, *(entry.event.time_us for entry in told(*new))])
    expected = len(visit_starts(after, GAP_US)) - len(visit_starts(sorted(there), GAP_US))
    around = [(moment, number) for number, moment in enumerate(there)]
    assert begun_around(around, GAP_US, told(*new), leaving) == expected


def test_days_that_a_gap_reaches_over() -> None:
    """A visit may have begun the day before; with a longer gap, days before."""
    assert [margin_days(gap_us) for gap_us in (GAP_US, DAY_US - 3 * 3_600_000_000, DAY_US)] == [1, 2, 2]
