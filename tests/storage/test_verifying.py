"""Checking what visitors favour: each kind of damage is named, and what nobody can know is not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from alias_middleware.habits import CATEGORIES_KEPT, Habits, Strength, encode_habits
from alias_middleware.storage import open_storage
from alias_middleware.storage.base import Batch, Difference, Origin, Storage
from alias_middleware.storage.custody import Cut
from alias_middleware.storage.postgresql import PostgreSQLStorage
from alias_middleware.storage.postgresql import verify as postgresql_verify
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.storage.sqlite import verify as sqlite_verify
from alias_middleware.testing._contract_tastes import habits
from alias_middleware.testing.histories import KEY, NEWS, Teller, instant, local_day, random_history
from tests.support.postgresql import EVERY_STORAGE, url_of
from tests.support.postgresql import KEY as SECRET

SPACE = NEWS.namespace
EVER = local_day("2020-01-01"), local_day("2030-01-01")
NOON = "2026-03-02T12:00"
HABITS, KNOWLEDGE = Difference("habits", visitor=1), Difference("knowledge", visitor=1)


@pytest.fixture(params=EVERY_STORAGE[1:])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    """A storage with a visitor who favours something."""
    storage = open_storage(url_of(request.param, tmp_path, request), secret_keys=[SECRET])
    tell = Teller()
    storage.apply(
        Batch(
            entries=[
                tell.view(NOON, path="/", title="Home"),
                tell.view("2026-03-02T12:01", path="/football", category="sport"),
                tell.track("2026-03-02T12:02", "cart", category="sport"),
                tell.purchase("2026-03-02T12:03", "A", category="music"),
                tell.purchase("2026-03-02T12:04", "B", category="sport"),
                tell.refund("2026-03-02T12:05", "B"),
                tell.of(key="other").view(NOON, category="sport"),
            ]
        )
    )
    assert storage.verify(*EVER) == []
    yield storage
    storage.close()


def execute(storage: Storage, statement: str, *values: Any) -> None:
    """Change something in the storage's tables behind its back."""
    if isinstance(storage, SQLiteStorage):
        with closing(sqlite3.connect(storage.path, isolation_level=None)) as sql:
            assert sql.execute(statement, values).rowcount == 1
        return
    assert isinstance(storage, PostgreSQLStorage)
    with storage._pool.connection(5) as connection:
        assert connection.execute(statement.replace("?", "%s").encode(), values).rowcount == 1


def stored(storage: Storage, category: str) -> str | bytes:
    """Give a category as tables have it."""
    return category.encode() if isinstance(storage, PostgreSQLStorage) else category


def keep(storage: Storage, column: str, value: bytes, key: str = KEY) -> None:
    """Put other bytes into a visitor's row."""
    if isinstance(storage, SQLiteStorage):
        whose = "visitor = (SELECT id FROM visitors WHERE key = ?)"
        execute(storage, f"UPDATE chronicles SET {column} = ? WHERE {whose}", value, key)
    else:
        execute(storage, f"UPDATE visitors SET {column} = ? WHERE key = ?", value, key)


def lose(names: dict[str, Any], name: str) -> None:
    del names[name]


def put(one: Any, **values: Any) -> None:
    for field, value in values.items():
        setattr(one, field, value)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda kept: put(kept.categories["sport"], pages=2), id="pages"),
        pytest.param(lambda kept: put(kept.categories["sport"], carts=0), id="carts"),
        pytest.param(lambda kept: put(kept.categories["sport"], purchases=1), id="an order that was cancelled"),
        pytest.param(lambda kept: put(kept.categories["sport"], since_s=1), id="since when"),
        pytest.param(lambda kept: put(kept.categories["sport"], recent=16.0), id="a decayed sum"),
        pytest.param(lambda kept: lose(kept.categories, "music"), id="a category that is lost"),
        pytest.param(lambda kept: kept.categories.update(news=Strength(1.0, 1)), id="a category he never saw"),
        pytest.param(lambda kept: put(kept.pages["/"], recent=4.0), id="the decayed sum of a page"),
        pytest.param(lambda kept: put(kept.pages["/"], title="Another"), id="a title"),
        pytest.param(lambda kept: put(kept.pages["/"], titled_s=1), id="the time of a title"),
        pytest.param(lambda kept: lose(kept.pages, "/football"), id="a page that is lost"),
    ],
)
def test_what_is_kept_otherwise_is_named(storage: Storage, damage: Callable[[Habits], None]) -> None:
    """Everything that a row has of habits is compared; nothing is mended."""
    kept = habits(storage, SPACE, KEY)
    damage(kept)
    keep(storage, "habits", encode_habits(kept))
    assert storage.verify(*EVER) == storage.verify(*EVER) == [HABITS]


