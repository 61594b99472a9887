"""Rotation of pseudonyms: nothing is lost, nobody is forgotten who said no, and other keys are refused."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alias_middleware import Tracker
from alias_middleware.errors import AliasError, SettingsError, StorageUnavailable
from alias_middleware.identity import check_value, full_key, lasting_part, rotated, stored_part
from alias_middleware.rejects import keep
from alias_middleware.rotation import rotate_pseudonyms
from alias_middleware.storage.base import Batch, Origin
from alias_middleware.storage.memory import MemoryStorage
from alias_middleware.storage.memory_custody import MemoryPseudonyms
from alias_middleware.storage.pseudonyms import Rotation
from tests.support.site import ALIAS, OTHER_ALIAS
from tests.support.sms import PULL, SUBSCRIPTION, Shop

KEYS = [f"pseudonym key number {number}" for number in range(1, 5)]
SECRETS = ["a secret of sixteen bytes or more"]
PEOPLE = [f"{number:012}" for number in range(1, 8)]
NAMESPACE = "sonneries"


class Life:
    """A shop whose pseudonyms are rotated now and then, or never."""

    def __init__(self, folder: Path, *, rotates: bool, storage: str = "sqlite") -> None:
        self._folder, self._storage, self._rotates = folder, storage, rotates
        self._keys = 1
        self.shop = self._open()
        self.shop.tracker.contact.declare_no_prior_optouts()

    def _open(self) -> Shop:
        return Shop(self._storage, self._folder, pseudonym_keys=KEYS[: self._keys], secret_keys=SECRETS)

    def rotate(self) -> None:
        """Stop, take one key more, go on; who does not rotate drains all the same."""
        self.shop.tracker.flush()
        if self._rotates and self._keys < len(KEYS):
            self._keys += 1
            before, clock = self.shop, self.shop.clock
            before.tracker.close()
            self.shop = rotated_shop(self._folder, KEYS[: self._keys], self._storage)
            self.shop.clock.now = clock.now

    def known(self) -> dict[str, Any]:
        """Everything that a publisher sees, but for keys."""
        tracker = self.shop.tracker
        tracker.flush()
        today = self.shop.now.date()
        contact = tracker.contact
        exports = {alias: without_keys(tracker.privacy.export(alias)) for alias in PEOPLE}
        offers = [("light_pull", PULL), ("premium_push", SUBSCRIPTION)]
        return {
            "figures": tracker.statistics.summary(today - timedelta(days=40), today + timedelta(days=1)),
            "people": exports,
            "verdicts": {
                (alias, offer): contact.verdict(alias, offer=offer, kind="marketing", sender=sender)
                for alias in PEOPLE
                for offer, sender in offers
            },
            "counters": tracker.counters(),
        }


def rotated_shop(folder: Path, keys: list[str], storage: str = "sqlite") -> Shop:
    """Rotate as the command does, then start the site again; before anything was stored it may just start."""
    if rotate(folder, keys, storage):
        assert rotate(folder, keys, storage) == {}
    return Shop(storage, folder, pseudonym_keys=keys, secret_keys=SECRETS)


def rotate(folder: Path, keys: list[str], storage: str = "sqlite") -> dict[str, int]:
    """Rotate a shop's storage that stands still."""
    from alias_middleware.settings import make_settings
    from alias_middleware.storage import open_storage

    url = f"sqlite:///{folder}/alias.db" if storage == "sqlite" else storage
    given = {"service": NAMESPACE, "trusted_gateways": [], "storage": url, "spool": folder / "spool"}
    settings = make_settings({**given, "pseudonym_keys": keys, "secret_keys": SECRETS})
    opened = open_storage(settings.storage, secret_keys=settings.secret_keys)
    try:
        return rotate_pseudonyms(settings, opened)
    finally:
        opened.close()


def without_keys(document: dict[str, Any]) -> dict[str, Any]:
    """Leave visitor keys and random ids out of an export."""
    for event in document["history"]:
        del event["key"]
    del document["disclosures"]
    return document


