"""What a running site is told: a spool that nobody drains, events lost, a clock that was wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alias_middleware import Tracker, census
from alias_middleware.doctor import running
from alias_middleware.doctor.findings import Finding, Level, worst
from alias_middleware.segments import WriterLock
from tests.support.processes import process, wait_until_ready

ALIAS = "314522927347"
PATIENCE = 0.3
LONG = 20.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the spool is."""
    return tmp_path / "alias.db-spool"


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    """A site whose spool is drained by nobody."""
    made = Tracker(
        service="sonneries",
        storage=f"sqlite:///{tmp_path}/alias.db",
        trusted_gateways=["10.12.0.1"],
        writer="external",
        raise_errors=True,
    )
    yield made
    made.close()


def level(found: list[Finding]) -> Level:
    return worst(finding.level for finding in found)


def test_storage_that_answers(tracker: Tracker, folder: Path) -> None:
    """Its time is told."""
    tracker.visitor(ALIAS).track("download")
    assert running.storage(tracker, folder)[0].level is Level.OK


def test_storage_that_is_not_there_is_not_made(tracker: Tracker, folder: Path) -> None:
    """A mistyped path is a failure and stays a path to nothing."""
    assert level(running.storage(tracker, folder)) is Level.FAIL
    assert os.listdir(folder.parent) == []


def test_storage_that_cannot_be_read_fails(tracker: Tracker, folder: Path) -> None:
    """A file that is no database is told."""
    (folder.parent / "alias.db").write_bytes(b"no database" * 1000)
    assert level(running.storage(tracker, folder)) is Level.FAIL


def test_requests_without_the_storage_are_told() -> None:
    """How often the budget was spent, and whether the breaker is open now."""
    (well,) = running.budget({"seen": 3, "dropped": {}}, 0.25)
    assert (well.level, well.check) == (Level.OK, "budget")
    assert "250 ms" in well.measured
    (odd,) = running.budget({"storage_timeouts": 7, "breaker_opened": 2, "breaker_open": 1}, 0.25)
    assert odd.level is Level.WARN
    assert "storage_timeouts 7, breaker_opened 2, breaker_open 1" in odd.measured
    assert "storage_timeout" in odd.remedy


def test_spool_that_nobody_drains_fails(tracker: Tracker, folder: Path) -> None:
    """Events wait, and nobody is the writer: told with the number of events, and what to do."""
    tracker.visitor(ALIAS).track("download")
    (found,) = running.drainer(tracker, folder, PATIENCE, awake=False)
    assert (found.level, found.check) == (Level.FAIL, "drainer")
    assert "none of 1 events went" in found.measured
    assert "enable-threads" in found.remedy


def test_site_at_rest_may_have_no_writer_yet(tracker: Tracker, folder: Path) -> None:
    """Where nothing waits and the site was not asked for a page, nobody to drain is a warning."""
    tracker.visitor(ALIAS).track("download")
    assert tracker.flush()
    assert level(running.drainer(tracker, folder, PATIENCE, awake=False)) is Level.WARN
    assert level(running.drainer(tracker, folder, PATIENCE, awake=True)) is Level.FAIL


def test_writer_that_does_not_get_on_fails(tracker: Tracker, folder: Path) -> None:
    """Somebody holds the lock and drains nothing: another remedy than for nobody."""
    tracker.visitor(ALIAS).track("download")
    lock = WriterLock(folder)
    assert lock.acquire()
    try:
        (found,) = running.drainer(tracker, folder, PATIENCE, awake=False)
    finally:
        lock.release()
    assert found.level is Level.FAIL
    assert "does not get on" in found.measured


def test_spool_that_is_drained_is_well(tracker: Tracker, folder: Path) -> None:
    """Another process drains: what the doctor left there is gone, and it counted nothing."""
    tracker.visitor(ALIAS).track("download")
    with process("drain", folder.parent / "alias.db") as other:
        wait_until_ready(other)
        (found,) = running.drainer(tracker, folder, LONG, awake=False)
        assert found.level is Level.OK
    counters = tracker.counters()
    assert (counters["seen"], counters["stored"], counters["spooled"]) == (1, 1, 0)


