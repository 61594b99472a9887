"""Pseudonyms in PostgreSQL: rotated in one transaction, whenever it is killed; sealed aliases; no byte left."""

from __future__ import annotations

import multiprocessing
import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from alias_middleware.errors import SettingsError
from alias_middleware.identity import check_value, full_key, lasting_part, rotated, stored_part
from alias_middleware.storage.postgresql import PostgreSQLStorage, citus
from alias_middleware.storage.pseudonyms import Rotation
from tests.support.postgresql import PostgreSQLServer, schema_of
from tests.support.site import ALIAS, OTHER_ALIAS
from tests.support.sms import Shop
from tests.test_rotation import KEYS, NAMESPACE, PEOPLE, SECRETS, Life, live, rotate

DAY = timedelta(days=1)


def url_of(server: PostgreSQLServer, folder: Path) -> str:
    return server.url(schema=schema_of(folder), erasure_log=f"{folder}/erasures")


def shop_of(url: str, folder: Path, number: int = 1) -> Shop:
    shop = Shop(url, folder, pseudonym_keys=KEYS[:number], secret_keys=SECRETS)
    shop.tracker.contact.declare_no_prior_optouts()
    return shop


@pytest.mark.parametrize("seed", range(3))
def test_a_rotated_life_is_like_any_other(debian_postgresql: PostgreSQLServer, tmp_path: Path, seed: int) -> None:
    """Figure by figure and verdict by verdict, as without any rotation in memory."""
    told = []
    for rotates, storage in [(True, url_of(debian_postgresql, tmp_path)), (False, "memory")]:
        folder = tmp_path / storage[:6]
        folder.mkdir()
        life = Life(folder, rotates=rotates, storage=storage)
        live(life, seed)
        told.append(life.known())
        life.shop.tracker.close()
    assert told[0] == told[1]


def everything(server: PostgreSQLServer, folder: Path) -> str:
    """Give all rows of all tables, as text."""
    tables = (*citus.DISTRIBUTED, *citus.REFERENCE)
    name = schema_of(folder)
    rows = [server.sql(f"SELECT t::text FROM {name}.{table} t") for table in tables]
    return "\n".join(row for found in rows for (row,) in found)


def test_every_table_is_rotated(debian_postgresql: PostgreSQLServer, tmp_path: Path) -> None:
    """No row has a key of before, nor the lasting key; a campaign goes on where it stood."""
    url = url_of(debian_postgresql, tmp_path)
    shop = shop_of(url, tmp_path)
    for alias in PEOPLE:
        shop.write(alias, "MENU")
        with shop.tracker.visitor(alias) as visitor:
            visitor.profile["font"] = "large"
    shop.buy(*PEOPLE)
    shop.tracker.statistics.summary(shop.now.date(), shop.now.date() + DAY)
    shop.campaign().run(shop.gateway)
    assert len(shop.gateway.sent) == len(PEOPLE)
    shop.tracker.close()
    changed = rotate(tmp_path, KEYS[:2], url)
    assert set(changed) == {name for name, (column, _) in citus.DISTRIBUTED.items() if column == "key"} - {
        "lasting_keys"
    }
    assert {name for name, number in changed.items() if not number} == {"refunds"}
    rows = everything(debian_postgresql, tmp_path)
    for alias in PEOPLE:
        key = full_key(alias, NAMESPACE, [each.encode() for each in KEYS[:2]])
        assert stored_part(key) in rows
        assert lasting_part(key) not in rows
        assert lasting_part(key).encode().hex() not in rows
    shop = shop_of(url, tmp_path, 2)
    shop.clock.now += DAY
    shop.campaign("second").run(shop.gateway)
    assert shop.gateway.receivers() == PEOPLE
    shop.tracker.close()


def test_a_rotation_killed_anywhere_is_done_by_the_next(
    debian_postgresql: PostgreSQLServer, tmp_path: Path
) -> None:
    """Nothing of it took effect; the site is refused until it is done."""
    url = url_of(debian_postgresql, tmp_path)
    shop = shop_of(url, tmp_path)
    shop.buy(*PEOPLE)
    shop.tracker.close()
    before = everything(debian_postgresql, tmp_path)
    for kill_at in (1, 8, 20):
        killed = multiprocessing.get_context("fork").Process(target=_rotate_and_die, args=(url, kill_at))
        killed.start()
        killed.join(30)
        assert killed.exitcode == -signal.SIGKILL
        assert everything(debian_postgresql, tmp_path) == before
        with pytest.raises(SettingsError, match="pseudonyms rotate"):
            shop_of(url, tmp_path, 2)
    assert rotate(tmp_path, KEYS[:2], url)["visitors"] == len(PEOPLE)
    assert rotate(tmp_path, KEYS[:2], url) == {}


def _rotate_and_die(url: str, kill_at: int) -> None:
    left = iter(range(kill_at - 1))

    def rekeyed(key: str) -> str:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return rotated(key, new)

    old, new = ([key.encode()] for key in KEYS[:2])
    storage = PostgreSQLStorage(url, secret_keys=[key.encode() for key in SECRETS])
    marks = check_value(NAMESPACE, old), check_value(NAMESPACE, old + new)
    storage.pseudonyms().rotate(Rotation(NAMESPACE, *marks, rekeyed))


def test_an_erasure_is_replayed_across_a_rotation(debian_postgresql: PostgreSQLServer, tmp_path: Path) -> None:
    """Whoever the log has is known by his lasting key, whatever his visitor key has become since the backup."""
    url = url_of(debian_postgresql, tmp_path)
    shop = shop_of(url, tmp_path)
    shop.buy(ALIAS, OTHER_ALIAS)
    shop.tracker.close()
    rotate(tmp_path, KEYS[:2], url)
    shop = shop_of(url, tmp_path, 2)
    shop.tracker.privacy.erase(OTHER_ALIAS)
    shop.clock.advance(minutes=1)
    shop.buy(OTHER_ALIAS)  # as if the backup, and not he, had brought this back
    name = schema_of(tmp_path)
    debian_postgresql.sql(f"DELETE FROM {name}.tombstones")
    shop.tracker.close()
    rotate(tmp_path, KEYS[:3], url)
    shop = shop_of(url, tmp_path, 3)
    assert shop.tracker.privacy.replay_erasures()["visitors"] == 1
    assert shop.tracker.privacy.would_erase(ALIAS)["events"] == 1
    shop.tracker.close()


@pytest.mark.parametrize("end", ["erasure", "window"])
def test_no_byte_is_left(debian_postgresql: PostgreSQLServer, tmp_path: Path, end: str) -> None:
    """After erasure, or after windows ran out and a purge, no row has the alias, nor anything sealed."""
    url = url_of(debian_postgresql, tmp_path)
    shop = shop_of(url, tmp_path)
    shop.write(ALIAS, "MENU")
    count = f"SELECT count(*) FROM {schema_of(tmp_path)}.sealed_aliases"
    assert debian_postgresql.sql(count) == [(1,)]
    if end == "erasure":
        assert shop.tracker.privacy.erase(ALIAS)["sealed_aliases"] == 1
    else:
        shop.clock.now += 61 * DAY
        assert shop.tracker.privacy.purge(dry_run=True)["sealed_aliases"] == 1
        assert shop.tracker.privacy.purge()["sealed_aliases"] == 1
    shop.tracker.close()
    assert debian_postgresql.sql(count) == [(0,)]
    rows = everything(debian_postgresql, tmp_path)
    assert ALIAS not in rows
    assert ALIAS.encode().hex() not in rows
    assert not any(ALIAS.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
