"""Copies of whole lives with late events, refunds, erasures and purged days: what resumes, what is refused."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from alias_middleware import Item, Tracker
from alias_middleware.comparing import Comparison
from alias_middleware.copying import Copy
from alias_middleware.errors import SettingsError, StorageUnavailable
from alias_middleware.profile import Operation
from alias_middleware.storage import open_storage
from alias_middleware.storage.base import Batch, LateChange, Origin, Span, Storage
from alias_middleware.storage.conversions import Conversion
from alias_middleware.storage.custody import Cut
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.storage.moving import FROZEN, PARTS, VISITORS
from alias_middleware.storage.outbox import CampaignId, Ruling, StoredCampaign, StrayMessage, Suppression
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.testing.histories import GAP_US, KEY, NEWS, Teller, change, instant, local_day
from alias_middleware.testing.simulated_log import FIRST_DAY, PastClock, play, simulated_tracker
from alias_middleware.testing.simulation import Life
from tests.support.databases import sqlite_file
from tests.support.postgresql import PostgreSQLServer, debian_programs, postgresql_server

KEYS = (b"a key that both storages have",)
EVER = (0, 2**20)
DAYS = 12
_SENDING = Ruling("sending")
Open = Callable[[str], Storage]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQLServer]:
    """A server that nobody else uses."""
    with postgresql_server(debian_programs()) as server:
        yield server


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Open SQLite storages by name, closed at the end."""
    made: list[Storage] = []

    def open_one(name: str) -> Storage:
        made.append(open_storage(f"sqlite:///{tmp_path}/{name}.db", secret_keys=KEYS))
        return made[-1]

    yield open_one
    for storage in made:
        storage.close()


def live(storage: Storage, spool: Path) -> None:
    """Fill a storage with a simulated life, out of order here and there, with rights used and days purged."""
    clock = PastClock()
    life = Life(subscribers=60, days=DAYS, seed=5, first_day=FIRST_DAY, visits_a_day=0.3)
    settings = {"service": "simulated", "storage": storage, "spool": spool, "secret_keys": [KEYS[0].decode()]}
    tracker = simulated_tracker(clock, **settings)
    steps = list(life.steps())
    dice = random.Random(1)
    steps.sort(key=lambda step: step.time_us + dice.randrange(2) * 3_600_000_000)
    play(life, tracker, clock, steps)
    _use_rights(tracker, life)
    assert storage.replace_live("simulated", *map(instant, replaced_hours()))
    _contact(storage, [event_key(storage, number) for number in range(6)])
    tracker.close()


def replaced_hours() -> tuple[str, str]:
    """Some hours of the simulated days that an imported log stands for."""
    day = FIRST_DAY + timedelta(days=8)
    return f"{day}T09:00", f"{day}T15:00"


def event_key(storage: Storage, number: int) -> str:
    """The key of one of the visitors, in the order of their keys."""
    rows = storage.moving().page(VISITORS, None, number + 1).rows
    return str(rows[number][1])


def _contact(storage: Storage, keys: list[str]) -> None:
    """Keep a bit of everything that contacting visitors leaves behind."""
    outbox, name = storage.outbox(), CampaignId("simulated", "simulated", "été")
    assert outbox.save(StoredCampaign(name, "running", b"{}", 7))
    assert outbox.enqueue(name, keys, 8) == len(keys)
    outbox.select(name, 9)
    for key, ruling in zip(keys, (_SENDING, _SENDING, Ruling("held", "quiet_hours", 99)), strict=False):
        outbox.claim(name, key, f"message {key}", 10, lambda evidence, ruling=ruling: ruling)  # type: ignore[misc]
    outbox.settle(f"message {keys[0]}", "delivered", 11)
    storage.erase("simulated", keys[4], 12)
    outbox.declare_optouts("simulated", 13, "imported")
    assert outbox.keep_stray("simulated", StrayMessage(5, 14, "36123", "STOP \x00 é"))
    storage.suppress("simulated", keys[5], Suppression("marketing", "STOP", "sms", 15))
    spent = Conversion(id=9, scope="publisher", month="2026-01", time_us=16, requester="Ada", reason="a contest")
    assert storage.conversions().spend(spent, 100) == 99
    storage.conversions().give_back(9)
    origin = Origin("simulated", "simulated", GAP_US)
    storage.apply(Batch(unidentified={(origin, FIRST_DAY.toordinal() + 1): 3}, spans={"segment": Span(0, 9)}))


