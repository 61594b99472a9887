"""Erasures replayed on a restored server, and what is left in the tables after erase and purge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alias_middleware.errors import SettingsError, StorageCorrupt, StorageUnavailable
from alias_middleware.profile import StoredProfile
from alias_middleware.storage.base import Batch
from alias_middleware.storage.custody import Cut
from alias_middleware.storage.erasure_log import ErasureLog
from alias_middleware.storage.outbox import CampaignId
from alias_middleware.storage.postgresql import PostgreSQLStorage
from alias_middleware.testing._contract_erasure import populate
from alias_middleware.testing.histories import KEY, NEWS, Teller, instant, local_day
from tests.support.postgresql import KEY as SECRET
from tests.support.postgresql import PostgreSQLServer, schema_of

SPACE = NEWS.namespace
OTHER = "200000000002"
PEOPLE = (KEY, OTHER, "300000000003")
ERASED = instant("2026-03-05T12:00")

Make = Callable[..., PostgreSQLStorage]


@pytest.fixture
def make(debian_postgresql: PostgreSQLServer, tmp_path: Path) -> Iterator[Make]:
    """Open storages by the names of their data, all with the log of this test."""
    made = []

    def make(name: str, *secrets: bytes) -> PostgreSQLStorage:
        url = debian_postgresql.url(schema=schema_of(tmp_path / name), erasure_log=str(tmp_path / "erasures"))
        made.append(PostgreSQLStorage(url, secret_keys=(SECRET, *secrets)))
        return made[-1]

    yield make
    for storage in made:
        storage.close()


def fill(storage: PostgreSQLStorage) -> None:
    """Let everybody do the same."""
    for key in PEOPLE:
        populate(storage, Teller(key=key, ids=iter(range(int(key), int(key) + 9))))


def test_a_restored_backup_is_brought_up_to_date(make: Make, tmp_path: Path) -> None:
    """Who was erased since is erased again, also under a key that came since; everybody else stays."""
    site, restored = make("site"), make("restored", b"s" * 32)
    fill(site)
    fill(restored)
    site.erase(SPACE, KEY, ERASED)
    make("site", b"s" * 32).erase(SPACE, OTHER, ERASED + 1)
    site.erase(SPACE, "a stranger", ERASED + 2)
    custody = restored.custody()
    assert custody.replay_erasures(dry_run=True) == {"logged": 3, "replayed": 3}
    assert restored.history(SPACE, KEY, 9) != []
    gone = custody.replay_erasures(dry_run=False)
    assert (gone["logged"], gone["replayed"], gone["visitors"], gone["profiles"]) == (3, 3, 2, 2)
    for number, key in enumerate([KEY, OTHER, "a stranger"]):
        assert restored.read_profile(SPACE, key) == StoredProfile()
        assert restored.erased_at(SPACE, key) == ERASED + number
        early = Teller(key=key, ids=iter([number])).view("2026-03-02T12:00")
        assert restored.apply(Batch(entries=[early])).dropped == {"erased": 1}
    assert restored.read_profile(SPACE, "300000000003") != StoredProfile()
    assert custody.replay_erasures(dry_run=False) == {"logged": 3, "replayed": 0}
    assert KEY.encode() not in (tmp_path / "erasures").read_bytes()


def test_a_url_that_names_no_log(debian_postgresql: PostgreSQLServer, tmp_path: Path) -> None:
    """Erasing needs none; replaying says what to write."""
    storage = PostgreSQLStorage(debian_postgresql.url(schema=schema_of(tmp_path)), secret_keys=[SECRET])
    storage.erase(SPACE, KEY, ERASED)
    with pytest.raises(SettingsError, match="erasure_log="):
        storage.custody().replay_erasures(dry_run=True)
    storage.close()


def test_a_log_that_cannot_be_written(make: Make, tmp_path: Path) -> None:
    """Nothing is erased that would come back with a backup."""
    (tmp_path / "erasures").mkdir()
    storage = make("site")
    fill(storage)
    with pytest.raises(StorageUnavailable, match="log of erasures"):
        storage.erase(SPACE, KEY, ERASED)
    assert storage.history(SPACE, KEY, 9) != []


def test_no_row_is_left_after_erase_and_purge(
    make: Make, debian_postgresql: PostgreSQLServer, tmp_path: Path
) -> None:
    """In no column of any table: of neither who was erased nor who was forgotten."""
    storage = make("site")
    fill(storage)
    campaign = CampaignId("news", SPACE, "noel")
    storage.outbox().enqueue(campaign, PEOPLE, ERASED)
    storage.erase(SPACE, KEY, ERASED)
    idle = local_day("2026-04-01")
    schema = schema_of(tmp_path / "site")
    assert tables_with(debian_postgresql, schema, OTHER) >= {"events", "visitors", "profiles", "dispatches"}
    cut = Cut(raw_before=idle, idle_since_day=idle, idle_since_us=instant("2026-04-01T00:00"))
    storage.custody().purge(SPACE, cut, dry_run=False)
    for key in PEOPLE:
        assert tables_with(debian_postgresql, schema, key) == set()
    assert storage.outbox().tally(campaign) == {("cancelled", "erased"): 3}
    assert ErasureLog(tmp_path / "erasures").latest().values()


def tables_with(server: PostgreSQLServer, schema: str, key: str) -> set[str]:
    """Name the tables that have a text anywhere, in letters or in bytes."""
    found = set()
    for (table,) in server.sql("SELECT tablename FROM pg_tables WHERE schemaname = %s", schema):
        rows = "\n".join(text for (text,) in server.sql(f"SELECT t::text FROM {schema}.{table} t"))
        if key in rows or key.encode().hex() in rows:
            found.add(table)
    return found


def test_a_missing_key_is_refused(make: Make, debian_postgresql: PostgreSQLServer, tmp_path: Path) -> None:
    """Who lacks a key that tombstones are kept under would store what the erased left in a spool."""
    drainer, rotated = make("site"), make("site", b"s" * 32)
    fill(drainer)
    rotated.erase(SPACE, KEY, ERASED)
    late = Batch(entries=[Teller(key=KEY, ids=iter([77])).view("2026-03-02T12:00")])
    with pytest.raises(StorageCorrupt, match="key under which opt-outs or erasures are kept is missing"):
        drainer.apply(late)
    with pytest.raises(StorageCorrupt, match="key under which"):
        make("site").read_profile(SPACE, OTHER)
    with pytest.raises(StorageCorrupt, match="ALIAS_SECRET_KEYS"):
        make("restored").custody().replay_erasures(dry_run=False)
    assert rotated.apply(late).dropped == {"erased": 1}
