"""From alias to number: the quota to the last conversion, a reason for each, and no number anywhere."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alias_middleware.desaliasing import Desaliasing
from alias_middleware.draw import draw_winner
from alias_middleware.errors import QuotaSpent, StorageUnavailable
from alias_middleware.settings import make_settings
from alias_middleware.storage import open_storage
from alias_middleware.storage.base import Storage
from alias_middleware.storage.conversions import Conversion, Conversions
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.testing.histories import instant
from tests.support.postgresql import EVERY_STORAGE, KEY, url_of
from tests.support.spools import entropy

ALIAS = "314522927347"
NUMBER = "+33677236335"
NOON = instant("2026-03-02T12:00")
WHY: dict[str, Any] = {"reason": "contest of March", "requester": "M. Martin"}


def make(storage: Storage, *, at: int = NOON, **settings: Any) -> Desaliasing:
    given = {"service": "sonneries", "trusted_gateways": ["10.12.0.0/16"], **settings}
    return Desaliasing(storage.conversions, make_settings(given), now=lambda: at, entropy=entropy(at))


def number_of(alias: str) -> str:
    return NUMBER


def test_a_conversion_is_spent_and_audited(caplog: pytest.LogCaptureFixture) -> None:
    """Who asked and why stands in the audit, neither the alias nor the number does."""
    caplog.set_level(logging.DEBUG)
    desaliasing = make(MemoryStorage())
    assert desaliasing.convert(ALIAS, number_of, **WHY) == NUMBER
    assert desaliasing.standing() == ("publisher", "2026-03", 100, 1)
    (row,) = desaliasing.audit()
    assert (row.reason, row.requester, row.time_us) == ("contest of March", "M. Martin", NOON)
    for secret in (ALIAS, NUMBER):
        assert secret not in repr(row) + caplog.text


def test_a_failed_conversion_is_given_back() -> None:
    """The extranet did not answer: the quota is as before, the attempt is told."""

    def fail(alias: str) -> str:
        raise TimeoutError

    desaliasing = make(MemoryStorage())
    with pytest.raises(TimeoutError):
        desaliasing.convert(ALIAS, fail, **WHY)
    assert desaliasing.standing().spent == 0
    assert [row.given_back for row in desaliasing.audit("2026-03")] == [True]


@pytest.mark.parametrize(
    ("alias", "why"),
    [
        pytest.param("33677236335", WHY, id="a phone number"),
        pytest.param(ALIAS, {**WHY, "reason": " "}, id="no reason"),
        pytest.param(ALIAS, {**WHY, "requester": ""}, id="nobody asks"),
    ],
)
def test_what_is_refused_costs_nothing(alias: str, why: dict[str, Any]) -> None:
    """The error does not show the value."""
    desaliasing = make(MemoryStorage())
    with pytest.raises(ValueError, match=r"no alias|needs a") as refused:
        desaliasing.convert(alias, number_of, **why)
    assert alias not in str(refused.value)
    assert desaliasing.audit() == []


def test_the_month_is_the_operators() -> None:
    """A new quota begins at midnight in Paris, wherever the service's visitors are."""
    storage = MemoryStorage()
    last = instant("2026-03-31T23:59:59")
    there = {"zone": "America/Martinique", "desalias_quota": 1}
    make(storage, at=last, **there).convert(ALIAS, number_of, **WHY)
    with pytest.raises(QuotaSpent, match="1 conversions of 2026-03") as spent:
        make(storage, at=last - 1, **there).convert(ALIAS, number_of, **WHY)
    assert (spent.value.limit, spent.value.month) == (1, "2026-03")
    make(storage, at=last + 1_000_000, **there).convert(ALIAS, number_of, **WHY)
    assert make(storage, at=last + 1_000_000, **there).standing() == ("publisher", "2026-04", 1, 1)


@pytest.mark.parametrize(("scope", "spent"), [("publisher", 2), ("service", 1)])
def test_whose_quota_it_is(scope: str, spent: int) -> None:
    """One for all of the publisher's services by default; one for each where the settings say so."""
    storage = MemoryStorage()
    for number, service in enumerate(("a", "b")):
        each = make(storage, service=service, desalias_quota_scope=scope, at=NOON + number)
        each.convert(ALIAS, number_of, **WHY)
    assert make(storage, service="a", desalias_quota_scope=scope).standing().spent == spent


@pytest.fixture(params=EVERY_STORAGE[1:])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    """A new storage of each kind that lasts."""
    storage = open_storage(url_of(request.param, tmp_path, request), secret_keys=[KEY])
    yield storage
    storage.close()


