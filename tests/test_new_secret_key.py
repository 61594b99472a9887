"""Rolling a new secret key out over several workers, as docs/howto/servers.md tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from alias_middleware import Tracker
from alias_middleware.errors import StorageCorrupt
from tests.support.postgresql import EVERY_STORAGE, url_of
from tests.support.site import ALIAS, OTHER_ALIAS

OLD, NEW = "the old key, of 16 characters or more", "the new key, of 16 characters or more"
SHARED = EVERY_STORAGE[1:]


def worker(url: str, spool: Path, *keys: str) -> Tracker:
    """Start a machine's worker."""
    return Tracker(
        service="sonneries",
        storage=url,
        spool=spool,
        secret_keys=list(keys),
        trusted_gateways=[],
        writer="external",
        raise_errors=True,
    )


def show(tracker: Tracker, path: str) -> None:
    with tracker.visitor(OTHER_ALIAS) as visitor:
        visitor.show(path)


def erase_somebody(tracker: Tracker) -> None:
    with tracker.visitor(ALIAS) as visitor:
        visitor.show("/")
    tracker.drain()
    tracker.privacy.erase(ALIAS)


@pytest.mark.parametrize("storage", SHARED)
def test_a_worker_without_the_new_key_keeps_what_it_records(
    storage: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Once somebody was erased under it, it stores no batch; started with the key it stores all that waited."""
    url = url_of(storage, tmp_path, request)
    behind, ahead = worker(url, tmp_path / "a", OLD), worker(url, tmp_path / "b", OLD, NEW)
    erase_somebody(ahead)
    show(behind, "/waits")
    with pytest.raises(StorageCorrupt, match="key"):
        behind.drain()
    behind.close()
    assert ahead.visitor(OTHER_ALIAS).history() == []
    behind = worker(url, tmp_path / "a", OLD, NEW)
    behind.drain()
    assert len(ahead.visitor(OTHER_ALIAS).history()) == 1
    behind.close()
    ahead.close()


@pytest.mark.parametrize("storage", SHARED)
def test_in_two_rounds_nobody_ever_waits(storage: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A key that stands first only recognises: old settings do without it; then it may be used, in any order."""
    url = url_of(storage, tmp_path, request)
    rounds = [((OLD,), (NEW, OLD)), ((NEW, OLD), (OLD, NEW))]
    for number, (before, after) in enumerate(rounds, 1):
        behind, ahead = worker(url, tmp_path / "a", *before), worker(url, tmp_path / "b", *after)
        for tracker in (ahead, behind):
            erase_somebody(tracker)
            show(behind, f"/{number}")
            assert behind.drain()
            show(ahead, f"/{number}")
            assert ahead.drain()
        assert len(ahead.visitor(OTHER_ALIAS).history()) == 4 * number
        behind.close()
        ahead.close()
