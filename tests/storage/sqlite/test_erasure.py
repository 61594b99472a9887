"""An erasure leaves no byte behind, and one that was cut short is finished."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from alias_middleware.profile import StoredProfile
from alias_middleware.storage.base import Batch
from alias_middleware.storage.moving import VISITORS
from alias_middleware.storage.outbox import Suppression
from alias_middleware.storage.sqlite import SQLiteStorage, erasure
from alias_middleware.testing._contract_case import counted
from alias_middleware.testing._contract_erasure import populate
from alias_middleware.testing.histories import KEY, NEWS, Teller, instant

SPACE = NEWS.namespace
NOON = instant("2026-03-02T12:00")
ERASED = instant("2026-03-03T12:00")


@pytest.fixture
def storage(sqlite_storage: SQLiteStorage) -> SQLiteStorage:
    return sqlite_storage


def files_with(folder: Path, text: str) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if text.encode() in path.read_bytes())


def test_no_byte_is_left(storage: SQLiteStorage, tmp_path: Path) -> None:
    """Neither in a free page, nor in a log; and the other visitors' data are still there."""
    other = "200000000002"
    for key in (KEY, other):
        populate(storage, Teller(key=key, ids=iter(range(int(key), int(key) + 9))))
    storage.suppress(SPACE, KEY, Suppression("marketing", "STOP", "sms", 1))
    assert files_with(tmp_path, KEY) != []
    storage.erase(SPACE, KEY, ERASED)
    assert files_with(tmp_path, KEY) == []
    assert files_with(tmp_path, other) == ["alias.db", "alias.db-preferences"]


def steps(storage: SQLiteStorage, number: int) -> None:
    """Carry out only the first steps of an erasure, each in its own transaction, as before a crash."""
    hashes = storage._keyring.every(erasure.TOMBSTONE, SPACE, KEY)
    with storage._files.wrapped() as connection:
        with connection.profile_changes(5) as (sql, renew):
            erasure.erase_preferences(sql, SPACE, KEY, hashes, ERASED, renew)
        if number > 1:
            with connection.transaction(5) as sql:
                erasure.erase_history(sql, SPACE, KEY, hashes, ERASED)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(
    "finish",
    [
        pytest.param(lambda storage: storage.apply(Batch()), id="by the next batch"),
        pytest.param(lambda storage: storage.erase(SPACE, KEY, ERASED), id="by asking again"),
    ],
)
def test_a_crash_only_delays_it(
    storage: SQLiteStorage, tmp_path: Path, number: int, finish: Callable[[SQLiteStorage], object]
) -> None:
    """Whichever step was the last before the crash, it is finished, once."""
    populate(storage, Teller())
    steps(storage, number)
    assert storage.erased_at(SPACE, KEY) == ERASED
    finish(storage)
    assert files_with(tmp_path, KEY) == []
    assert storage.read_profile(SPACE, KEY) == StoredProfile()
    assert counted(storage, "news", 1, 10**6).erased == 1
    early = Teller().view("2026-03-02T12:00")
    assert storage.apply(Batch(entries=[early])).dropped == {"erased": 1}


def test_a_batch_after_the_crash_sees_the_erasure(storage: SQLiteStorage) -> None:
    """Events of the very batch that finishes the erasure are judged by it."""
    populate(storage, Teller())
    steps(storage, 1)
    tell = Teller(ids=iter([100, 101]))
    outcome = storage.apply(Batch(entries=[tell.view(ERASED), tell.view(ERASED + 1)]))
    assert (outcome.stored, outcome.dropped) == (1, {"erased": 1})


@pytest.mark.parametrize(
    "forget",
    [
        pytest.param(lambda storage: storage.erase(SPACE, "newest", ERASED), id="erased"),
        pytest.param(lambda storage: storage.replace_live("news", NOON, NOON + 1), id="every page replaced"),
    ],
)
def test_a_number_is_never_given_again(
    storage: SQLiteStorage, forget: Callable[[SQLiteStorage], object], tmp_path: Path
) -> None:
    """Who made a table of the views knows visitors by their numbers: the next one is not whoever is gone."""
    tell = Teller(key="newest")
    storage.apply(Batch(entries=[tell.of(key="first").view(NOON - 1), tell.view(NOON)]))
    assert numbers(storage) == {"first": 1, "newest": 2}
    forget(storage)
    assert numbers(storage) == {"first": 1}
    other = SQLiteStorage(f"sqlite:///{tmp_path}/alias.db")
    other.apply(Batch(entries=[tell.of(key="next").view(ERASED + 1)]))
    other.close()
    assert numbers(storage) == {"first": 1, "next": 3}


def numbers(storage: SQLiteStorage) -> dict[str, int]:
    return {key: number for _, key, number, *_ in storage.moving().page(VISITORS, None, 9).rows}