def test_a_winner_is_drawn_and_found(storage: Storage) -> None:
    """The audit keeps what verifies the draw, and not the winner."""
    people = [f"{number:012}" for number in range(20)]
    desaliasing = make(storage)
    asked: list[str] = []

    def look_up(alias: str) -> str:
        asked.append(alias)
        return NUMBER

    drawn, number = desaliasing.draw(people, look_up, **WHY)
    assert number == NUMBER
    assert asked == [drawn.winner]
    assert draw_winner(people, drawn.seed) == drawn
    (row,) = desaliasing.audit()
    assert drawn.seed in row.detail
    assert drawn.digest in row.detail
    assert drawn.winner not in row.detail


def test_a_list_is_checked_before_anybody_is_drawn() -> None:
    """A line that is no alias costs neither a conversion nor another seed; it is named by its place."""
    desaliasing = make(MemoryStorage())
    with pytest.raises(ValueError, match="participant 2 is no alias") as refused:
        desaliasing.draw([ALIAS, "33677236335", ALIAS], number_of, **WHY)
    assert "33677236335" not in str(refused.value)
    assert desaliasing.audit() == []


def test_two_hundred_at_once_get_exactly_a_hundred(storage: Storage) -> None:
    """The quota is neither overspent nor wasted."""
    got: list[str] = []

    def convert(number: int) -> None:
        try:
            got.append(make(storage, at=NOON + number).convert(ALIAS, number_of, **WHY))
        except QuotaSpent:
            got.append("")

    threads = [threading.Thread(target=convert, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got).count(NUMBER) == 100
    assert len(got) == 200


class Unheard(Conversions):
    """A ledger that spends, and whose answer is lost as often as it is told."""

    def __init__(self, ledger: Conversions) -> None:
        self.ledger, self.lost = ledger, 0

    def spend(self, conversion: Conversion, limit: int) -> int | None:
        left = self.ledger.spend(conversion, limit)
        self._answer()
        return left

    def give_back(self, conversion_id: int) -> None:
        self.ledger.give_back(conversion_id)
        self._answer()

    def conversions(self, scope: str, month: str) -> list[Conversion]:
        return self.ledger.conversions(scope, month)

    def _answer(self) -> None:
        if self.lost:
            self.lost -= 1
            raise StorageUnavailable("the answer was lost", reason="down")


@pytest.mark.parametrize("lost", [1, 2, 3, 4, 5])
def test_a_lost_answer_costs_nothing(lost: int) -> None:
    """Asked again it counts once; where that is lost, too, what may be spent is given back before the next."""
    ledger = Unheard(MemoryStorage().conversions())
    settings = make_settings({"service": "sonneries", "trusted_gateways": ["10.12.0.0/16"], "desalias_quota": 2})
    desaliasing = Desaliasing(lambda: ledger, settings, now=lambda: NOON, entropy=entropy(1))
    ledger.lost = lost
    asked: list[str] = []
    for _ in range(5):
        try:
            desaliasing.convert(ALIAS, asked.append, **WHY)
            break
        except StorageUnavailable:
            assert asked == []
    assert (asked, desaliasing.standing().spent) == ([ALIAS], 1)
    desaliasing.convert(ALIAS, number_of, **WHY)
    with pytest.raises(QuotaSpent):
        desaliasing.convert(ALIAS, number_of, **WHY)


class Deaf(Unheard):
    """A ledger that is away as often as it is told: it gives nothing back then."""

    def give_back(self, conversion_id: int) -> None:
        self._answer()
        self.ledger.give_back(conversion_id)


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_what_failed_is_given_back_when_the_ledger_answers_again(lost: int) -> None:
    """Both the extranet and the storage are away: the quota does not pay for it."""
    ledger = Deaf(MemoryStorage().conversions())
    settings = make_settings({"service": "sonneries", "trusted_gateways": ["10.12.0.0/16"], "desalias_quota": 1})
    desaliasing = Desaliasing(lambda: ledger, settings, now=lambda: NOON, entropy=entropy(1))

    def fail(alias: str) -> str:
        ledger.lost = lost
        raise TimeoutError

    with pytest.raises((TimeoutError, StorageUnavailable)):
        desaliasing.convert(ALIAS, fail, **WHY)
    if ledger.lost:
        with pytest.raises(StorageUnavailable):
            desaliasing.convert(ALIAS, number_of, **WHY)
    assert desaliasing.convert(ALIAS, number_of, **WHY) == NUMBER
