"""What only a server can do to a storage: fall silent, lose an answer, run out of connections; and forks."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from alias_middleware.errors import StorageUnavailable
from alias_middleware.profile import StoredProfile
from alias_middleware.storage.base import Batch, Entry, LateChange, Span
from alias_middleware.storage.postgresql import PostgreSQLStorage
from alias_middleware.testing._contract_case import known
from alias_middleware.testing._contract_profiles import op, preferences
from alias_middleware.testing.histories import KEY, NEWS, Teller, change
from tests.storage.postgresql.test_schema import opened
from tests.support.postgresql import PostgreSQLServer
from tests.support.pulse import Pulse
from tests.support.waiting import wait_until

SPACE = NEWS.namespace
NOON = "2026-03-02T12:00"


@pytest.fixture
def storage(debian_postgresql: PostgreSQLServer, tmp_path: Path) -> Iterator[PostgreSQLStorage]:
    """A fresh storage."""
    storage = opened(debian_postgresql, tmp_path)
    yield storage
    storage.close()


def test_a_change_whose_answer_was_lost_applies_once(storage: PostgreSQLStorage) -> None:
    """It may have been committed: when it comes again by the spool, one record an operation, it is known."""
    both = change(op("increment", "f", 1), op("append", "l", "x"), at=NOON)
    storage.change_profile(SPACE, both, timeout=5)
    late = [
        LateChange(SPACE, change(operation, at=NOON), number) for number, operation in enumerate(both.operations)
    ]
    other = LateChange(SPACE, change(op("increment", "f", 1), at="2026-03-02T12:00:00.000001"), 9)
    storage.apply(Batch(changes=[*late, other]))
    assert preferences(storage) == {"f": 2, "l": ["x"]}


def test_an_event_with_every_character(storage: PostgreSQLStorage) -> None:
    """What PostgreSQL's `text` refuses (NUL), and what COPY takes for its own, comes back as it was."""
    tell = Teller(key="tab\there\\N")
    entries = [tell.purchase(NOON, "A\0\n\\.\t"), tell.view("2026-03-02T12:01", path="/\0\\x\n")]
    storage.apply(Batch(entries=entries))
    found = storage.history(SPACE, tell.key, 9)
    assert [event.time_us for event in found] == [entry.event.time_us for entry in entries[::-1]]
    assert storage.apply(Batch(entries=[tell.purchase("2026-03-02T13:00", "A\0\n\\.\t")])).deduplicated == 1


def test_what_cannot_be_stored_is_no_outage(storage: PostgreSQLStorage) -> None:
    """The writer looks for the one record; trying again would not help, and the next batch is taken."""
    with pytest.raises(ValueError, match="cannot store"):
        storage.apply(Batch(counts={"a\0b": 1}, spans={"s": Span(0, 1)}))
    storage.apply(Batch(counts={"a": 1}, spans={"s": Span(0, 1)}))
    assert storage.ledger().positions == {"s": 1}


def test_a_silent_server(storage: PostgreSQLStorage, debian_postgresql: PostgreSQLServer) -> None:
    """A change gives up at its timeout, a read soon; what was sent does not count twice; then all is well."""
    storage.change_profile(SPACE, change(op("set", "f", 1), at=NOON), timeout=5)
    with debian_postgresql.frozen(), Pulse() as pulse:
        begun = time.monotonic()
        with pytest.raises(StorageUnavailable) as raised:
            storage.change_profile(SPACE, change(op("increment", "f", 1), at=NOON), timeout=0.2)
        took = time.monotonic() - begun
        with pytest.raises(StorageUnavailable) as read:
            storage.read_profile(SPACE, KEY)
    assert (raised.value.reason, read.value.reason) == ("timeout", "timeout")
    assert 0.19 < took < 1 + pulse.late
    late = LateChange(SPACE, change(op("increment", "f", 1), at=NOON), 1)
    storage.apply(Batch(changes=[late]))
    assert preferences(storage) == {"f": 2}


def test_no_connection_is_lost_to_failures(
    storage: PostgreSQLStorage, debian_postgresql: PostgreSQLServer
) -> None:
    """Whatever a call ended with, its connection is free again or replaced."""
    storage.apply(Batch(spans={"s": Span(0, 5)}))
    for _ in range(20):
        with pytest.raises(StorageUnavailable, match="stale_position"):
            storage.apply(Batch(spans={"s": Span(0, 5)}))
    with debian_postgresql.frozen():
        for _ in range(3):  # one more than it may have connections
            with pytest.raises(StorageUnavailable):
                storage.change_profile(SPACE, change(op("set", "f", 1), at=NOON), timeout=0.01)
    assert storage.read_profile(SPACE, KEY).preferences in (b"{}", b'{"f":1}')
    storage.close()


