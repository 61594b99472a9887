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
from alias_middleware.errors import SettingsError, StorageUnavailable
from alias_middleware.identity import check_value, rotate_visitor_key
from alias_middleware.storage import open_storage
from alias_middleware.storage.base import Storage
from alias_middleware.storage.moving import LASTING_KEYS, PSEUDONYMS, SEALED_ALIASES
from alias_middleware.storage.pseudonyms import Rotation
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.testing._contract_moving import CutShortError
from tests.support.postgresql import PostgreSQLServer, schema_of
from tests.support.sms import SUBSCRIPTION, Shop
from tests.test_copying import require_equal
from tests.test_rotation import KEYS, NAMESPACE, PEOPLE, SECRETS, Life, live, rotate

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
    for document in known["people"].values():
        for dispatch in document["dispatches"]:
            del dispatch["message_id"]  # drawn anew by each place's own campaign
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


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A site under its second key that stands still, in the folder `source`."""
    folder = tmp_path / "source"
    folder.mkdir()
    shop = Shop("sqlite", folder, pseudonym_keys=KEYS[:1], secret_keys=SECRETS)
    for alias in PEOPLE:
        with shop.tracker.visitor(alias) as visitor:
            visitor.show("/")
            visitor.profile["font"] = "large"
    shop.tracker.close()
    rotate(folder, KEYS[:2])
    return shop


def of(folder: Path, name: str) -> str:
    return f"sqlite:///{folder}/{name}/alias.db"


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("keys", "refused"),
    [
        pytest.param(KEYS[:2], False, id="the same keys"),
        pytest.param(KEYS[:1], True, id="the keys of before"),
        pytest.param([], True, id="none"),
    ],
)
def test_a_target_keyed_by_others_is_refused(tmp_path: Path, keys: list[str], refused: bool) -> None:
    """A site began on it, though it has no data yet: it is told before anything is copied."""
    (tmp_path / "target").mkdir()
    mark = check_value(NAMESPACE, [key.encode() for key in keys])
    with two(of(tmp_path, "source"), of(tmp_path, "target")) as (source, target):
        target.pseudonyms().begin(NAMESPACE, mark)
        copying = Copy(source, target)
        if refused:
            with pytest.raises(SettingsError, match="keyed with others") as raised:
                copying.begin()
            assert raised.value.setting == "pseudonym_keys"
            assert not target.moving().standing().sealed
        else:
            copying.begin()
            copying.run()
            require_equal(source, target)


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("to", ["sqlite", "postgresql"])
def test_a_rotation_between_two_passes(to: str, debian_postgresql: PostgreSQLServer, tmp_path: Path) -> None:
    """The next pass brings every new key and leaves no old one; whoever comes then can be rotated, too."""
    (tmp_path / "target").mkdir()
    url = of(tmp_path, "target") if to == "sqlite" else debian_postgresql.url(schema=schema_of(tmp_path))
    with two(of(tmp_path, "source"), url) as (source, target):
        copying = Copy(source, target)
        copying.begin()
        copying.run()
        rotate(tmp_path / "source", KEYS[:3])
        assert copying.run()
        require_equal(source, target)
        assert not copying.run()
        copying.open_target()
    assert rotate(tmp_path / "target", KEYS, url)["visitors"] == len(PEOPLE)
    after = Shop(url, tmp_path / "target", pseudonym_keys=KEYS, secret_keys=SECRETS)
    for alias in PEOPLE:
        after.tracker.privacy.erase(alias)
    assert [after.tracker.privacy.would_erase(alias)["profiles"] for alias in PEOPLE] == [0] * len(PEOPLE)
    assert after.tracker.storage.moving().count(LASTING_KEYS) == 0
    after.tracker.close()


@pytest.mark.usefixtures("shop")
def test_a_rotation_cut_short_is_not_moved(tmp_path: Path) -> None:
    """The two files are keyed otherwise: the source is not sealed until the rotation is finished."""
    (tmp_path / "target").mkdir()

    def rekeyed(key: str) -> str:
        if next(left, None) is None:
            raise CutShortError
        return rotate_visitor_key(key, KEYS[2].encode())

    left = iter(range(2 * len(PEOPLE)))
    marks = [check_value(NAMESPACE, [key.encode() for key in KEYS[:number]]) for number in (2, 3)]
    with two(of(tmp_path, "source"), of(tmp_path, "target")) as (source, target):
        copying = Copy(source, target)
        copying.begin()
        with pytest.raises(CutShortError):
            source.pseudonyms().rotate(Rotation(NAMESPACE, marks[0], marks[1], rekeyed))
        assert len(source.pseudonyms().marks(NAMESPACE)) == 2
        with pytest.raises(StorageUnavailable, match="pseudonyms rotate"):
            copying.seal_source()
        rotate(tmp_path / "source", KEYS[:3])
        copying.seal_source()


@pytest.mark.usefixtures("shop")
def test_a_profile_that_comes_later_has_its_lasting_key(tmp_path: Path) -> None:
    """Each SQLite file has lasting keys of its own; whoever gets a second row between two passes has two."""
    (tmp_path / "target").mkdir()
    newcomers = {"000000000021": "profile", "000000000022": "history"}
    with two(of(tmp_path, "source"), of(tmp_path, "target")) as (source, target):
        copying = Copy(source, target)
        copying.begin()
        for first in (True, False):
            site = Shop("sqlite", tmp_path / "source", pseudonym_keys=KEYS[:2], secret_keys=SECRETS)
            for alias, what in newcomers.items():
                with site.tracker.visitor(alias) as visitor:
                    if (what == "history") is first:
                        visitor.show("/")
                    else:
                        visitor.profile["font"] = "small"
            site.tracker.close()
            assert copying.run()
            require_equal(source, target)
        assert isinstance(target, SQLiteStorage)
        with target._files.wrapped() as connection:
            for schema in ("main", "preferences"):
                (number,) = connection.sql.execute(f"SELECT count(*) FROM {schema}.lasting_keys").fetchone()
                assert number == len(PEOPLE) + len(newcomers)
