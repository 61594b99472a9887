"""The part of the storage contract about since when a service records live, where page views can be taken back."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from msgspec.structs import replace

from alias_middleware.storage.base import Batch, Entry, Storage
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.storage.replacing import is_replaceable
from alias_middleware.testing._contract_case import ContractCase, counted, known
from alias_middleware.testing._contract_figures import compare
from alias_middleware.testing.histories import KEY, NEWS, SHOP, Teller, instant, local_day, random_history

_SPACE = NEWS.namespace
_DAY = local_day("2026-03-02"), local_day("2026-03-03")
_TEN, _NOON, _ONE, _TWO = (f"2026-03-02T{hour}:00" for hour in (10, 12, 13, 14))


class LiveTimeContract(ContractCase):
    """Before the first page view recorded live a log's count, afterwards the live ones; however they arrive."""

    def test_lines_of_the_live_time_are_dropped(self, replacing: Storage) -> None:
        """From the first live page view's second on, orders excepted; of the other services nothing is."""
        tell = Teller()
        replacing.apply(Batch(entries=[tell.view(instant(_NOON) + 1)]))
        lines = [tell.view(_TEN), tell.view(_NOON), tell.view(_ONE), tell.purchase(_ONE, "A")]
        shop = [tell.of(origin=SHOP).view(_ONE)]
        outcome = replacing.apply(Batch(entries=lines + shop, imported=True))
        assert (outcome.stored, outcome.dropped) == (3, {"live": 2})
        assert counted(replacing, "news", *_DAY).page_views == 2

    def test_an_earlier_live_page_view_takes_the_imported_back(self, replacing: Storage) -> None:
        """With all that was made of them; what was imported from before it stays."""
        tell = Teller()
        log = [tell.view(_TEN), tell.view(_NOON, category="sport"), tell.of(key="b").view(_ONE, category="sport")]
        replacing.apply(Batch(entries=log, imported=True, counts={"seen": 3}))
        replacing.apply(Batch(entries=[tell.view(_TWO)], counts={"seen": 1}))
        late = tell.view(_NOON, category="music")
        outcome = replacing.apply(Batch(entries=[late], counts={"seen": 1}))
        assert (outcome.stored, outcome.taken_back) == (1, 2)
        assert [event.time_us for event in replacing.history(_SPACE, KEY, 9)] == [
            instant(at) for at in (_TWO, _NOON, _TEN)
        ]
        assert replacing.history(_SPACE, "b", 9) == []
        assert (known(replacing, _SPACE, KEY).page_views, known(replacing, _SPACE, KEY).visits) == (3, 3)
        assert counted(replacing, "news", *_DAY).visitors == 1
        assert replacing.category_sums(_SPACE).keys() == {"music"}
        assert replacing.ledger().counts == {"seen": 5, "stored": 3, "dropped.live": 2}
        assert replacing.verify(*_DAY) == []

    def test_what_a_log_was_asked_to_stand_for_stays(self, replacing: Storage) -> None:
        """However early live recording turns out to have begun."""
        tell = Teller()
        replacing.apply(Batch(entries=[tell.view(_TWO)]))
        replacing.replace_live("news", instant(_NOON), instant(_ONE))
        log = [tell.view(at) for at in (_TEN, _NOON, "2026-03-02T13:30")]
        assert replacing.apply(Batch(entries=log, imported=True)).stored == 3
        outcome = replacing.apply(Batch(entries=[tell.view("2026-03-02T09:00"), tell.view(_NOON)]))
        assert (outcome.stored, outcome.dropped, outcome.taken_back) == (1, {"replaced": 1}, 2)
        assert counted(replacing, "news", *_DAY).page_views == 3

    def test_a_dropped_page_view_begins_nothing(self, replacing: Storage) -> None:
        """A log stands for its time: nothing of before it can have been recorded twice."""
        tell = Teller()
        replacing.replace_live("news", instant(_NOON), instant(_ONE))
        replacing.apply(Batch(entries=[tell.view(_TWO)], imported=True))
        assert replacing.apply(Batch(entries=[tell.view(_NOON)])).dropped == {"replaced": 1}
        assert replacing.live_since("news") is None
        assert counted(replacing, "news", *_DAY).page_views == 1

    def test_a_wrong_clock_takes_nothing_back(self, replacing: Storage) -> None:
        """Who says that he was live more than a month before is counted, and that is all."""
        tell = Teller()
        replacing.apply(Batch(entries=[tell.view("2026-01-20T12:00"), tell.view(_TEN)], imported=True))
        replacing.apply(Batch(entries=[tell.view(_NOON)]))
        began = replacing.live_since("news")
        outcome = replacing.apply(Batch(entries=[tell.view("2026-01-15T12:00"), tell.view("2026-03-02T11:00")]))
        assert (outcome.stored, outcome.taken_back) == (2, 0)
        assert began is not None
        assert replacing.live_since("news") == began - 3_600_000_000
        assert known(replacing, _SPACE, KEY).page_views == 5

    def test_what_came_more_than_a_month_late_is_never_taken_for_a_log(self, replacing: Storage) -> None:
        """Two spools of a machine that was cut off: each comes in the order of its times, one after the other."""
        tell = Teller()
        replacing.apply(Batch(entries=[tell.view(_NOON)]))
        for key in "bc":
            for day in ("2026-01-10", "2026-01-20", "2026-02-10"):
                outcome = replacing.apply(Batch(entries=[tell.of(key=key).view(f"{day}T12:00")]))
                assert (outcome.stored, outcome.taken_back) == (1, 0)
        assert replacing.live_since("news") == instant("2026-02-10T12:00")
        assert [known(replacing, _SPACE, key).page_views for key in "bc"] == [3, 3]

    def test_a_wrong_clock_at_first_takes_a_month_back_at_most(self, replacing: Storage) -> None:
        """The first live page view of all has nothing that its time could be compared with."""
        tell = Teller()
        log = [tell.view("2024-05-20T12:00"), tell.view("2025-07-20T12:00")]
        replacing.apply(Batch(entries=log, imported=True))
        outcome = replacing.apply(Batch(entries=[tell.view("2024-05-15T12:00")]))
        assert (outcome.stored, outcome.taken_back) == (1, 1)
        assert known(replacing, _SPACE, KEY).page_views == 2

    @pytest.mark.parametrize("seed", range(8))
    def test_in_whatever_order_they_come_each_page_counts_once(self, replacing: Storage, seed: int) -> None:
        """Several machines' spools and a log of everything equal a slow recount of what should count."""
        random = Random(seed)
        history = random_history(seed, phases=1)
        live, log = _recorded(random, history.phases[0].entries)
        begun = Batch(entries=live).first_views()
        before = [line for line in log if line.event.time_us < begun.get(line.origin.service, 2**63)]
        reference = MemoryStorage()
        reference.apply(Batch(entries=live + before))
        for batch in _interleaved(random, live, log):
            replacing.apply(batch)
        compare(replacing, reference, history)


def _recorded(random: Random, entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Part what happened into what was recorded live, and the log's lines of all page views, in whole seconds."""
    views = {entry.id: entry for entry in entries if is_replaceable(entry)}
    began = {origin: random.choice(entries).event.time_us for origin in (NEWS, SHOP)}
    live = [each for each in entries if each.id not in views or each.event.time_us >= began.get(each.origin, 0)]
    log = []
    for entry in views.values():
        time_us = entry.event.time_us - entry.event.time_us % 1_000_000
        log.append(Entry(entry.origin, replace(entry.event, time_us=time_us, begun_us=time_us), entry.id + 10**6))
    return live, log


def _interleaved(random: Random, live: Sequence[Entry], log: Sequence[Entry]) -> list[Batch]:
    """Cut both into batches, in a random order."""
    batches = []
    for entries, imported in ((live, False), (log, True)):
        left = random.sample(entries, k=len(entries))
        while left:
            size = random.choice([1, 2, 5, 20])
            batches.append(Batch(entries=left[:size], imported=imported))
            left = left[size:]
    return random.sample(batches, k=len(batches))
