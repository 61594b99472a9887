"""A purge: frozen days keep their figures, and nothing leads back to who is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from alias_middleware.errors import StorageUnavailable
from alias_middleware.profile import StoredProfile
from alias_middleware.rollups.model import SECTIONS, Days, Rollup, united
from alias_middleware.storage import open_storage
from alias_middleware.storage.base import Batch, Question, Scope, Storage
from alias_middleware.storage.custody import Cut
from alias_middleware.storage.postgresql import PostgreSQLStorage
from alias_middleware.storage.postgresql.purge import Purge as PostgreSQLPurge
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.storage.sqlite.connection import Connection
from alias_middleware.testing._contract_case import counted, known
from alias_middleware.testing._contract_erasure import populate
from alias_middleware.testing._contract_profiles import op
from alias_middleware.testing.histories import (
    KEY,
    NEWS,
    Teller,
    change,
    instant,
    local_day,
    random_history,
    shuffled_batches,
)
from tests.support.postgresql import EVERY_STORAGE, url_of
from tests.support.postgresql import KEY as SECRET

SPACE = NEWS.namespace


Make = Callable[[str], Storage]


@pytest.fixture(params=EVERY_STORAGE[1:])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Open new storages of a kind, by names."""
    made = []

    def make(name: str) -> Storage:
        (tmp_path / name).mkdir()
        made.append(open_storage(url_of(request.param, tmp_path / name, request), secret_keys=[SECRET]))
        return made[-1]

    yield make
    for storage in made:
        storage.close()


@pytest.fixture
def storage(make: Make) -> Storage:
    return make("site")


def cut(raw: str, idle: str = "2000-01-01") -> Cut:
    """Cut raw events before one local date, and visitors idle since another."""
    return Cut(raw_before=local_day(raw), idle_since_day=local_day(idle), idle_since_us=instant(f"{idle}T00:00"))


def purge(storage: Storage, raw: str, idle: str = "2000-01-01", *, dry_run: bool = False) -> dict[str, int]:
    return storage.custody().purge(SPACE, cut(raw, idle), dry_run=dry_run)


def day_by_day(storage: Storage, days: Days) -> list[Rollup]:
    """Every section of every day of each service, and of all days together."""
    periods = [*pairwise(range(days[0], days[1] + 1)), days]
    scopes = [Scope(SPACE, name) for name in ("news", "shop", "elsewhere", None)]
    asked = [Question(scope, periods, SECTIONS) for scope in scopes]
    return [rollup for answer in storage.rollups(asked) for rollup in answer.rollups]


def sized(rollup: Rollup) -> object:
    """Tell of a roll-up how many visitors there were, whatever their numbers."""
    presence = rollup.presence
    pages = {path: (page.page_views, len(united(page.visitors))) for path, page in rollup.pages.paths.items()}
    begun = [len(visitors) for visitors in presence.begun]
    who = len(presence.visitors), begun, len(rollup.arrivals.arrived), rollup.arrivals.unidentified
    return presence.page_views, presence.messages, who, rollup.hours, pages


def forget_figures(storage: Storage) -> None:
    """Delete the kept roll-ups, as anybody may."""
    if isinstance(storage, PostgreSQLStorage):
        with storage._pool.connection(5) as connection:
            connection.execute("DELETE FROM rolled_days")
            connection.execute("DELETE FROM rollups")
        return
    assert isinstance(storage, SQLiteStorage)
    for suffix in ("", "-wal", "-shm"):
        storage.path.with_name(f"{storage.path.name}-figures{suffix}").unlink(missing_ok=True)


@pytest.mark.parametrize("seed", range(12))
def test_figures_stay_as_they_are(storage: Storage, seed: int) -> None:
    """After a purge every roll-up is what it was, without the file of roll-ups; visitors' knowledge, too."""
    history = random_history(seed)
    for number, phase in enumerate(history.phases):
        for batch in shuffled_batches(seed + number, phase):
            storage.apply(batch)
    days = (history.days.start, history.days.stop)
    before = day_by_day(storage, days)
    keys = {entry.event.key for phase in history.phases for entry in phase.entries}
    knowledge = {key: known(storage, SPACE, key) for key in keys}
    expected = purge(storage, "2026-03-29", dry_run=True)
    assert day_by_day(storage, days) == before
    gone = purge(storage, "2026-03-29")
    assert gone == expected
    assert storage.verify(*days) == []
    assert gone["events"] > 0 < gone["frozen_days"]
    forget_figures(storage)
    assert day_by_day(storage, days) == before
    assert {key: known(storage, SPACE, key) for key in keys} == knowledge
    assert not any(purge(storage, "2026-03-29").values())


