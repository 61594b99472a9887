"""Orders whose items stand on lines of their own, as shops export them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alias_middleware import Tracker
from alias_middleware.events import ITEMS_LIMIT, Purchase
from alias_middleware.imports import run
from alias_middleware.imports.lines import opened
from alias_middleware.imports.records import Records
from alias_middleware.imports.tables import OrderReader
from alias_middleware.imports.views import UNREADABLE
from alias_middleware.storage.base import Entry
from alias_middleware.storage.sqlite import SQLiteStorage
from tests.imports.test_run import KILLED, command, figures, imported, told

ALIAS, OTHER_ALIAS = "314522927347", "000000000001"
HEADER = "alias,order_id,time,currency,amount,sku\n"


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SQLiteStorage]:
    found = SQLiteStorage(f"sqlite:///{tmp_path}/alias.db")
    yield found
    found.close()


def row(order: str, amount: str, sku: str = "rt-1", *, alias: str = ALIAS, currency: str = "EUR") -> str:
    return f"{alias},{order},2026-03-02T12:05:00+01:00,{currency},{amount},{sku}\n"


def take(tmp_path: Path, *rows: str) -> dict[str, int]:
    path = tmp_path / "orders.csv"
    path.write_text(HEADER + "".join(rows))
    return told(imported(tmp_path, path, what="purchases"))


def rejected(tmp_path: Path) -> str:
    path = tmp_path / "orders.csv.rejected"
    return path.read_text() if path.exists() else ""


def orders(storage: SQLiteStorage, alias: str = ALIAS) -> dict[str, list[tuple[str, str]]]:
    """Each order's items, by SKU and price."""
    events = storage.history("simulated", alias, 10_000)
    found = [event for event in events if isinstance(event, Purchase)]
    return {each.order_id: [(item.sku, str(item.price)) for item in each.items] for each in found}


def test_consecutive_lines_are_one_order(tmp_path: Path, storage: SQLiteStorage) -> None:
    """Each line is an item, equal ones and rebates too; the next order, or the same id of another, begins anew."""
    bought = [row("A", "2.00"), row("A", "2.00"), row("A", "-0.50", "rebate"), row("B", "1.00"), row("B", "3.00")]
    found = take(tmp_path, *bought, row("B", "4.00", alias=OTHER_ALIAS))
    assert (found["read"], found["stored"], found["further items of an order"]) == (7, 3, 3)
    assert orders(storage)["A"] == [("rt-1", "2.00"), ("rt-1", "2.00"), ("rebate", "-0.50")]
    assert orders(storage)["B"] == [("rt-1", "1.00"), ("rt-1", "3.00")]
    assert orders(storage, OTHER_ALIAS) == {"B": [("rt-1", "4.00")]}
    assert sum(group.revenue for group in figures(storage).baskets["EUR"].values()) == 11_500_000


def test_the_same_orders_again_change_nothing(tmp_path: Path, storage: SQLiteStorage) -> None:
    """They are known, in a file that is another by its other lines as well."""
    order = [row("A", "2.00"), row("A", "3.00", "rt-2")]
    take(tmp_path, *order)
    found = take(tmp_path, row("Z", "1.00"), *order)
    assert (found["stored"], found["known already"]) == (1, 1)
    assert "of these with another content, left out" not in found
    assert len(orders(storage)["A"]) == 2


