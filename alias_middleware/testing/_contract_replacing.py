"""The part of the storage contract about logs that stand for what was recorded live, where a storage replaces."""

from __future__ import annotations

from random import Random

import pytest
from msgspec.structs import replace

from alias_middleware.errors import SettingsError
from alias_middleware.events import PageView
from alias_middleware.storage.base import Batch, Entry, Span, Storage
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.testing._contract_case import ContractCase, counted, known
from alias_middleware.testing._contract_figures import compare
from alias_middleware.testing._retelling import retold
from alias_middleware.testing.histories import (
    KEY,
    NEWS,
    SHOP,
    History,
    Teller,
    instant,
    local_day,
    random_history,
)

_SPACE = NEWS.namespace
_DAY = local_day("2026-03-02"), local_day("2026-03-03")
_TEN, _NOON, _ONE, _TWO = (f"2026-03-02T{hour}:00" for hour in (10, 12, 13, 14))


def replaced(storage: Storage, since: str, until: str) -> int:
    """Let a log stand for the service news."""
    return storage.replace_live("news", instant(since), instant(until))


class ReplacingContract(ContractCase):
    """Page views of a replaced time are a log's, whatever came before it, in between and afterwards."""

    def test_a_storage_that_cannot_replace_says_so(self, storage: Storage) -> None:
        """It refuses, and has declared it beforehand."""
        if storage.abilities.replaces:
            assert replaced(storage, _NOON, _ONE) == 0
        else:
            with pytest.raises(SettingsError, match="replaces nothing"):
                replaced(storage, _NOON, _ONE)

    def test_live_page_views_of_the_time_go(self, replacing: Storage) -> None:
        """Of that service, on the web, from the first instant to before the last; nothing else goes."""
        tell = Teller()
        stay = [
            tell.view(_TEN),
            tell.view(_TWO),
            tell.view(_ONE, channel="sms"),
            tell.of(origin=SHOP).view(_ONE),
            tell.track(_ONE),
            tell.purchase(_ONE, "A"),
            tell.message(_ONE),
        ]
        go = [tell.view(_NOON), tell.view(_ONE, category="sport"), tell.of(key="b").view(_ONE, category="sport")]
        replacing.apply(Batch(entries=stay + go))
        assert replaced(replacing, _NOON, _TWO) == 3
        assert sorted(event.time_us for event in replacing.history(_SPACE, KEY, 99)) == sorted(
            entry.event.time_us for entry in stay
        )
        assert replacing.history(_SPACE, "b", 9) == []
        assert known(replacing, _SPACE, KEY).page_views == 4
        found = counted(replacing, "news", *_DAY)
        assert (found.page_views, found.visitors) == (3, 1)
        assert replacing.category_sums(_SPACE).keys() == {"music"}
        assert replacing.verify(*_DAY) == []

    def test_what_comes_live_afterwards_is_dropped(self, replacing: Storage) -> None:
        """Page views that still waited in a spool would count twice; orders come through."""
        tell = Teller()
        replacing.apply(Batch(entries=[tell.view(_TEN)]))
        replaced(replacing, _NOON, _TWO)
        late = [tell.view(_ONE), tell.purchase(_ONE, "A"), tell.view(_TWO), tell.view(_ONE, channel="sms")]
        outcome = replacing.apply(Batch(entries=late))
        assert (outcome.stored, outcome.dropped) == (3, {"replaced": 1})
        assert replacing.apply(Batch(entries=[tell.view(_ONE)], imported=True)).stored == 1

    def test_it_is_replaced_once(self, replacing: Storage) -> None:
        """What logs have put there stays, when they come again and when another overlaps."""
        tell = Teller()
        replacing.apply(Batch(entries=[tell.view(_TEN), tell.view(_NOON), tell.view(_TWO)]))
        assert replaced(replacing, _NOON, _ONE) == 1
        replacing.apply(Batch(entries=[tell.view(_NOON)], imported=True))
        assert replaced(replacing, _NOON, _ONE) == 0
        assert replaced(replacing, _TEN, "2026-03-02T14:01") == 2
        assert counted(replacing, "news", *_DAY).page_views == 1

    def test_what_was_imported_from_before_stays(self, replacing: Storage) -> None:
        """Before the first live page view there is nothing but logs."""
        tell = Teller()
        replacing.apply(Batch(entries=[tell.view(_TEN)], imported=True))
        assert replaced(replacing, _TEN, _TWO) == 0
        replacing.apply(Batch(entries=[tell.view(_TWO)]))
        assert replaced(replacing, "2026-03-02T09:00", "2026-03-02T15:00") == 1
        assert counted(replacing, "news", *_DAY).page_views == 1

    def test_a_visitor_whose_every_page_goes(self, replacing: Storage) -> None:
        """Nobody is left of him, and he may come back with the log."""
        tell = Teller()
        replacing.apply(Batch(entries=[tell.of(key="b").view(_TEN), tell.view(_ONE)]))
        assert replaced(replacing, _NOON, _TWO) == 1
        assert known(replacing, _SPACE, KEY) == known(MemoryStorage(), _SPACE, KEY)
        assert replacing.verify(*_DAY) == []
        replacing.apply(Batch(entries=[tell.view("2026-03-02T12:30")], imported=True, spans={"a": Span(0, 1)}))
        assert known(replacing, _SPACE, KEY).page_views == 1
        assert counted(replacing, "news", *_DAY).visitors == 2
        assert replacing.verify(*_DAY) == []

    @pytest.mark.parametrize("seed", range(5))
    def test_random_replacements_equal_the_reference(self, replacing: Storage, seed: int) -> None:
        """Whatever was recorded, erased and replaced, every figure equals a slow recount of what is left."""
        history = random_history(seed)
        random = Random(seed)
        for reference in retold(history, seed, replacing):
            _replace_and_import(random, history, [reference, replacing])
            compare(replacing, reference, history)


def _replace_and_import(random: Random, history: History, storages: list[Storage]) -> None:
    """Replace a random stretch, and import page views into it that were, or were not, recorded live."""
    service = random.choice([NEWS, NEWS, SHOP])
    shown = sorted(
        entry.event.time_us
        for phase in history.phases
        for entry in phase.entries
        if isinstance(entry.event, PageView)
    )
    since, until = sorted(random.sample(shown, k=2))
    log: list[Entry] = [
        Entry(service, replace(entry.event, begun_us=entry.event.time_us), entry.id + 10**6)
        for phase in history.phases
        for entry in phase.entries
        if isinstance(entry.event, PageView)
        and entry.origin == service
        and entry.event.channel == "web"
        and since <= entry.event.time_us < until
        and random.random() < 0.6
    ]
    gone = [storage.replace_live(service.service, since, until) for storage in storages]
    assert len(set(gone)) == 1
    for storage in storages:
        storage.apply(Batch(entries=log, imported=True))