def _use_rights(tracker: Tracker, life: Life) -> None:
    for number in range(10):
        with tracker.visitor(life.alias(number)) as visitor:
            visitor.profile["number"] = number
            visitor.profile.personal["name"] = "Zoé"
            visitor.consent("contact", number % 2 == 0, source="page")
            visitor.consent("measure", number % 3 > 0, source="page")
    with tracker.visitor(life.alias(3)) as visitor:
        visitor.purchase("CMD-1", [Item("rt-42", "Ringtone", price=Decimal(3))], currency="EUR")
        visitor.refund("CMD-1", amount=Decimal(1))
        visitor.refund("CMD-2")
    for number in (1, 4, 11):
        tracker.privacy.erase(life.alias(number))
    tracker.privacy.export(life.alias(2), requester="Ada", reason="a letter")


def purge(storage: Storage) -> None:
    """Let go of the raw events of the first days, and of who came only then."""
    before = FIRST_DAY.toordinal() + 5
    idle = Cut(raw_before=before, idle_since_day=before, idle_since_us=instant(f"{FIRST_DAY + timedelta(days=5)}"))
    gone = storage.custody().purge("simulated", idle, dry_run=False)
    assert gone["frozen_days"]
    assert gone["events"]


def require_equal(source: Storage, target: Storage) -> None:
    assert list(Comparison(source, target).discrepancies()) == []
    assert source.ledger() == target.ledger()
    assert target.verify(*EVER) == source.verify(*EVER) == []


def copied(source: Storage, target: Storage) -> Copy:
    """Copy everything and let the target be used."""
    copying = Copy(source, target)
    copying.begin()
    assert copying.run()
    require_equal(source, target)
    assert not copying.run()
    copying.seal_source()
    copying.open_target()
    return copying


def test_there_and_back_again(opened: Open, server: PostgreSQLServer, tmp_path: Path) -> None:
    """From SQLite to PostgreSQL and back to another file: the same at each place, and each goes on by itself."""
    empty = {"frozen", "horizons", "lasting_keys", "sealed_aliases"}
    places = [
        opened("first"),
        open_storage(server.url(schema="there"), secret_keys=KEYS),
        opened("second"),
    ]
    live(places[0], tmp_path / "spool")
    assert {part.name for part in PARTS if part.name != "events" and not places[0].moving().count(part)} == empty
    for here, there in pairwise(places):
        copied(here, there)
        there.apply(Batch(entries=[Teller().view("2026-03-02T12:00")], spans={"a": Span(0, 1)}))
        there.erase(NEWS.namespace, KEY, instant("2026-03-03T12:00"))
        there.apply(Batch(finished=["a"]))
    places[1].close()


def test_purged_days_move_as_they_are(opened: Open, tmp_path: Path) -> None:
    """What is known only from roll-ups, totals and numbers of nobody is the same; an erasure reaches into it."""
    source, target = opened("source"), opened("target")
    live(source, tmp_path / "spool")
    copying = Copy(source, target)
    copying.begin()
    copying.run()
    purge(source)
    assert copying.run().deleted
    require_equal(source, target)
    assert target.moving().count(FROZEN) == source.moving().count(FROZEN) > 0
    assert not copying.run()
    copying.open_target()
    late = Teller().view(f"{FIRST_DAY}T12:00")
    (row,) = source.moving().page(VISITORS, None, 1).rows
    assert source.apply(Batch(entries=[late])).counts() == target.apply(Batch(entries=[late])).counts()
    for storage in (source, target):
        storage.erase(row[0], row[1], instant("2026-06-01T12:00"))
    require_equal(source, target)


class Killed:
    """Copies in processes of their own that die at any moment."""

    def __init__(self, source: str, target: str) -> None:
        self.source, self.target = source, target

    def run(self, seconds: float) -> None:
        """Copy in a child that is killed after so many seconds, unless it is done before."""
        child = multiprocessing.get_context("fork").Process(target=self._copy, args=(seconds,))
        child.start()
        child.join(60)
        assert child.exitcode in {0, -signal.SIGKILL}

    def _copy(self, seconds: float) -> None:
        timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
        timer.start()
        self.copy()
        timer.cancel()

    def copy(self) -> float:
        """Copy to the end, and tell how long it took."""
        begun = time.monotonic()
        two = [open_storage(url, secret_keys=KEYS) for url in (self.source, self.target)]
        copying = Copy(two[0], two[1], rows=100)
        copying.begin()
        copying.run()
        for storage in two:
            storage.close()
        return time.monotonic() - begun


@pytest.mark.parametrize("to", ["sqlite", "postgresql"])
def test_a_copy_killed_twenty_times(to: str, opened: Open, server: PostgreSQLServer, tmp_path: Path) -> None:
    """Wherever it dies, the next one goes on; at last all is equal, and a copy brings nothing more."""
    source = opened("source")
    live(source, tmp_path / "spool")
    source.close()
    url = f"sqlite:///{tmp_path}/target.db" if to == "sqlite" else server.url(schema="killed")
    trial = url.replace("target.db", "trial.db").replace("schema=killed", "schema=trial")
    whole = Killed(f"sqlite:///{tmp_path}/source.db", trial).copy()
    killed = Killed(f"sqlite:///{tmp_path}/source.db", url)
    dice = random.Random(3)
    for _ in range(20):
        killed.run(dice.uniform(0.01, whole))
    target = open_storage(url, secret_keys=KEYS)
    copying = Copy(source, target)
    copying.begin()
    copying.run()
    require_equal(source, target)
    assert not copying.run()
    target.close()