def test_doctor_does_not_drain_to_find_out_who_drains(tracker: Tracker, folder: Path) -> None:
    """What waited before waits afterwards."""
    tracker.visitor(ALIAS).track("download")
    before = census.sizes(folder)
    running.drainer(tracker, folder, PATIENCE, awake=True)
    assert before.items() <= census.sizes(folder).items()
    assert tracker.counters()["spooled"] == 1


def test_spool_that_takes_no_more_fails(tmp_path: Path, folder: Path) -> None:
    """A spool at its limit cannot take the doctor's record either."""
    tracker = Tracker(
        service="s",
        storage=f"sqlite:///{tmp_path}/alias.db",
        trusted_gateways=[],
        writer="external",
        spool_limit=10,
    )
    folder.mkdir(mode=0o700)
    (found,) = running.drainer(tracker, folder, PATIENCE, awake=False)
    tracker.close()
    assert (found.level, found.check) == (Level.FAIL, "drainer")
    assert "full" in found.measured


@pytest.mark.parametrize(
    ("counts", "expected", "said"),
    [
        pytest.param({"seen": 3, "stored": 2, "spooled": 1}, Level.OK, "seen 3", id="all is well"),
        pytest.param({}, Level.OK, "nothing", id="nothing yet"),
        pytest.param(
            {"seen": 3, "stored": 1, "dropped": {"no_alias": 1, "erased": 1}},
            Level.OK,
            "seen 3",
            id="rightly dropped",
        ),
        pytest.param({"seen": 1, "dropped": {"spool_full": 1}}, Level.WARN, "spool_full 1", id="lost"),
        pytest.param({"preferences_lost": 2}, Level.WARN, "preferences_lost 2", id="preferences lost"),
        pytest.param({"seen": 3, "stored": 1}, Level.FAIL, "do not add up", id="unbalanced"),
        pytest.param({"identity": {"UNTRUSTED": 9}}, Level.WARN, "9 were not", id="the gateway is not trusted"),
        pytest.param({"identity": {"UNTRUSTED": 9, "OK": 1}}, Level.OK, "nothing", id="some are not trusted"),
        pytest.param({"identity": {"CONFLICT": 1, "OK": 5}}, Level.OK, "CONFLICT 1", id="forgeries"),
    ],
)
def test_counters_tell_losses_and_troubles(counts: Any, expected: Level, said: str) -> None:
    """What was ever lost is a warning; sums that do not add up are a failure."""
    found = running.counters(counts)
    assert level(found) is expected
    assert any(said in finding.measured for finding in found)


def test_losses_of_this_moment_fail() -> None:
    """What grows while the doctor looks is lost now."""
    before, after = {"dropped": {"spool_full": 4}}, {"dropped": {"spool_full": 6, "no_alias": 1}}
    assert "spool_full 2" in running.growing(before, after)[0].measured
    assert running.growing(after, after) == []


def test_spool_of_the_future_fails(tracker: Tracker, folder: Path) -> None:
    """A file written after now: the clock was stepped back."""
    tracker.visitor(ALIAS).track("download")
    now = time.time()
    assert level(running.clock(tracker, folder, now)) is Level.OK
    (segment,) = folder.glob("*.spool")
    os.utime(segment, (now + 3600, now + 3600))
    (found,) = running.clock(tracker, folder, now)
    assert found.level is Level.FAIL
    assert "3600 s ahead" in found.measured


def test_pages_of_the_future_are_warned_of(tracker: Tracker, folder: Path) -> None:
    """A site whose clock ran a month ahead recorded pages that will come yet."""
    tracker.visitor(ALIAS).show("/")
    assert tracker.flush()
    a_month_ago = time.time() - 30 * 86_400
    (found,) = (each for each in running.clock(tracker, folder, a_month_ago) if "reaches to" in each.measured)
    assert found.level is Level.WARN


def test_clock_stepped_meanwhile_fails() -> None:
    """The clock and the time that passed disagree."""
    assert running.steps(10.0, 9.9) == []
    assert "-3600 s" in running.steps(-3590.0, 10.0)[0].measured
