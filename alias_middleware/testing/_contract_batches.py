"""The part of the storage contract about batches: positions, ids, counters, all or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from alias_middleware.events import Event
from alias_middleware.storage.base import Abilities, Batch, Entry, Ledger, Span, Storage
from alias_middleware.testing._contract_case import ContractCase, counted, known
from alias_middleware.testing._contract_profiles import op, preferences, run_together
from alias_middleware.testing.histories import ELSEWHERE, KEY, NEWS, SHOP, Teller, change, local_day

_SPACE = NEWS.namespace
_NOON = "2026-03-02T12:00"
_ALWAYS = 2**62


def bare(entry: Entry) -> Event:
    """Give an entry's event as history gives it back."""
    return replace(entry.event, begun_us=entry.event.time_us)


class BatchContract(ContractCase):
    """A batch takes effect once and whole, and the ledger tells how far the storage got."""

    def test_it_declares_its_abilities(self, storage: Storage) -> None:
        """The tracker asks before it relies on them."""
        assert isinstance(storage.abilities, Abilities)

    def test_an_empty_batch_does_nothing(self, storage: Storage) -> None:
        """There may be nothing to do."""
        outcome = storage.apply(Batch())
        assert (outcome.stored, outcome.counts(), storage.ledger()) == (0, {}, Ledger({}, {}))

    def test_positions_follow_the_spans(self, storage: Storage) -> None:
        """What was covered is committed with the batch, and forgotten when its segment is gone."""
        storage.apply(Batch(spans={"a": Span(0, 10), "b": Span(0, 5)}))
        storage.apply(Batch(spans={"a": Span(10, 12)}))
        assert storage.ledger().positions == {"a": 12, "b": 5}
        storage.apply(Batch(finished=["a", "unknown"]))
        assert storage.ledger().positions == {"b": 5}

    @pytest.mark.parametrize("start", [pytest.param(9, id="read before"), pytest.param(11, id="a gap")])
    def test_a_stale_position_has_no_effect(self, storage: Storage, start: int) -> None:
        """Nothing of a batch that was read from elsewhere is taken over, of any kind."""
        storage.apply(Batch(spans={"a": Span(0, 10)}, counts={"seen": 1}))
        before = storage.ledger()
        stale = Batch(
            entries=[Teller().view(_NOON)],
            spans={"fresh": Span(0, 7), "a": Span(start, 20)},
            counts={"seen": 1},
            unidentified={(NEWS, local_day("2026-03-02")): 3},
            finished=["a"],
        )
        with self.unavailable("stale_position"):
            storage.apply(stale)
        assert storage.ledger() == before
        assert storage.history(_SPACE, KEY, 10) == []
        assert (
            counted(storage, "news", local_day("2026-03-01"), local_day("2026-03-09")).unidentified_page_views == 0
        )

    def test_an_event_counts_once(self, storage: Storage) -> None:
        """Equal ids are one event: in a batch, in a later one, and for every type of event."""
        tell = Teller()
        entries = [
            tell.view(_NOON),
            tell.track(_NOON),
            tell.purchase(_NOON, "A"),
            tell.refund(_NOON, "A", 1),
            tell.view("2026-03-02T12:10", channel="sms"),
        ]
        first = storage.apply(Batch(entries=entries + entries))
        assert (first.stored, first.deduplicated) == (5, 5)
        for entry in entries:
            again = storage.apply(Batch(entries=[entry]))
            assert (again.stored, again.deduplicated, again.conflicts) == (0, 1, 0)
        assert len(storage.history(_SPACE, KEY, 100)) == 5
        assert storage.ledger().counts == {"stored": 5, "deduplicated": 10}

    def test_two_events_of_one_moment_are_two(self, storage: Storage) -> None:
        """The id tells them apart, not the time."""
        tell = Teller()
        assert storage.apply(Batch(entries=[tell.view(_NOON), tell.view(_NOON)])).stored == 2
        assert storage.apply(Batch(entries=[tell.view(_NOON)])).stored == 1

    def test_counts_add_up(self, storage: Storage) -> None:
        """Counters grow by what batches bring and by what became of their events."""
        for _ in range(2):
            storage.apply(Batch(counts={"seen": 2, "dropped.no_alias": 1}))
        storage.apply(Batch(entries=[Teller().view(_NOON)], counts={"seen": 1}))
        assert storage.ledger().counts == {"seen": 5, "dropped.no_alias": 2, "stored": 1}

    def test_unidentified_page_views_by_service_and_day(self, storage: Storage) -> None:
        """Pages without an alias add up per local day, and per service."""
        monday, tuesday = local_day("2026-03-02"), local_day("2026-03-03")
        for _ in range(2):
            storage.apply(Batch(unidentified={(NEWS, monday): 2, (NEWS, tuesday): 3, (SHOP, monday): 5}))
        asked = [("news", monday, tuesday), ("news", monday, tuesday + 1), ("shop", monday, tuesday)]
        found = [counted(storage, *each).unidentified_page_views for each in asked]
        assert found == [4, 10, 10]

    def test_history_is_newest_first(self, storage: Storage) -> None:
        """Events come back whole, the latest first, over all services of the namespace."""
        tell = Teller()
        entries = [
            tell.view(_NOON, path="/é?a=1"),
            tell.purchase("2026-03-03T09:00", "A", "1.25"),
            tell.of(origin=SHOP).track("2026-03-02T12:30"),
            tell.refund("2026-03-04T00:00", "A", 250_000),
            tell.view("2026-03-01T00:00", channel="sms", begun="2026-02-28T23:59"),
        ]
        storage.apply(
            Batch(entries=[*entries, tell.of(origin=ELSEWHERE).view(_NOON), tell.of(key="x").view(_NOON)])
        )
        expected = [bare(entries[number]) for number in (3, 1, 2, 0, 4)]
        assert storage.history(_SPACE, KEY, _ALWAYS) == expected
        assert storage.history(_SPACE, KEY, 2) == expected[:2]
        assert storage.history(_SPACE, "nobody", 2) == []

    def test_a_batch_and_changes_at_once(self, storage: Storage) -> None:
        """Threads that change profiles and a writer that takes batches over do not lose each other's work."""
        tell = Teller()
        batches = [
            Batch(entries=[tell.view(_NOON) for _ in range(20)], spans={"a": Span(n, n + 1)}) for n in range(10)
        ]

        def write() -> None:
            for batch in batches:
                storage.apply(batch)

        def prefer() -> None:
            for _ in range(20):
                storage.change_profile(_SPACE, change(op("increment", "f", 1), at=_NOON), timeout=30)
                storage.read_profile(_SPACE, KEY)

        run_together([write, prefer, prefer])
        assert preferences(storage) == {"f": 40}
        assert known(storage, _SPACE, KEY).page_views == 200
        assert storage.ledger() == Ledger({"stored": 200}, {"a": 10})

    def test_what_is_closed_opens_again(self, storage: Storage, tmp_path: Path) -> None:
        """Closing loses nothing; a shared storage shows the same to whoever else opens it."""
        storage.change_profile(_SPACE, change(op("set", "f", 1), at=_NOON), timeout=5)
        storage.apply(Batch(entries=[Teller().view(_NOON)], spans={"a": Span(0, 3)}))
        storage.close()
        storage.close()
        others = [storage, self.make_storage(tmp_path)] if storage.abilities.shared else [storage]
        for one in others:
            assert preferences(one) == {"f": 1}
            assert known(one, _SPACE, KEY).page_views == 1
            assert one.ledger() == Ledger({"stored": 1}, {"a": 3})
            one.close()