def test_a_target_with_data_of_its_own_is_refused(opened: Open) -> None:
    """Nothing is mixed, and nothing overwritten: it says what was found."""
    source, target, other = opened("source"), opened("target"), opened("other")
    target.apply(Batch(entries=[Teller().view("2026-03-02T12:00")]))
    with pytest.raises(SettingsError, match="data of its own"):
        Copy(source, target).begin()
    Copy(source, other).begin()
    source.apply(Batch(entries=[Teller().view("2026-03-02T12:00")]))
    Copy(source, other).run()
    with pytest.raises(SettingsError, match="data of its own"):
        Copy(target, other).begin()


def test_a_storage_is_not_copied_onto_itself(opened: Open) -> None:
    """However its URL is written."""
    with pytest.raises(SettingsError, match="the same storage"):
        Copy(opened("one"), opened("one")).begin()


def test_a_target_in_use_is_left_alone(opened: Open) -> None:
    """Once it was opened, what it has taken since is not undone by another copy."""
    source, target = opened("source"), opened("target")
    copied_nothing = Copy(source, target)
    copied_nothing.begin()
    copied_nothing.open_target()
    assert copied_nothing.is_finished
    with pytest.raises(SettingsError, match="in use since"):
        Copy(source, target).begin()


def test_both_must_know_the_keys(tmp_path: Path) -> None:
    """Without a key of the source its erased and opted-out would be forgotten in silence; it says what to do."""
    source = SQLiteStorage(f"sqlite:///{tmp_path}/source.db")
    source.erase(NEWS.namespace, KEY, 1)
    target = SQLiteStorage(f"sqlite:///{tmp_path}/target.db", secret_keys=KEYS)
    with pytest.raises(SettingsError, match="alias-middleware keys --of"):
        Copy(source, target).begin()
    key = source.own_key()
    assert key is not None
    Copy(source, SQLiteStorage(f"sqlite:///{tmp_path}/other.db", secret_keys=(key, *KEYS))).begin()


def test_a_key_made_in_the_last_moment_stops_the_copy(tmp_path: Path) -> None:
    """Somebody may be the first to be erased while the copy goes on."""
    source = SQLiteStorage(f"sqlite:///{tmp_path}/source.db")
    source.apply(Batch(counts={"seen": 1}))
    copying = Copy(source, SQLiteStorage(f"sqlite:///{tmp_path}/target.db", secret_keys=KEYS))
    copying.begin()
    source.erase(NEWS.namespace, KEY, 1)
    with pytest.raises(SettingsError, match="keys --of"):
        copying.seal_source()


def test_a_storage_that_cannot_be_moved_is_refused(opened: Open) -> None:
    """A third party's storage need not offer it."""

    class Unmoved(MemoryStorage):
        def moving(self) -> object:  # type: ignore[override]
            return Storage.moving(self)

    with pytest.raises(SettingsError, match="cannot be moved"):
        Copy(opened("one"), Unmoved())