def test_lines_of_an_order_that_stand_apart_are_told(tmp_path: Path, storage: SQLiteStorage) -> None:
    """They are not added up, so it must not go unnoticed."""
    found = take(tmp_path, row("A", "2.00"), row("B", "1.00"), row("A", "3.00", "rt-2"))
    assert (found["stored"], found["known already"]) == (2, 1)
    assert found["of these with another content, left out"] == 1


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(row("A", "two"), id="an amount that is none"),
        pytest.param(row("A", "1.00", currency="USD"), id="another currency"),
        pytest.param(row("A", "-9.00"), id="a whole below zero"),
        pytest.param(row("A", "1.00").replace("+01:00", ""), id="a time without its zone"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_order_is_rejected_as_a_whole(tmp_path: Path, storage: SQLiteStorage, bad: str, place: int) -> None:
    """A part of it must not stand for it: mended, it can be imported from the rejected lines."""
    lines = [row("A", "2.00"), row("A", "3.00", "rt-2")]
    lines.insert(place, bad)
    found = take(tmp_path, *lines, row("B", "1.00"))
    assert (found["stored"], found["left out: unreadable"]) == (1, 3)
    assert rejected(tmp_path) == "".join(lines)
    assert orders(storage).keys() == {"B"}


def test_an_order_without_end_is_rejected(
    tmp_path: Path, storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines do not gather in memory, nor does the rest of them count as another order."""
    monkeypatch.setattr(run, "BATCH_LINES", 7)
    endless = [row("A", "0.01")] * (ITEMS_LIMIT + 25)
    found = take(tmp_path, *endless, row("B", "1.00"))
    assert (found["stored"], found["left out: unreadable"]) == (1, len(endless))
    assert rejected(tmp_path) == "".join(endless)
    assert orders(storage).keys() == {"B"}


def test_an_endless_order_is_known_when_an_import_goes_on_within_it(tmp_path: Path) -> None:
    """What was rejected of it before is read again, so that no part of the rest is taken for an order."""
    path = tmp_path / "orders.csv"
    path.write_text(HEADER + row("A", "0.01") * (ITEMS_LIMIT + 25) + row("B", "1.00"))
    tracker = Tracker(service="simulated", storage="memory://", trusted_gateways=[])
    with opened(path) as lines:
        reader = OrderReader(tracker.settings, key_of=tracker.key_of)
        found = [found for found, _ in Records(lines, reader, 1 + ITEMS_LIMIT + 10)]
    assert found[:-1] == [UNREADABLE] * 15
    assert isinstance(found[-1], Entry)
    tracker.close()


def test_a_line_still_being_written_keeps_its_order_waiting(tmp_path: Path, storage: SQLiteStorage) -> None:
    """The next import finds the whole order."""
    whole = [*(row(f"N{number}", "1.00") for number in range(2000)), row("A", "2.00"), row("A", "3.00")]
    path = tmp_path / "orders.csv"
    path.write_text((HEADER + "".join(whole))[:-12])
    found = told(imported(tmp_path, path, what="purchases"))
    assert (found["stored"], found["left out: unfinished"]) == (2000, 2)
    found = take(tmp_path, *whole)
    assert (found["taken over before"], found["stored"]) == (2001, 1)
    assert len(orders(storage)["A"]) == 2
    assert rejected(tmp_path) == ""


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_within_orders(
    tmp_path: Path, storage: SQLiteStorage, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch ends with an order: begun again no order is lost, doubled, cut in two, or rejected twice."""
    lengths = [1 + number % 7 for number in range(100)]
    rows = [[row(f"CMD-{at}", "0.50", f"s{item}") for item in range(length)] for at, length in enumerate(lengths)]
    for at in range(0, 100, 10):
        rows[at][-1] = row(f"CMD-{at}", "bad")
    path = tmp_path / "orders.csv"
    path.write_text(HEADER + "".join(line for lines in rows for line in lines))
    arguments = command(tmp_path, "purchases", str(path))
    process = subprocess.run([sys.executable, "-c", KILLED, when, *arguments], check=False, env=os.environ)
    assert process.returncode == -signal.SIGKILL
    assert 0 < len(orders(storage)) < 90
    monkeypatch.setattr(run, "BATCH_LINES", 50)
    found = told(imported(tmp_path, path, what="purchases"))
    assert found["known already"] == 0
    expected = {f"CMD-{at}": length for at, length in enumerate(lengths) if at % 10}
    assert {order: len(items) for order, items in orders(storage).items()} == expected
    assert rejected(tmp_path) == "".join(line for at in range(0, 100, 10) for line in rows[at])
