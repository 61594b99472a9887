from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alias_middleware import Tracker
from alias_middleware.dashboard.pages.overview import Latest, gather
from alias_middleware.dashboard.period import Period
from alias_middleware.storage.base import Batch
from alias_middleware.testing.histories import NEWS, SHOP, Teller
from tests.dashboard.audience import ALIAS, FIRST, LAST, UNTIL, fill, make_tracker

MARCH = Period(FIRST, UNTIL, None, "news")


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    made = make_tracker(storage=f"sqlite:///{tmp_path}/alias.db")
    fill(made, visitors=3)
    yield made
    made.close()


def test_what_holds_is_not_asked_again(tracker: Tracker) -> None:
    """While nothing is written the same answer is given; another period is another answer."""
    latest = Latest(tracker)
    found = latest.overview(MARCH)
    assert latest.overview(MARCH) is found
    assert found == gather(tracker, MARCH)
    assert latest.overview(MARCH._replace(channel="web")) != found
    assert latest.overview(MARCH) is found


def _view(tracker: Tracker) -> None:
    tracker.storage.apply(Batch(entries=[Teller(key="b").view(f"{LAST}T11:00")]))


def _old(tracker: Tracker) -> None:
    tracker.storage.apply(Batch(entries=[Teller(key="b").view("2025-12-24T11:00")]))


def _unidentified(tracker: Tracker) -> None:
    tracker.storage.apply(Batch(unidentified={(NEWS, LAST.toordinal()): 5}))


def _erase(tracker: Tracker) -> None:
    tracker.privacy.erase(ALIAS)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_view, id="an event"),
        pytest.param(_old, id="an event of long ago, which makes a visitor a returning one"),
        pytest.param(_unidentified, id="page views without an alias"),
        pytest.param(_erase, id="an erasure"),
    ],
)
def test_a_figure_is_never_old(tracker: Tracker, change: Callable[[Tracker], None]) -> None:
    """Whatever is written shows with the next question, for all services, too."""
    everything = MARCH._replace(service="*")
    latest = Latest(tracker)
    before = latest.overview(MARCH), latest.overview(everything)
    change(tracker)
    assert latest.overview(MARCH) is not before[0]
    assert latest.overview(MARCH) == gather(tracker, MARCH)
    assert latest.overview(everything) is not before[1]
    assert latest.overview(everything) == gather(tracker, everything)


def test_another_service_changes_nothing(tracker: Tracker) -> None:
    """What is written of a service that is not asked about is no reason to ask again."""
    latest = Latest(tracker)
    found = latest.overview(MARCH)
    tracker.storage.apply(Batch(entries=[Teller(origin=SHOP, key="c").view(f"{LAST}T11:00")]))
    assert latest.overview(MARCH) is found


def test_only_the_last_are_kept(tracker: Tracker) -> None:
    """However many periods are looked at, the memory is that of a few."""
    latest = Latest(tracker, kept=2)
    first = latest.overview(MARCH)
    latest.overview(MARCH._replace(channel="web"))
    latest.overview(MARCH._replace(channel="sms"))
    assert latest.overview(MARCH) is not first
    assert latest.overview(MARCH) == first


def test_a_storage_that_cannot_tell_is_asked(tracker: Tracker) -> None:
    """The memory storage gives no marks."""
    memory = make_tracker()
    fill(memory, visitors=1)
    latest = Latest(memory)
    assert latest.overview(MARCH) is not latest.overview(MARCH)
    assert latest.overview(MARCH) == latest.overview(MARCH)
    memory.close()