def test_what_the_target_does_not_keep_is_refused_beforehand(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless there is none of it."""
    source, target = opened("source"), opened("target")
    target.moving().identity()
    keeps = frozenset(part for part in PARTS if part.name != "unidentified")
    monkeypatch.setattr(type(target.moving()), "keeps", keeps)
    Copy(source, target).begin()
    monkeypatch.setattr(type(target.moving()), "keeps", frozenset(PARTS))
    source.apply(Batch(unidentified={(NEWS, local_day("2026-03-02")): 2}))
    copying = Copy(source, opened("another"))
    monkeypatch.setattr(copying._to, "keeps", keeps, raising=False)
    with pytest.raises(SettingsError, match="keeps no unidentified"):
        copying.begin()


def test_a_batch_under_way_is_waited_for(opened: Open, tmp_path: Path) -> None:
    """A batch that is half there, its late changes applied, is never cut in two by the seal."""
    source, target = opened("source"), opened("target")
    source.apply(Batch(counts={"seen": 1}))
    with sqlite_file(tmp_path / "source.db-preferences") as file:
        file.execute("INSERT INTO applied VALUES (1)")
    waits: list[float] = []

    def finish(seconds: float) -> None:
        waits.append(seconds)
        with sqlite_file(tmp_path / "source.db-preferences") as file:
            file.execute("DELETE FROM applied")

    copying = Copy(source, target, sleep=finish)
    copying.begin()
    copying.seal_source()
    assert len(waits) == 1
    with sqlite_file(tmp_path / "source.db-preferences") as file, pytest.raises(sqlite3.IntegrityError):
        file.execute("INSERT INTO applied VALUES (1)")


def test_a_batch_that_does_not_end_stops_the_copy(opened: Open, tmp_path: Path) -> None:
    """Where nobody writes any more somebody has to; nothing is sealed by then."""
    source = opened("source")
    source.apply(Batch(counts={"seen": 1}))
    with sqlite_file(tmp_path / "source.db-preferences") as file:
        file.execute("INSERT INTO applied VALUES (1)")
    copying = Copy(source, opened("target"), sleep=lambda seconds: None)
    copying.begin()
    with pytest.raises(StorageUnavailable, match="under way"):
        copying.seal_source()
    source.apply(Batch(counts={"seen": 1}))


def test_an_erasure_cut_short_is_finished_first(opened: Open, tmp_path: Path) -> None:
    """What is half gone from the files is wholly gone before they are sealed."""
    source, target = opened("source"), opened("target")
    source.apply(Batch(entries=[Teller().view("2026-03-02T12:00")]))
    source.erase(NEWS.namespace, "nobody", 1)
    with sqlite_file(tmp_path / "source.db-preferences") as file:
        file.execute("UPDATE tombstones SET unfinished_key = ? WHERE namespace <> ''", (KEY,))
    copying = Copy(source, target)
    copying.begin()
    copying.seal_source()
    assert source.history(NEWS.namespace, KEY, 10) == []


def test_a_seal_cut_short_is_put_on_again(opened: Open, tmp_path: Path) -> None:
    """One file may be open while the other is not; whoever goes on closes, or opens, both."""
    source, target = opened("source"), opened("target")
    source.apply(Batch(counts={"seen": 1}))
    for table in ("source.db", "source.db-preferences"):
        source.moving().seal()
        with sqlite_file(tmp_path / table) as file:
            file.execute("DELETE FROM seal")
        assert source.moving().standing().sealed
        source.moving().open()
        source.apply(Batch(counts={"seen": 1}))
        assert not source.moving().standing().sealed
    copied_to = Copy(source, target)
    copied_to.begin()
    with sqlite_file(tmp_path / "target.db") as file:
        file.execute("DELETE FROM seal")
    copied_to.begin()
    copied_to.run()
    require_equal(source, target)


def test_a_damaged_target_is_named(opened: Open, tmp_path: Path) -> None:
    """Whatever differs is said: the figure, whose it is, and both values."""
    source, target = opened("source"), opened("target")
    source.apply(Batch(entries=[Teller().view("2026-03-02T12:00"), Teller().of(key="x").view("2026-03-02T13:00")]))
    copying = Copy(source, target)
    copying.begin()
    copying.run()
    copying.open_target()
    target.close()
    with sqlite_file(tmp_path / "target.db") as file:
        file.execute("DELETE FROM events WHERE visitor = 1")
        file.execute("UPDATE changes SET mark = random()")
    found = {difference.what: difference for difference in Comparison(source, opened("target")).discrepancies()}
    assert {"events", "page_views", "visitors", "pages"} <= found.keys()
    assert (found["visitors"].source, found["visitors"].target) == ("2", "1")
    assert KEY not in str(found)


@pytest.mark.parametrize("way", [["sqlite"], ["postgresql"], ["sqlite", "postgresql", "sqlite"]], ids="-".join)
def test_a_change_whose_answer_was_lost_is_not_made_again_elsewhere(
    way: list[str], opened: Open, server: PostgreSQLServer
) -> None:
    """It waits in the site's spool, which is drained into the last storage that the profile was moved to."""
    said = change(Operation("increment", "preferences", "visits", 1), at="2026-03-02T12:00")
    stations = [
        opened(f"{number}") if kind == "sqlite" else lost(server, f"{'-'.join(way)} {number}")
        for number, kind in enumerate(["postgresql", *way])
    ]
    stations[0].change_profile(NEWS.namespace, said, timeout=5)
    for source, target in pairwise(stations):
        copied(source, target)
    stations[-1].apply(Batch(changes=[LateChange(NEWS.namespace, said, 1)], spans={"s": Span(0, 1)}))
    assert stations[-1].read_profile(NEWS.namespace, KEY).preferences == b'{"visits":1}'
    for station in stations:
        station.close()


def lost(server: PostgreSQLServer, name: str) -> Storage:
    """Tables of PostgreSQL of a name."""
    return open_storage(server.url(schema=name.replace("-", "_").replace(" ", "_")), secret_keys=KEYS)