def live(life: Life, seed: int) -> None:
    """Do the same random things to two lives of one seed."""
    dice = random.Random(seed)
    written = 0
    for _ in range(60):
        shop = life.shop
        shop.clock.advance(minutes=dice.randrange(1, 600))
        alias, deed = dice.choice(PEOPLE), dice.randrange(11)
        at = shop.now - timedelta(minutes=dice.choice([0, 0, 5, 3000]))
        if deed <= 2:
            written += 1
            text, code = dice.choice(["MENU", "STOP", "START", "STOPALL"]), dice.choice([PULL, SUBSCRIPTION])
            number = dice.choice([written, written - 1])  # some are delivered again
            shop.tracker.receive_sms(alias, code, text, at=at, message_id=f"m{number}")
        elif deed == 3:
            shop.tracker.privacy.erase(alias)
        elif deed == 4:
            shop.tracker.contact.import_suppressions([alias])
        elif deed == 5:
            life.rotate()
        elif deed == 6:
            shop.tracker.flush()
        else:
            with shop.tracker.visitor(alias) as visitor:
                if deed == 7:
                    visitor.profile["n"] = dice.randrange(9)
                    visitor.consent("contact", dice.random() < 0.7)
                elif deed == 8:
                    visitor.track("look", at=at)
                else:
                    visitor.show(f"/{dice.randrange(3)}")