@pytest.mark.parametrize("seed", range(6))
def test_later_days_go_on_as_if_nothing_had_happened(make: Make, seed: int) -> None:
    """Events after a purge lead to the figures that they lead to without one, where they are not too old."""
    first, second = random_history(seed), random_history(seed + 100)
    storages = [make("purged"), make("whole")]
    for each in storages:
        for batch in shuffled_batches(seed, first.phases[0]):
            each.apply(batch)
    purge(storages[0], "2026-03-29")
    live = [
        entry
        for entry in second.phases[0].entries
        if entry.event.day >= local_day("2026-03-30") or entry.origin.namespace != SPACE
    ]
    for each in storages:
        each.apply(Batch(entries=live))
    days = (first.days.start, first.days.stop + 3)
    purged, whole = (day_by_day(each, days) for each in storages)
    for one, other in zip(purged, whole, strict=True):
        assert sized(one) == sized(other)


@contextmanager
def ending_after(storage: Storage, monkeypatch: pytest.MonkeyPatch, steps: int) -> Iterator[None]:
    """Let a purge end after so many of its transactions."""
    owner: Any = PostgreSQLPurge if isinstance(storage, PostgreSQLStorage) else Connection
    name = "_alone" if isinstance(storage, PostgreSQLStorage) else "transaction"
    whole, transaction = getattr(owner, name), iter(range(steps))

    def ends(*arguments: Any) -> Any:
        if next(transaction, None) is None:
            raise StorageUnavailable("the process ends here", reason="error")
        return whole(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, ends)
        yield