def test_more_threads_than_connections(debian_postgresql: PostgreSQLServer, tmp_path: Path) -> None:
    """They wait for each other, no longer than they may."""
    storage = opened(debian_postgresql, tmp_path, max_connections="2")
    storage.ledger()
    with storage._pool.connection(5), storage._pool.connection(5), pytest.raises(StorageUnavailable) as raised:
        storage.change_profile(SPACE, change(op("set", "f", 1), at=NOON), timeout=0.05)
    assert raised.value.reason == "busy"
    assert storage.read_profile(SPACE, KEY) == StoredProfile()
    storage.close()


def test_a_server_without_room(debian_postgresql: PostgreSQLServer, tmp_path: Path) -> None:
    """Its refusal has a reason of its own."""
    storage = opened(debian_postgresql, tmp_path)
    role = "crowded"
    debian_postgresql.sql(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 0")
    crowded = PostgreSQLStorage(
        debian_postgresql.url(user=role, create_schema="false"), secret_keys=(b"a key of this site",)
    )
    with pytest.raises(StorageUnavailable) as raised:
        crowded.ledger()
    assert raised.value.reason == "too_many_connections"
    storage.close()


def test_a_read_only_server(storage: PostgreSQLStorage, debian_postgresql: PostgreSQLServer) -> None:
    """Reads go on, changes are refused with the reason; afterwards everything works without a restart."""
    storage.change_profile(SPACE, change(op("set", "f", 1), at=NOON), timeout=5)
    with debian_postgresql.read_only():
        wait_until(lambda: refusal(storage) == "read_only", "the server is read-only")
        assert preferences(storage) == {"f": 1}
    wait_until(lambda: refusal(storage) == "", "the server is writable")
    assert storage.apply(Batch(entries=[Teller().view(NOON)])).stored == 1


def refusal(storage: PostgreSQLStorage) -> str:
    """Give the reason why a change is refused now, "" when it is not."""
    try:
        storage.change_profile(SPACE, change(op("set", "f", 1), at=NOON), timeout=5)
    except StorageUnavailable as error:
        return error.reason
    return ""


def test_a_forked_child_has_connections_of_its_own(storage: PostgreSQLStorage) -> None:
    """The child neither speaks over the parent's nor closes them; both go on."""
    storage.change_profile(SPACE, change(op("set", "f", 1), at=NOON), timeout=5)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            storage.change_profile(SPACE, change(op("increment", "f", 1), at=NOON), timeout=5)
            storage.close()
            status = 0
        finally:
            os._exit(status)
    storage.change_profile(SPACE, change(op("increment", "f", 1), at="2026-03-02T12:01"), timeout=5)
    assert os.waitpid(child, 0)[1] == 0
    assert preferences(storage) == {"f": 3}


def test_writers_of_several_machines(storage: PostgreSQLStorage) -> None:
    """Each drains a spool of its own, all about the same visitors at once: every event and change counts once."""
    tell = Teller()
    people = [tell.of(key=f"{number:012d}") for number in range(20)]
    children = []
    for machine in range(3):
        entries = [one.view(f"2026-03-02T12:{minute:02d}") for minute in range(10) for one in people]
        children.append(os.fork())
        if children[-1] == 0:
            status = 1
            try:
                _drain(
                    storage, f"segment-{machine}", [replace(each, id=each.id * 3 + machine) for each in entries]
                )
                status = 0
            finally:
                os._exit(status)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert storage.ledger().counts == {"stored": 600}
    for one in people:
        knowledge = known(storage, SPACE, one.key)
        assert (knowledge.page_views, knowledge.visits) == (30, 1)
        assert preferences(storage, one.key) == {"f": 3}


def _drain(storage: PostgreSQLStorage, segment: str, entries: list[Entry]) -> None:
    for number in range(0, len(entries), 40):
        storage.apply(Batch(entries=entries[number : number + 40], spans={segment: Span(number, number + 40)}))
    for number, key in enumerate(sorted({entry.event.key for entry in entries})):
        late = LateChange(SPACE, change(op("increment", "f", 1), at=int(segment[-1]) + 1, key=key), number)
        storage.apply(Batch(changes=[late]))


def test_an_erasure_meets_whoever_is_just_coming(storage: PostgreSQLStorage) -> None:
    """A profile that is being made while its visitor is erased does not survive the erasure."""
    erased_us = change(at=NOON).time_us
    for number in range(15):
        key = f"{number:012d}"
        made = change(op("set", "f", 1), at=NOON, begun=erased_us - 1, key=key)
        threads = [
            threading.Thread(target=storage.change_profile, args=(SPACE, made), kwargs={"timeout": 20}),
            threading.Thread(target=storage.erase, args=(SPACE, key, erased_us)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert storage.read_profile(SPACE, key) == StoredProfile(), number
