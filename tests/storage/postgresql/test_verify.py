"""Checking a server's data: everything derived is worked out anew, and what differs is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alias_middleware.storage.base import Batch, Difference, Question, Scope
from alias_middleware.storage.postgresql import PostgreSQLStorage
from alias_middleware.testing.histories import NEWS, SHOP, Teller, local_day
from tests.storage.postgresql.test_schema import opened
from tests.support.postgresql import PostgreSQLServer, schema_of

DAY = local_day("2026-03-02")
SPACE = NEWS.namespace

Change = Callable[[str], None]


@pytest.fixture
def storage(debian_postgresql: PostgreSQLServer, tmp_path: Path) -> Iterator[PostgreSQLStorage]:
    """A storage with some history, of which everything was asked."""
    storage = opened(debian_postgresql, tmp_path)
    tell = Teller()
    refunded = tell.of(origin=SHOP)
    storage.apply(
        Batch(
            entries=[
                tell.view("2026-03-02T12:00"),
                tell.view("2026-03-02T14:00", channel="sms"),
                refunded.purchase("2026-03-03T12:00", "A", "3.00"),
                refunded.refund("2026-03-04T12:00", "A", 1_000_000),
                tell.of(key="other").view("2026-03-02T12:00"),
            ]
        )
    )
    storage.rollups([Question(Scope(SPACE, None), [(DAY, DAY + 5)], ("hours",))])
    yield storage
    storage.close()


@pytest.fixture
def change(debian_postgresql: PostgreSQLServer, tmp_path: Path) -> Change:
    """Change something in the storage's tables behind its back."""

    def change(statement: str) -> None:
        debian_postgresql.sql(f"SET search_path = {schema_of(tmp_path)}; {statement}")

    return change


def test_all_is_well(storage: PostgreSQLStorage) -> None:
    """Nothing differs, and nothing is changed by asking."""
    assert storage.verify(DAY, DAY + 5) == storage.verify(DAY, DAY + 5) == []


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        pytest.param(
            "UPDATE rollups SET body = (SELECT body FROM rollups WHERE section = 'hours' AND channel = 'sms' "
            "AND service = 1 AND day = {day}) WHERE section = 'hours' AND channel = 'web' AND service = 1 "
            "AND day = {day}",
            [Difference("hours", "news", DAY, "web")],
            id="a kept roll-up",
        ),
        pytest.param(
            "DELETE FROM rollups WHERE section = 'arrivals' AND service = 2 AND day = {day} + 1",
            [Difference("arrivals", "shop", DAY + 1, "")],
            id="a part of a kept roll-up that is gone",
        ),
        pytest.param(
            "UPDATE visitors SET knowledge = replace(convert_from(knowledge, 'UTF8'), ',3,2,', ',4,2,')::bytea",
            [Difference("knowledge.visits", visitor=1)],
            id="a visitor's visits",
        ),
        pytest.param(
            "UPDATE visitors SET knowledge = replace(convert_from(knowledge, 'UTF8'), '\"EUR\":2', "
            "'\"EUR\":9')::bytea",
            [Difference("knowledge.revenue", visitor=1)],
            id="what an order is worth after its refund",
        ),
        pytest.param(
            "UPDATE arrivals SET day = day - 1 WHERE key = 'other'",
            [Difference("arrivals", "news", DAY, ""), Difference("arrivals", visitor=2)],
            id="when a visitor arrived",
        ),
        pytest.param(
            "DELETE FROM visitors WHERE key = 'other'; DELETE FROM rolled_days; "
            "DELETE FROM numbers WHERE key = 'other'",
            [Difference("visitors", visitor=3)],
            id="a visitor whose row is gone, and his number, which nobody gets again",
        ),
    ],
)
def test_differences_are_named(
    storage: PostgreSQLStorage, change: Change, statement: str, found: list[Difference]
) -> None:
    """Kept roll-ups, visitors' rows and arrivals are compared with the raw events; nothing is mended."""
    change(statement.format(day=DAY))
    assert storage.verify(DAY, DAY + 5) == found
    assert storage.verify(DAY, DAY + 5) == found
