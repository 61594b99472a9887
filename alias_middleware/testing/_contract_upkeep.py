"""The part of the storage contract about what of its roll-ups is stale: nobody finds work that was left undone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from alias_middleware.rollups.model import Days
from alias_middleware.storage.base import Batch, Question, Scope, Storage
from alias_middleware.testing._contract_case import ContractCase
from alias_middleware.testing._contract_figures import compare
from alias_middleware.testing._retelling import retold
from alias_middleware.testing.histories import KEY, NEWS, SHOP, Teller, local_day, random_history

_NEWS, _SHOP = Scope(NEWS.namespace, NEWS.service), Scope(SHOP.namespace, SHOP.service)
_DAY = local_day("2026-03-02")
_MOST = 1_000


def _oldest(storage: Storage) -> tuple[Scope, Days] | None:
    return next(iter(storage.stale()), None)


def _roll_up_all(storage: Storage) -> list[tuple[Scope, Days]]:
    """Ask for what is stale until nothing is, and give what was."""
    done: list[tuple[Scope, Days]] = []
    while (oldest := _oldest(storage)) is not None:
        scope, days = oldest
        storage.rollups([Question(scope, [days], ("presence",))])
        done.append(oldest)
        assert len(done) < _MOST, "what was just asked for is stale still"
    return done


class UpkeepContract(ContractCase):
    """A storage that keeps roll-ups names those that no longer hold, and asking for them is all there is to do."""

    @pytest.fixture
    def keeping(self, storage: Storage) -> Storage:
        """The storage under test, where it keeps roll-ups."""
        if type(storage).stale is Storage.stale:
            pytest.skip("it keeps no roll-ups")
        return storage

    def test_days_are_stale_until_they_are_asked_for(self, keeping: Storage) -> None:
        """The oldest comes first, each service by itself."""
        tell = Teller()
        batch = [tell.view("2026-03-03T12:00"), tell.of(origin=SHOP).view("2026-03-02T12:00")]
        assert not keeping.stale()
        keeping.apply(Batch(entries=batch))
        assert _roll_up_all(keeping) == [(_SHOP, (_DAY, _DAY + 1)), (_NEWS, (_DAY + 1, _DAY + 2))]

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(
                lambda storage: storage.apply(Batch(entries=[Teller().of(key="b").view("2026-03-02T09:00")])),
                id="a late event",
            ),
            pytest.param(
                lambda storage: storage.apply(Batch(unidentified={(NEWS, _DAY): 3})),
                id="page views without an alias",
            ),
            pytest.param(lambda storage: storage.erase(NEWS.namespace, KEY, 2**50), id="an erasure"),
        ],
    )
    def test_a_day_that_changes_is_stale_again(
        self, keeping: Storage, change: Callable[[Storage], object]
    ) -> None:
        """Whatever changes it."""
        keeping.apply(Batch(entries=[Teller().view("2026-03-02T12:00")]))
        _roll_up_all(keeping)
        change(keeping)
        assert _roll_up_all(keeping) == [(_NEWS, (_DAY, _DAY + 1))]

    @pytest.mark.parametrize("seed", range(2))
    def test_what_was_kept_up_is_exact(self, keeping: Storage, seed: int) -> None:
        """On any history, rolled up after every batch of it."""
        history = random_history(seed)
        for reference in retold(history, seed, keeping, after=lambda: _roll_up_all(keeping)):
            _roll_up_all(keeping)
            compare(keeping, reference, history)
            assert keeping.verify(history.days.start, history.days.stop) == []