@pytest.mark.parametrize("steps", [1, 2, 4, 7, 9, 11])
def test_a_purge_cut_short(storage: Storage, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Whatever the step after which it ends, the figures hold, and the next purge does the rest."""
    history = random_history(3)
    for batch in shuffled_batches(3, history.phases[0]):
        storage.apply(batch)
    days = (history.days.start, history.days.stop)
    before = day_by_day(storage, days)
    with ending_after(storage, monkeypatch, steps), pytest.raises(StorageUnavailable):
        purge(storage, "2026-03-30", "2026-03-28")
    assert storage.verify(*days) == []
    forget_figures(storage)
    assert day_by_day(storage, days) == before
    purge(storage, "2026-03-30", "2026-03-28")
    forget_figures(storage)
    assert day_by_day(storage, days) == before
    assert not any(purge(storage, "2026-03-30", "2026-03-28").values())


@pytest.mark.parametrize("steps", range(1, 5))
def test_page_views_are_taken_back_while_a_purge_is_under_way(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """What it has taken is known from the visitor's row alone, before the purge says that it took all."""
    tell = Teller()
    log = [tell.view("2026-02-01T12:00"), tell.view("2026-03-06T12:00")]
    storage.apply(Batch(entries=log, imported=True))
    storage.apply(Batch(entries=[tell.of(key="other").view("2026-03-07T12:00")]))
    with ending_after(storage, monkeypatch, steps), suppress(StorageUnavailable):
        purge(storage, "2026-02-02")
    late = storage.apply(Batch(entries=[tell.of(key="other").view("2026-03-06T10:00")]))
    assert late.taken_back == 1
    left = known(storage, SPACE, KEY)
    assert (left.page_views, left.visits, left.first_seen) == (1, 1, instant("2026-02-01T12:00"))
    purge(storage, "2026-02-02")
    assert storage.verify(local_day("2026-02-01"), local_day("2026-04-01")) == []


def test_what_is_too_old_is_counted(storage: Storage) -> None:
    """Events of frozen days, that after the cut included, and refunds of their orders; copies are told as such."""
    tell = Teller()
    storage.apply(Batch(entries=[tell.purchase("2026-03-02T12:00", "A"), tell.purchase("2026-03-09T12:00", "B")]))
    purge(storage, "2026-03-05")
    late = [
        tell.view("2026-03-04T12:00"),
        tell.view("2026-03-05T12:00"),
        tell.refund("2026-03-10T12:00", "A"),
        tell.refund("2026-03-10T12:00", "B"),
        tell.view("2026-03-06T12:00"),
        tell.purchase("2026-03-11T12:00", "A", "9.00"),
    ]
    outcome = storage.apply(Batch(entries=late))
    assert (outcome.stored, outcome.dropped, outcome.deduplicated) == (2, {"too_old": 3}, 1)
    assert storage.ledger().counts["dropped.too_old"] == 3
    assert known(storage, SPACE, KEY).revenue == {"EUR": 3_000_000}
    assert counted(storage, "news", local_day("2026-03-01"), local_day("2026-03-20")).cancelled_orders == 1


def test_a_visit_over_the_edge_counts_once(storage: Storage) -> None:
    """A visit that began on the last day without raw events does not begin again on the day after."""
    tell = Teller()
    storage.apply(Batch(entries=[tell.view("2026-03-04T23:50"), tell.view("2026-03-05T00:05")]))
    purge(storage, "2026-03-05")
    forget_figures(storage)
    found = [
        counted(storage, "news", local_day(f"2026-03-0{day}"), local_day(f"2026-03-0{day + 1}")) for day in (4, 5)
    ]
    assert [(each.visits, each.page_views, each.visitors) for each in found] == [(1, 1, 1), (0, 1, 1)]


def test_orders_stay_in_a_history_that_loses_the_rest(storage: Storage) -> None:
    """The publisher's books are kept with their visitor."""
    tell = Teller()
    storage.apply(
        Batch(
            entries=[
                tell.view("2026-03-02T11:00"),
                tell.purchase("2026-03-02T12:00", "A"),
                tell.message("2026-03-02T13:00"),
            ]
        )
    )
    purge(storage, "2026-03-05")
    assert [type(event).__name__ for event in storage.history(SPACE, KEY, 9)] == ["Purchase"]


def test_an_erasure_reaches_frozen_days(storage: Storage) -> None:
    """The visitor leaves their sets of visitors, visits and orders; sums that name nobody stay."""
    tell, other = Teller(), Teller(key="200000000002", ids=iter(range(100, 120)))
    for one in (tell, other):
        populate(storage, one)
    purge(storage, "2026-03-10")
    storage.erase(SPACE, KEY, instant("2026-03-11T12:00"))
    forget_figures(storage)
    found = counted(storage, "news", local_day("2026-03-01"), local_day("2026-03-09"))
    assert (found.visitors, found.new_visitors, found.clients) == (1, 1, 1)
    assert found.visits == 2  # one in each channel
    assert found.page_views == 2
    assert counted(storage, "shop", local_day("2026-03-01"), local_day("2026-03-09")).visitors == 1


def test_idle_visitors_are_forgotten(storage: Storage) -> None:
    """Profile, knowledge and orders of who did nothing for long go; in the figures he stays as a number."""
    idle, active, writer = Teller(), Teller(key="active", ids=iter(range(100, 120))), "writer"
    for one in (idle, active):
        populate(storage, one)
    storage.apply(Batch(entries=[active.view("2026-04-02T12:00")]))
    storage.change_profile(
        SPACE, change(op("set", "f", 1), at="2026-03-02T12:00", key="only a profile"), timeout=5
    )
    storage.change_profile(SPACE, change(op("set", "f", 1), at="2026-04-02T12:00", key=writer), timeout=5)
    days = (local_day("2026-03-01"), local_day("2026-04-10"))
    before = day_by_day(storage, days)
    expected = purge(storage, "2026-04-01", "2026-04-01", dry_run=True)
    gone = purge(storage, "2026-04-01", "2026-04-01")
    counts = ("visitors", "profiles", "orders", "refunds")
    assert [gone[name] for name in counts] == [expected[name] for name in counts] == [1, 2, 1, 1]
    assert storage.read_profile(SPACE, KEY) == StoredProfile()
    assert storage.history(SPACE, KEY, 9) == []
    assert storage.read_profile(SPACE, "active") != StoredProfile() != storage.read_profile(SPACE, writer)
    assert storage.erased_at(SPACE, KEY) is None
    forget_figures(storage)
    assert day_by_day(storage, days) == before


def test_a_forgotten_visitors_number_is_nobody_elses(storage: Storage) -> None:
    """Who comes first after everybody was forgotten is one more visitor of the whole time."""
    storage.apply(Batch(entries=[Teller().view("2026-03-02T12:00")]))
    purge(storage, "2026-04-01", "2026-04-01")
    storage.apply(Batch(entries=[Teller(key="b", ids=iter([9])).view("2026-05-02T12:00")]))
    assert counted(storage, "news", local_day("2026-03-01"), local_day("2026-06-01")).visitors == 2