@pytest.mark.parametrize("seed", range(12))
def test_a_rotated_life_is_like_any_other(tmp_path: Path, seed: int) -> None:
    """Figure by figure and verdict by verdict: whoever was erased or opted out, and whenever keys changed."""
    told = []
    for rotates, storage in [(True, "sqlite"), (False, "sqlite"), (False, "memory")]:
        folder = tmp_path / f"{rotates}-{storage}"
        folder.mkdir()
        life = Life(folder, rotates=rotates, storage=storage)
        live(life, seed)
        told.append(life.known())
        life.shop.tracker.close()
    assert told[0] == told[1] == told[2]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop under its first key that has one visitor, one erased and one who opted out and was erased."""
    shop = Shop("sqlite", tmp_path, pseudonym_keys=KEYS[:1], secret_keys=SECRETS)
    for alias in PEOPLE:
        with shop.tracker.visitor(alias) as visitor:
            visitor.show("/")
            visitor.profile["font"] = "large"
    shop.tracker.flush()
    shop.write(PEOPLE[1], "STOP")
    for alias in PEOPLE[1:3]:
        shop.tracker.privacy.erase(alias)
    shop.tracker.close()
    return shop


def test_no_row_has_an_old_key(shop: Shop, tmp_path: Path) -> None:
    """Neither the visitor key of before, nor the lasting key, nor an alias is in any file."""
    assert rotate(tmp_path, KEYS[:2]) == {"profiles": 5, "visitors": 5, "dispatches": 0, "sealed_aliases": 0}
    after = Shop("sqlite", tmp_path, pseudonym_keys=KEYS[:2], secret_keys=SECRETS)
    for alias in (PEOPLE[0], OTHER_ALIAS):
        with after.tracker.visitor(alias) as visitor:
            visitor.show("/")
            visitor.profile["font"] = "small"
    after.tracker.close()
    content = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for alias in [*PEOPLE, OTHER_ALIAS]:
        key = full_key(alias, NAMESPACE, [each.encode() for each in KEYS[:2]])
        assert not any(lasting_part(key).encode() in each for each in content)
        assert not any(alias.encode() in each for each in content)
    assert any(stored_part(key).encode() in each for each in content)
    rotate(tmp_path, KEYS[:3])
    content = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(stored_part(key).encode() in each for each in content)


def test_a_rotation_killed_anywhere_is_finished_by_the_next(shop: Shop, tmp_path: Path) -> None:
    """Killed at every key in turn, the site is refused until it is finished; then everybody is there once."""
    for kill_at in (1, 4, 10, 14, 1, 5, 10):  # from the fourth on, the preferences are done
        killed = multiprocessing.get_context("fork").Process(target=_rotate_and_die, args=(tmp_path, kill_at))
        killed.start()
        killed.join(30)
        assert killed.exitcode == -signal.SIGKILL
        with pytest.raises(SettingsError, match="pseudonyms rotate"):
            Shop("sqlite", tmp_path, pseudonym_keys=KEYS[:2], secret_keys=SECRETS)
    assert rotate(tmp_path, KEYS[:2]) == {"visitors": 5, "dispatches": 0, "sealed_aliases": 0}
    assert rotate(tmp_path, KEYS[:2]) == {}
    site = Shop("sqlite", tmp_path, pseudonym_keys=KEYS[:2], secret_keys=SECRETS)
    found = [site.tracker.privacy.would_erase(alias) for alias in PEOPLE]
    assert [each["profiles"] for each in found] == [1, 0, 0, 1, 1, 1, 1]
    assert site.objections(PEOPLE[1]) == ("refuse", ["no_window", "service_stopped", "opted_out", "no_consent"])
    site.tracker.close()


def _rotate_and_die(folder: Path, kill_at: int) -> None:
    """Rotate in a process of its own that kills itself at the key of that number."""
    from alias_middleware.storage.sqlite import SQLiteStorage

    left = iter(range(kill_at - 1))

    def rekeyed(key: str) -> str:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return rotated(key, new)

    old, new = ([key.encode()] for key in KEYS[:2])
    storage = SQLiteStorage(f"sqlite:///{folder}/alias.db", secret_keys=[key.encode() for key in SECRETS])
    marks = check_value(NAMESPACE, old), check_value(NAMESPACE, old + new)
    storage.pseudonyms().rotate(Rotation(NAMESPACE, *marks, rekeyed))


@pytest.mark.parametrize(
    ("keys", "remedy"),
    [
        pytest.param([], "last keyed with others", id="none any more"),
        pytest.param(KEYS[1:2], "last keyed with others", id="another"),
        pytest.param([KEYS[1], KEYS[0]], "last keyed with others", id="in another order"),
        pytest.param(KEYS[:2], "first 1 of these 2", id="one more"),
    ],
)
def test_other_keys_are_refused_at_start_up(shop: Shop, tmp_path: Path, keys: list[str], remedy: str) -> None:
    """A site that would not know its visitors again does not start, and is told what to do."""
    with pytest.raises(SettingsError, match=remedy) as raised:
        Shop("sqlite", tmp_path, pseudonym_keys=keys, secret_keys=SECRETS)
    assert raised.value.setting == "pseudonym_keys"


def test_a_storage_begun_without_keys_takes_none(tmp_path: Path) -> None:
    """Whom it has erased could not be known again: it is refused, by the site and by the rotation."""
    plain = Shop("sqlite", tmp_path, secret_keys=SECRETS)
    plain.buy(ALIAS)
    plain.tracker.close()
    for refused in (
        lambda: Shop("sqlite", tmp_path, pseudonym_keys=KEYS[:1], secret_keys=SECRETS),
        lambda: rotate(tmp_path, KEYS[:1]),
    ):
        with pytest.raises(SettingsError, match="begun without"):
            refused()


def test_events_under_other_keys_wait_in_the_spool(shop: Shop, tmp_path: Path) -> None:
    """A process that was forgotten when keys changed harms nobody: its batch is refused, whatever is in it."""
    from alias_middleware.storage.sqlite import SQLiteStorage

    storage = SQLiteStorage(f"sqlite:///{tmp_path}/alias.db", secret_keys=[key.encode() for key in SECRETS])
    late = Origin(NAMESPACE, NAMESPACE, 1_800_000_000, check_value(NAMESPACE, [KEYS[1].encode()]))
    with pytest.raises(StorageUnavailable) as raised:
        storage.apply(Batch(unidentified={(late, 1): 1}))
    assert raised.value.reason == "other_keys"
    storage.close()


def test_a_site_that_runs_is_not_rotated(tmp_path: Path) -> None:
    """Its spool is in use: the records in it, and those to come, have the old keys."""
    shop = Shop("sqlite", tmp_path, pseudonym_keys=KEYS[:1], secret_keys=SECRETS)
    shop.buy(ALIAS)
    with pytest.raises(AliasError, match="stop every process"):
        rotate(tmp_path, KEYS[:2])
    shop.tracker.close()
    assert rotate(tmp_path, KEYS[:2])["visitors"] == 1


def test_what_waits_in_the_spool_is_drained_first(tmp_path: Path) -> None:
    """An event of a process that died is stored under the key it came with, and rotated with the others."""
    shop = Shop("sqlite", tmp_path, pseudonym_keys=KEYS[:1], secret_keys=SECRETS)
    with shop.tracker.visitor(ALIAS) as visitor:
        visitor.track("look")
    shop.tracker._here().spool.close()
    assert rotate(tmp_path, KEYS[:2])["visitors"] == 1
    after = Shop("sqlite", tmp_path, pseudonym_keys=KEYS[:2], secret_keys=SECRETS)
    assert after.tracker.privacy.would_erase(ALIAS)["events"] == 1
    after.tracker.close()


def test_an_erasure_is_replayed_across_a_rotation(shop: Shop, tmp_path: Path) -> None:
    """A backup of before the erasure, restored: whoever was erased since is known by his lasting key."""
    rotate(tmp_path, KEYS[:2])
    files = ("alias.db", "alias.db-preferences")
    backup = {name: (tmp_path / name).read_bytes() for name in files}
    site = Shop("sqlite", tmp_path, pseudonym_keys=KEYS[:2], secret_keys=SECRETS)
    site.tracker.privacy.erase(PEOPLE[4])
    site.tracker.close()
    for name in files:
        (tmp_path / name).write_bytes(backup[name])
        for tail in ("-wal", "-shm"):
            (tmp_path / f"{name}{tail}").unlink(missing_ok=True)
    rotate(tmp_path, KEYS[:3])
    site = Shop("sqlite", tmp_path, pseudonym_keys=KEYS[:3], secret_keys=SECRETS)
    assert site.tracker.privacy.would_erase(PEOPLE[4])["events"] == 1
    assert site.tracker.privacy.replay_erasures()["visitors"] == 1
    assert site.tracker.privacy.would_erase(PEOPLE[4]) == {"events": 0, "profiles": 0, "dispatches": 0}
    site.tracker.close()


def test_an_erasure_takes_what_the_spool_keeps_aside(tmp_path: Path) -> None:
    """Records that could not be stored name a visitor by the keys of their time, and all by the lasting one."""
    rejected = tmp_path / "spool" / "rejected.jsonl"
    rejected.parent.mkdir()
    for number in (1, 2, 3):
        key = full_key(ALIAS, NAMESPACE, [each.encode() for each in KEYS[:number]])
        keep(rejected, msgspec.json.encode({"event": ["v", key, 1]}) + b"\n")
    keep(rejected, b'{"event": ["v", "somebody else", 1]}\n')
    shop = Shop("sqlite", tmp_path, pseudonym_keys=KEYS[:3], secret_keys=SECRETS)
    shop.tracker.privacy.erase(ALIAS)
    shop.tracker.close()
    assert rejected.read_bytes() == b'{"event": ["v", "somebody else", 1]}\n'


class Forgetful(MemoryStorage):
    """A storage that knows no pseudonym keys again, as a third party's may be."""

    def pseudonyms(self) -> MemoryPseudonyms:
        raise SettingsError("this storage cannot rotate pseudonyms", setting="storage")


def test_a_storage_that_rotates_nothing_serves_one_key(tmp_path: Path) -> None:
    """A second key would make strangers of those whom it was told to forget."""
    settings: dict[str, Any] = {"service": NAMESPACE, "trusted_gateways": [], "storage": Forgetful()}
    tracker = Tracker(**settings, spool=tmp_path, pseudonym_keys=KEYS[:1], raise_errors=True)
    with tracker.visitor(ALIAS) as visitor:
        visitor.profile["font"] = "large"
    assert tracker.visitor(ALIAS).profile["font"] == "large"
    tracker.close()
    with pytest.raises(SettingsError, match="cannot rotate"):
        Tracker(**settings, pseudonym_keys=KEYS[:2])


def test_the_plain_request_pays_nothing() -> None:
    """Without pseudonym keys the alias itself is the key; with one, nothing is added to it."""
    first = [KEYS[0].encode()]
    assert full_key(ALIAS, NAMESPACE) == ALIAS
    assert full_key(ALIAS, NAMESPACE, first) == lasting_part(full_key(ALIAS, NAMESPACE, [*first, b"n" * 16]))
    assert len(stored_part(full_key(ALIAS, NAMESPACE, first))) == 22
