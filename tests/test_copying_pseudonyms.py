"""Copies of sites whose visitors are known by pseudonym: nobody is lost, or written to who said no."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from alias_middleware.copying import Copy
from alias_middleware.storage import open_storage
from alias_middleware.storage.base import Storage
from alias_middleware.storage.moving import LASTING_KEYS, PSEUDONYMS, SEALED_ALIASES
from tests.support.postgresql import PostgreSQLServer, schema_of
from tests.support.sms import SUBSCRIPTION, Shop
from tests.test_copying import require_equal
from tests.test_rotation import KEYS, PEOPLE, SECRETS, Life, live, rotate

HASHED = tuple(key.encode() for key in SECRETS)
FURTHER = [*KEYS, "pseudonym key number 5"]


@contextmanager
def two(source: str, target: str) -> Iterator[tuple[Storage, Storage]]:
    """Open two storages."""
    with ExitStack() as stack:
        source_, target_ = (
            stack.enter_context(closing(open_storage(url, secret_keys=HASHED))) for url in (source, target)
        )
        yield source_, target_


def rotated_history(folder: Path, seed: int) -> Life:
    """Live at random, with opt-outs, erasures and rotations, till all keys are used; some may be written to."""
    life = Life(folder, rotates=True)
    live(life, seed)
    life.rotate()
    clock = life.shop.clock
    clock.now = clock.now.replace(hour=12) + timedelta(days=8 - clock.now.isoweekday())  # Monday: no quiet hours
    for alias in PEOPLE[:4]:
        life.shop.write(alias, "MENU")
    life.shop.write(PEOPLE[0], "STOP")
    life.shop.tracker.privacy.erase(PEOPLE[1])
    life.shop.write(PEOPLE[2], "OUI", SUBSCRIPTION)
    life.rotate()
    while life._keys < len(KEYS):
        life.rotate()
    life.shop.write(PEOPLE[4], "MENU")
    with life.shop.tracker.visitor(PEOPLE[5]) as visitor:
        visitor.consent("contact", granted=True)
        visitor.show("/")
    with life.shop.tracker.visitor("000000000099") as visitor:
        visitor.profile["font"] = "large"  # he has no history
    life.shop.campaign("été").preview()
    life.shop.tracker.close()
    return life


def told(life: Life, folder: Path, url: str, keys: list[str]) -> dict[str, Any]:
    """Everything that a publisher sees of the site on one storage, and whom its next campaign writes to."""
    clock = life.shop.clock
    life.shop = Shop(url, folder, pseudonym_keys=keys, secret_keys=SECRETS)
    life.shop.clock.now = clock.now
    known = life.known()
    campaign = life.shop.campaign(f"with {len(keys)} keys")
    preview = campaign.preview()
    progress = campaign.run(life.shop.gateway)
    looked_up = [life.shop.tracker.privacy.would_erase(alias) for alias in [*PEOPLE, "000000000099"]]
    life.shop.tracker.close()
    sent = life.shop.gateway.receivers()
    return {**known, "preview": preview, "progress": progress, "sent": sent, "looked up": looked_up}


@pytest.mark.parametrize("seed", range(2))
def test_a_rotated_site_there_and_back_again(
    debian_postgresql: PostgreSQLServer, tmp_path: Path, seed: int
) -> None:
    """Verdicts, look-ups by clear alias and a campaign are the same at each place, and after one more rotation."""
    folders = [tmp_path / name for name in ("first", "there", "second")]
    for folder in folders:
        folder.mkdir()
    life = rotated_history(folders[0], seed)
    urls = [
        f"sqlite:///{folders[0]}/alias.db",
        debian_postgresql.url(schema=schema_of(tmp_path), erasure_log=f"{folders[1]}/erasures"),
        f"sqlite:///{folders[2]}/alias.db",
    ]
    for here, there in pairwise(urls):
        with two(here, there) as (source, target):
            copying = Copy(source, target, rows=3)
            copying.begin()
            assert copying.run()
            require_equal(source, target)
            assert not copying.run()
            assert all(target.moving().count(part) for part in (PSEUDONYMS, LASTING_KEYS, SEALED_ALIASES))
            copying.open_target()
    for keys in (KEYS, FURTHER):
        found = []
        for folder, url in zip(folders, urls, strict=True):
            if keys is FURTHER:
                assert rotate(folder, keys, url)
            found.append(told(life, folder, url, keys))
        assert found[0]["sent"], found[0]["progress"]
        assert PEOPLE[0] not in found[0]["sent"]
        assert found[0] == found[1] == found[2]