def test_sums_may_be_rounded_otherwise(storage: Storage) -> None:
    """By less than a thousand millionth."""
    kept = habits(storage, SPACE, KEY)
    strength = kept.categories["sport"]
    for factor, found in ((1 + 1e-10, []), (1 - 1e-10, []), (1 + 1e-8, [HABITS]), (1 - 1e-8, [HABITS])):
        put(strength, recent=strength.recent * factor)
        keep(storage, "habits", encode_habits(kept))
        assert storage.verify(*EVER) == found
        put(strength, recent=strength.recent / factor)


@pytest.mark.parametrize(
    "kept", [b"[{broken", b"\xff", b'[{"\xff":[1.0]}]', b'[{"sport":[null]}]', b"", b"[{},{}]"]
)
def test_what_does_not_decode_is_named(storage: Storage, kept: bytes) -> None:
    """So is a row of habits that is empty."""
    keep(storage, "habits", kept)
    assert storage.verify(*EVER) == [HABITS]


def test_knowledge_that_does_not_decode_is_named(storage: Storage) -> None:
    """What else there is of the visitor is compared where it can be."""
    keep(storage, "knowledge", b"[1,\xff")
    assert storage.verify(*EVER) == [KNOWLEDGE]
    keep(storage, "habits", b"[1,\xff")
    assert storage.verify(*EVER) == [KNOWLEDGE, HABITS]


@pytest.mark.parametrize(
    ("statement", "namespace", "category"),
    [
        pytest.param(
            "UPDATE category_sums SET whole = whole + 1 WHERE category = ?", SPACE, "sport", id="a count"
        ),
        pytest.param(
            "UPDATE category_sums SET recent = recent * 1.00000001 WHERE category = ?", SPACE, "sport", id="a sum"
        ),
        pytest.param("DELETE FROM category_sums WHERE category = ?", SPACE, "music", id="a row that is lost"),
        pytest.param("INSERT INTO category_sums VALUES ('portal', ?, 1, 1)", SPACE, "news", id="one too many"),
        pytest.param(
            "INSERT INTO category_sums VALUES ('nobodys', ?, 1, 1)", "nobodys", "sport", id="one of nobody's"
        ),
    ],
)
def test_everybodys_sums_are_compared(storage: Storage, statement: str, namespace: str, category: str) -> None:
    """Each category that differs is named, with its namespace."""
    execute(storage, statement, stored(storage, category))
    assert storage.verify(*EVER) == [Difference("category sums", namespace=namespace, category=category)]


@pytest.mark.parametrize("change", ["net = net - 1", "cancelled = NOT cancelled", "currency = 'CHF'"])
def test_what_is_left_of_an_order_is_compared(storage: Storage, change: str) -> None:
    """What an order's row says of it is worked out from its raw event and its refunds."""
    execute(storage, f"UPDATE orders SET {change} WHERE net > 0")
    assert storage.verify(*EVER) == [Difference("orders", visitor=1)]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(["DELETE FROM orders WHERE net > 0"], id="an order"),
        pytest.param(["DELETE FROM refunds"], id="a refund"),
        pytest.param(["DELETE FROM refunds", "UPDATE orders SET net = 3000000, cancelled = FALSE WHERE net = 0"],
                     id="a refund and what it did"),
    ],
)  # fmt: skip
def test_an_order_and_its_refunds_are_those_of_the_raw_events(storage: Storage, changes: list[str]) -> None:
    """What was lost of the tables of orders is missed, though the tables agree with each other."""
    for change in changes:
        execute(storage, change)
    assert Difference("orders", visitor=1) in storage.verify(*EVER)


