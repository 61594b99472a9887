"""The part of the storage contract about moving: everything into another of its kind, and the seal.

For storages that give a `Moving`; subclass it beside `StorageContract`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from alias_middleware.comparing import Comparison
from alias_middleware.copying import Copy
from alias_middleware.profile import Operation
from alias_middleware.storage.base import Batch, LateChange, Span, Storage
from alias_middleware.storage.moving import (
    COUNTERS,
    EVENTS,
    ORDERS,
    PARTS,
    PROFILES,
    REFUNDS,
    VISITORS,
    Key,
    pages,
)
from alias_middleware.storage.outbox import Suppression
from alias_middleware.testing._contract_case import ContractCase
from alias_middleware.testing._contract_profiles import op, preferences
from alias_middleware.testing.histories import KEY, NEWS, Teller, change, instant, random_history, shuffled_batches

_SPACE = NEWS.namespace
_NOON = "2026-03-02T12:00"
_STOP = Suppression("marketing", "STOP", "sms", instant(_NOON))
_KEYS = (b"a key that both storages have",)
_EVER = (0, 2**20)


class CutShortError(Exception):
    """Stands for whatever may end a copy in the middle."""


def tell(storage: Storage, seed: int, *, ids: str = "") -> None:
    """Have a storage go through a random history, of spool segments whose names begin with `ids`."""
    for number, phase in enumerate(random_history(seed).phases):
        for batch in shuffled_batches(seed + number, phase):
            storage.apply(batch)
        for namespace, said in phase.changes:
            storage.change_profile(namespace, said, timeout=30)
        for erasure in phase.erasures:
            storage.erase(*erasure)
    segment = f"{ids}{seed}"
    storage.apply(Batch(spans={segment: Span(0, 7)}, counts={"seen": 1}))
    for key in ("000000000001", "000000000003"):
        storage.suppress(_SPACE, key, _STOP)


def require_equal(source: Storage, target: Storage) -> None:
    """Require that every total is the same, and that what is derived agrees with the events."""
    assert list(Comparison(source, target).discrepancies()) == []
    assert source.ledger() == target.ledger()
    assert target.verify(*_EVER) == []


class MovingContract(ContractCase):
    """All there is can be moved to another place, a piece at a time, while the site goes on."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Iterator[Storage]:
        """A fresh storage, with a key that the other has, too."""
        source = self.make_storage(tmp_path, secret_keys=_KEYS)
        yield source
        source.close()

    @pytest.fixture
    def target(self, tmp_path: Path) -> Iterator[Storage]:
        """Another fresh storage of the kind."""
        folder = tmp_path / "target"
        folder.mkdir()
        target = self.make_storage(folder, secret_keys=_KEYS)
        yield target
        target.close()

    @pytest.fixture
    def copying(self, source: Storage, target: Storage) -> Copy:
        """A copy from the one to the other, in small pages."""
        return Copy(source, target, rows=10)

    @pytest.mark.parametrize("seed", range(3))
    def test_everything_moves(self, source: Storage, target: Storage, copying: Copy, seed: int) -> None:
        """Every figure, visitor and row is the same afterwards; a second pass finds nothing to do."""
        tell(source, seed)
        copying.begin()
        assert copying.run()
        require_equal(source, target)
        assert not copying.run()

    @pytest.mark.parametrize("seed", range(3))
    def test_a_pass_brings_what_changed(self, source: Storage, target: Storage, copying: Copy, seed: int) -> None:
        """Late events, replaced orders, erasures and changed profiles reach what was moved before."""
        tell(source, seed)
        copying.begin()
        copying.run()
        require_equal(source, target)  # what was asked of the target is kept there, and must not hold any more
        tell(source, seed + 100, ids="later")
        assert copying.run()
        require_equal(source, target)
        assert not copying.run()

    def test_a_replaced_order_is_replaced(self, source: Storage, target: Storage, copying: Copy) -> None:
        """A day may have other events than before, and as many."""
        teller = Teller()
        source.apply(Batch(entries=[teller.purchase("2026-03-02T12:00", "A")]))
        copying.begin()
        copying.run()
        source.apply(Batch(entries=[teller.purchase("2026-03-02T11:00", "A", "9.00")]))
        copying.run()
        require_equal(source, target)
        assert len(target.history(_SPACE, KEY, 10)) == 1

    def test_figures_follow_what_came(self, source: Storage, target: Storage, copying: Copy) -> None:
        """Figures that were kept of a day hold no more once the next pass brought more of it."""
        teller = Teller()
        source.apply(Batch(entries=[teller.view(_NOON)]))
        copying.begin()
        copying.run()
        require_equal(source, target)
        source.apply(Batch(entries=[teller.view("2026-03-02T12:10")]))
        copying.run()
        require_equal(source, target)

    def test_a_visitor_may_come_in_anothers_place(self, source: Storage, target: Storage, copying: Copy) -> None:
        """Who was erased leaves nothing to who came after him, whatever number that one was given."""
        teller = Teller()
        source.apply(Batch(entries=[teller.of(key=key).view(_NOON) for key in ("a", "b")]))
        copying.begin()
        copying.run()
        source.erase(_SPACE, "b", instant("2026-03-02T13:00"))
        source.apply(Batch(entries=[teller.of(key="c").view("2026-03-02T12:30")]))
        copying.run()
        require_equal(source, target)
        assert target.history(_SPACE, "b", 10) == []
        assert len(target.history(_SPACE, "c", 10)) == 1

    def test_a_pass_that_was_cut_short_is_gone_on_with(self, source: Storage, target: Storage) -> None:
        """Wherever it ended, another brings the rest."""
        tell(source, 3)
        for most in range(1, 40, 6):
            told = iter(range(most))

            def stop(part: str, done: int, whole: int, *, told: Iterator[int] = told) -> None:
                if next(told, None) is None:
                    raise CutShortError

            copying = Copy(source, target, rows=10, progress=stop)
            copying.begin()
            try:
                copying.run()
            except CutShortError:
                continue
        Copy(source, target, rows=10).run()
        require_equal(source, target)

    def test_what_is_moved_goes_on_as_before(self, source: Storage, target: Storage, copying: Copy) -> None:
        """The target takes what comes, late events and refunds included, as the source would have."""
        teller = Teller()
        first = [teller.view(_NOON), teller.purchase("2026-03-02T12:05", "A"), teller.view("2026-03-02T14:00")]
        then = [
            teller.view("2026-03-02T13:40"),
            teller.refund("2026-03-03T09:00", "A", 1_000_000),
            teller.purchase("2026-03-02T11:00", "A", "9.00"),
            teller.view("2026-03-04T10:00"),
        ]
        source.apply(Batch(entries=first))
        copying.begin()
        copying.run()
        copying.open_target()
        outcomes = [each.apply(Batch(entries=[*then, *first])).counts() for each in (source, target)]
        assert outcomes[0] == outcomes[1]
        require_equal(source, target)

    def test_what_was_applied_is_not_applied_again(self, source: Storage, target: Storage, copying: Copy) -> None:
        """How far a spool is drained moves along: what follows is taken, what came before is not."""
        entry, late = Teller().view(_NOON), LateChange(_SPACE, change(op("increment", "n", 1), at=_NOON), 9)
        batch = Batch(entries=[entry], changes=[late], spans={"a": Span(0, 10)}, counts={"seen": 1})
        source.apply(batch)
        copying.begin()
        copying.run()
        copying.open_target()
        with self.unavailable("stale_position"):
            target.apply(batch)
        assert target.apply(Batch(entries=[entry], spans={"a": Span(10, 20)})).deduplicated == 1
        assert preferences(target) == {"n": 1}

    def test_rights_move(self, source: Storage, target: Storage, copying: Copy) -> None:
        """Who was erased, has opted out or refuses to be measured is known as such where he comes to."""
        source.apply(Batch(entries=[Teller().view(_NOON)]))
        source.erase(_SPACE, KEY, instant("2026-03-02T13:00"))
        source.suppress(_SPACE, KEY, _STOP)
        refusal = change(Operation("consent", "consents", "measure", [False, None]), at=_NOON, key="other")
        source.change_profile(_SPACE, refusal, timeout=30)
        copying.begin()
        copying.run()
        copying.open_target()
        teller = Teller()
        before = teller.view("2026-03-02T12:59")
        refused = teller.of(key="other").view("2026-03-02T14:00")
        after = teller.view("2026-03-02T14:00")
        outcome = target.apply(Batch(entries=[before, refused, after]))
        assert (outcome.stored, dict(outcome.dropped)) == (1, {"erased": 1, "no_consent": 1})
        assert target.erased_at(_SPACE, KEY) == instant("2026-03-02T13:00")
        assert target.suppressions(_SPACE, KEY) == [_STOP]
        early = change(op("set", "f", 1), at="2026-03-02T12:30")
        assert target.change_profile(_SPACE, early, timeout=30) == 0
        assert preferences(target) == {}

    def test_a_newer_change_is_not_overwritten(self, source: Storage, target: Storage, copying: Copy) -> None:
        """The time of each field moves along: what comes out of the spool later is put in its place."""
        source.change_profile(_SPACE, change(op("set", "f", "new"), at=_NOON), timeout=30)
        copying.begin()
        copying.run()
        copying.open_target()
        late = LateChange(_SPACE, change(op("set", "f", "old"), op("set", "g", 1), at="2026-03-02T11:00"), 1)
        target.apply(Batch(changes=[late]))
        assert preferences(target) == {"f": "new", "g": 1}

    def test_a_sealed_storage_changes_nothing(self, source: Storage) -> None:
        """It refuses with the reason `sealed`, so that all waits in the spool; it is read as before, and opens."""
        teller = Teller()
        source.apply(Batch(entries=[teller.view(_NOON)], spans={"a": Span(0, 1)}))
        source.change_profile(_SPACE, change(op("set", "f", 1), at=_NOON), timeout=30)
        source.moving().seal()
        assert source.moving().standing().sealed
        later = change(op("set", "f", 2), at=_NOON)
        refused = Batch(
            entries=[teller.view(_NOON)], changes=[LateChange(_SPACE, later, 1)], spans={"a": Span(1, 2)}
        )
        with self.unavailable("sealed"):
            source.apply(refused)
        with self.unavailable("sealed"):
            source.change_profile(_SPACE, later, timeout=30)
        with self.unavailable("sealed"):
            source.erase(_SPACE, KEY, instant(_NOON))
        with self.unavailable("sealed"):
            source.suppress(_SPACE, KEY, _STOP)
        assert source.ledger().positions == {"a": 1}
        assert preferences(source) == {"f": 1}
        assert len(source.history(_SPACE, KEY, 10)) == 1
        source.moving().open()
        assert source.apply(refused).stored == 1
        assert preferences(source) == {"f": 2}

    def test_only_a_sealed_storage_is_filled(self, source: Storage) -> None:
        """Nothing can be changed behind the back of a site that uses it."""
        moving = source.moving()
        with self.unavailable("not_sealed"):
            moving.put(COUNTERS, [("seen", 1)])
        with self.unavailable("not_sealed"):
            moving.drop(PROFILES, [(_SPACE, KEY)])
        with self.unavailable("not_sealed"):
            moving.drop_day(1)

    def test_it_remembers_what_it_was_filled_from(self, source: Storage, target: Storage, copying: Copy) -> None:
        """Each storage is told from all others, before it is opened and after."""
        assert source.moving().identity() == source.moving().identity() != target.moving().identity()
        assert target.moving().standing() == (False, None)
        copying.begin()
        assert target.moving().standing() == (True, source.moving().identity())
        copying.open_target()
        assert target.moving().standing() == (False, source.moving().identity())
        assert copying.is_finished

    def test_pages_have_every_row_once(self, source: Storage) -> None:
        """Whatever their size, pages of a part together have what is counted; rows are found by their keys."""
        tell(source, 1)
        moving = source.moving()
        for part in set(PARTS) & moving.keeps - {EVENTS}:
            rows = [row for page in pages(moving, part, 2) for row in page]
            keys = [row[: part.keys] for row in rows]
            assert len(set(keys)) == len(rows) == moving.count(part), part.name
            if keys:
                found = moving.find(part, [*keys, _unknown(keys[0])])
                assert sorted(found, key=repr) == sorted(rows, key=repr), part.name

    def test_a_day_is_marked_anew_when_its_events_change(self, source: Storage) -> None:
        """A day whose mark is the same has the same events."""
        teller = Teller()
        source.apply(Batch(entries=[teller.view(_NOON), teller.view("2026-03-05T12:00")]))
        before = source.moving().days()
        source.apply(Batch(entries=[teller.track("2026-03-05T09:00")]))
        after = source.moving().days()
        assert before.keys() == after.keys()
        assert [before[day] == after[day] for day in sorted(before)] == [True, False]
        source.erase(_SPACE, KEY, instant("2026-04-01T00:00"))
        assert all(source.moving().days()[day] != after[day] for day in before)

    def test_with_a_visitor_goes_all_of_him(self, source: Storage) -> None:
        """What is recorded of a visitor who is dropped is gone with his row."""
        teller = Teller()
        source.apply(
            Batch(entries=[teller.view(_NOON), teller.purchase(_NOON, "A"), teller.refund(_NOON, "A", 1)])
        )
        source.apply(Batch(entries=[teller.of(key="other").view(_NOON)]))
        moving = source.moving()
        moving.seal("elsewhere")
        moving.drop(VISITORS, [(_SPACE, KEY)])
        moving.open()
        assert source.history(_SPACE, KEY, 10) == []
        assert len(source.history(_SPACE, "other", 10)) == 1
        assert [moving.count(part) for part in (ORDERS, REFUNDS)] == [0, 0]


def _unknown(like: Key) -> Key:
    """Make up a key that no row has."""
    return tuple(_other(value) for value in like)


def _other(value: object) -> object:
    if isinstance(value, bytes):
        return b"\0" + value
    return f"no {value}" if isinstance(value, str) else -7
