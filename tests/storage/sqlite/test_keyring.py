"""The keys that remember erased visitors: from the settings, or a file that is made once."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from alias_middleware.errors import StorageCorrupt
from alias_middleware.profile import Operation
from alias_middleware.storage.base import Batch
from alias_middleware.storage.outbox import Suppression
from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.storage.sqlite.keyring import FileKeyring
from alias_middleware.testing.histories import KEY, Teller, change, instant


def hashes(ring: FileKeyring) -> list[bytes]:
    return ring.every("tombstone", "portal", "314522927347")


def test_concurrent_first_use_makes_one_key(tmp_path: Path) -> None:
    """Whoever comes first, all use the same key, and no draft of it stays."""
    path = tmp_path / "alias.db-key"
    ready = threading.Barrier(8)
    found: list[list[bytes]] = []

    def use() -> None:
        ring = FileKeyring(path, ())
        ready.wait()
        found.append(hashes(ring))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(each == found[0] for each in found)
    assert [each.name for each in tmp_path.iterdir()] == ["alias.db-key"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == 32


def test_keys_of_the_settings_make_no_file(tmp_path: Path) -> None:
    """The newest writes, all are looked for."""
    path = tmp_path / "alias.db-key"
    first, both = FileKeyring(path, (b"1" * 32,)), FileKeyring(path, (b"1" * 32, b"2" * 32))
    assert hashes(both)[1:] == hashes(first)
    assert both.newest("tombstone", "portal", "314522927347") == hashes(both)[0]
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_stays_valid_when_keys_are_set(tmp_path: Path) -> None:
    """Who was erased before the publisher set keys is still known."""
    path = tmp_path / "alias.db-key"
    before = hashes(FileKeyring(path, ()))
    after = hashes(FileKeyring(path, (b"1" * 32,)))
    assert after[1:] == before


def test_purposes_and_namespaces_do_not_meet(tmp_path: Path) -> None:
    """A tombstone's hash tells nothing about a suppression's, nor about another namespace."""
    ring = FileKeyring(tmp_path / "key", (b"1" * 32,))
    asked = [("a", "bc", "d"), ("ab", "c", "d"), ("a", "b", "cd"), ("a", "bc", "e")]
    assert len({ring.newest(*each) for each in asked}) == len(asked)


def test_a_question_makes_no_key_file(tmp_path: Path) -> None:
    """Who only looks, as another user perhaps, leaves no file that the site could not read."""
    storage = SQLiteStorage(f"sqlite:///{tmp_path / 'alias.db'}")
    assert storage.suppressions("sonneries", "314522927347") == []
    assert storage.erased_at("sonneries", "314522927347") is None
    storage.close()
    assert not list(tmp_path.glob("*-key"))


def test_opt_outs_are_not_forgotten_with_their_key(tmp_path: Path) -> None:
    """Without the key nobody may be judged, nor anything be kept beside it; with it all is as it was."""
    said = Suppression("marketing", "stop", "sms", 1)
    storage = SQLiteStorage(f"sqlite:///{tmp_path}/alias.db")
    storage.suppress("portal", "314522927347", said)
    storage.close()
    path = tmp_path / "alias.db-key"
    kept = path.read_bytes()
    for lost in (b"", b"another key of thirty-two bytes."):
        path.write_bytes(lost) if lost else path.unlink()
        storage = SQLiteStorage(f"sqlite:///{tmp_path}/alias.db")
        with pytest.raises(StorageCorrupt, match="restore the key file"):
            storage.suppressions("portal", "314522927347")
        with pytest.raises(StorageCorrupt, match="restore the key file"):
            storage.suppress("portal", "271828182845", said)
        with pytest.raises(StorageCorrupt, match="restore the key file"):
            storage.outbox().evidence_of("portal", "314522927347")
        storage.close()
    path.write_bytes(kept)
    storage = SQLiteStorage(f"sqlite:///{tmp_path}/alias.db")
    assert storage.suppressions("portal", "314522927347") == [said]
    assert storage.suppressions("portal", "271828182845") == []
    storage.close()


def test_the_erased_are_not_forgotten_with_their_key(tmp_path: Path) -> None:
    """Who lacks the key brings nobody back and erases nobody in vain; no key is made in its stead."""
    url, tell = f"sqlite:///{tmp_path}/alias.db", Teller()
    site = SQLiteStorage(url, secret_keys=(b"1" * 32,))
    site.apply(Batch(entries=[tell.view("2026-03-02T12:00")]))
    site.erase("portal", KEY, instant("2026-03-03T12:00"))
    late = Batch(entries=[tell.view("2026-03-02T12:01")])
    said = change(Operation("set", "preferences", "font", "large"), at="2026-03-02T12:00", key=KEY)
    for keys in ((), (b"2" * 32,)):
        stranger = SQLiteStorage(url, secret_keys=keys)
        with pytest.raises(StorageCorrupt, match="ALIAS_SECRET_KEYS"):
            stranger.apply(late)
        with pytest.raises(StorageCorrupt, match="ALIAS_SECRET_KEYS"):
            stranger.change_profile("portal", said, timeout=5)
        with pytest.raises(StorageCorrupt, match="ALIAS_SECRET_KEYS"):
            stranger.erased_at("portal", KEY)
        with pytest.raises(StorageCorrupt, match="ALIAS_SECRET_KEYS"):
            stranger.erase("portal", "271828182845", 1)
        stranger.close()
    assert not list(tmp_path.glob("*-key"))
    assert site.apply(late).dropped == {"erased": 1}
    site.close()


def test_a_key_that_came_since_is_taken_up(tmp_path: Path) -> None:
    """The first erasure was by a command without the site's keys: the site goes on, and knows of it."""
    url, tell = f"sqlite:///{tmp_path}/alias.db", Teller()
    site = SQLiteStorage(url, secret_keys=(b"1" * 32,))
    site.suppress("portal", "271828182845", Suppression("marketing", "stop", "sms", 1))
    site.apply(Batch(entries=[tell.view("2026-03-02T12:00")]))
    late = Batch(entries=[tell.view("2026-03-02T12:01")])
    command = SQLiteStorage(url)
    command.erase("portal", KEY, instant("2026-03-03T12:00"))
    command.close()
    assert site.apply(late).dropped == {"erased": 1}
    site.close()