def test_a_day_that_figures_do_not_have_is_named(storage: Storage) -> None:
    """Its mark is lost, by which they know that there was such a day; that of a day of refunds alone is none."""
    execute(storage, "DELETE FROM changes")
    assert storage.verify(*EVER) == [Difference("day", NEWS.service, local_day("2026-03-02"))]
    assert storage.verify(0, local_day("2026-03-02")) == []


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_some_visitors_at_a_time(storage: Storage, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """Wherever they are parted, everybody is compared with his own events, of whichever namespace."""
    monkeypatch.setattr(sqlite_verify, "_AT_ONCE", at_once)
    monkeypatch.setattr(postgresql_verify, "_VISITORS_AT_ONCE", at_once)
    for phase in random_history(1).phases:
        storage.apply(Batch(entries=phase.entries))
    assert storage.verify(*EVER) == []
    execute(storage, "DELETE FROM visitors WHERE key = ?", KEY)
    assert storage.verify(*EVER) == [Difference("visitors", visitor=1)]


def test_what_was_before_the_purge_is_known_from_rows_alone(storage: Storage) -> None:
    """They are not compared, and count as they are in everybody's sums; what does not decode is still named."""
    later = Teller(key="later", ids=iter(range(100, 110))).view("2026-04-02T12:00", category="sport")
    storage.apply(Batch(entries=[later]))
    before = local_day("2026-04-01")
    cut = Cut(raw_before=before, idle_since_day=local_day("2020-01-01"), idle_since_us=0)
    storage.custody().purge(SPACE, cut, dry_run=False)
    assert storage.verify(*EVER) == []
    whole = storage.category_sums(SPACE)["sport"].whole
    execute(storage, "UPDATE category_sums SET whole = whole + 1 WHERE category = ?", stored(storage, "sport"))
    named = [Difference("category sums", namespace=SPACE, category="sport")]
    assert storage.verify(*EVER) == named
    kept = habits(storage, SPACE, KEY)
    put(kept.categories["sport"], carts=2, pages=-1)
    keep(storage, "habits", encode_habits(kept))
    assert storage.category_sums(SPACE)["sport"].whole == whole + 1
    assert storage.verify(*EVER) == []
    keep(storage, "habits", b"[{broken")
    assert storage.verify(*EVER) == [HABITS]


def test_a_visit_gap_of_days_over_the_purge(storage: Storage) -> None:
    """Who came within it after the purge may have lost page views of which titles and times are still known."""
    slow = Origin(service="slow", namespace=SPACE, visit_gap_us=47 * 3_600_000_000)
    tell = Teller(key="slow", origin=slow, ids=iter(range(100, 120)))
    log = [tell.view(f"2026-04-0{day}T12:00", title=f"Day {day}", category="sport") for day in (2, 8)]
    storage.apply(Batch(entries=log, imported=True))
    cut = Cut(raw_before=local_day("2026-04-02"), idle_since_day=local_day("2020-01-01"), idle_since_us=0)
    storage.custody().purge(SPACE, cut, dry_run=False)
    live = storage.apply(Batch(entries=[tell.view("2026-04-07T12:00")]))
    assert live.taken_back == 1
    assert storage.verify(*EVER) == []


def test_beyond_the_bound_of_categories(storage: Storage) -> None:
    """What is forgotten then depends on what came first: everybody's sums are compared, the visitor's are not."""
    tell = Teller(key="everywhere", ids=iter(range(100, 10_000)))
    at = instant(NOON)
    entries = [tell.view(at + number, category=f"c{number}") for number in range(CATEGORIES_KEPT + 20)]
    storage.apply(Batch(entries=entries))
    assert len(habits(storage, SPACE, "everywhere").categories) < len(entries)
    assert storage.verify(*EVER) == []
