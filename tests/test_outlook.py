"""The population's snapshot: read at most every five minutes, and never while a request waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from alias_middleware.errors import StorageUnavailable
from alias_middleware.interests import Population, Sums
from alias_middleware.outlook import REFRESH_US, Outlook


class Desk:
    """Time that is set, work that waits until it is done, and the reads that were made."""

    def __init__(self) -> None:
        self.now_us = 1_000
        self.work: list[Callable[[], None]] = []
        self.problems: list[Exception] = []
        self.reads = 0
        self.down = False
        self.outlook = Outlook(
            self.read, now=lambda: self.now_us, submit=self.work.append, problem=self.problems.append
        )

    def read(self) -> Mapping[str, Sums]:
        self.reads += 1
        if self.down:
            raise StorageUnavailable("no answer", reason="down")
        return {"sport": Sums(1.0, float(self.reads))}

    def do_work(self) -> None:
        while self.work:
            self.work.pop()()


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_request_never_waits(desk: Desk) -> None:
    """The first asks for a read and goes on with nothing; who comes later has it."""
    assert desk.outlook.population(wait=False) == Population()
    assert (desk.reads, len(desk.work)) == (0, 1)
    assert desk.outlook.population(wait=False) == Population()
    assert len(desk.work) == 1
    desk.do_work()
    assert desk.outlook.population(wait=False) == Population(1_000, {"sport": Sums(1.0, 1.0)})


def test_outside_a_request_it_is_read_at_once(desk: Desk) -> None:
    """A cron job has nothing to lose by it; and once read it is not read again."""
    assert desk.outlook.population(wait=True).sums["sport"].whole == 1
    assert desk.outlook.population(wait=True).sums["sport"].whole == 1
    assert (desk.reads, desk.work) == (1, [])


def test_it_is_refreshed_after_five_minutes(desk: Desk) -> None:
    """Not before; the old one serves until the new one is there. A clock set back is no reason to wait longer."""
    desk.outlook.population(wait=True)
    desk.now_us += REFRESH_US - 1
    assert desk.outlook.population(wait=False).time_us == 1_000
    assert desk.work == []
    desk.now_us += 1
    assert desk.outlook.population(wait=False).time_us == 1_000
    desk.do_work()
    assert desk.outlook.population(wait=False).time_us == desk.now_us
    desk.now_us -= 10
    desk.outlook.population(wait=False)
    assert len(desk.work) == 1


def test_a_storage_that_is_down_hurts_nobody(desk: Desk) -> None:
    """The problem is reported, the last snapshot stays, and the next try is five minutes off."""
    desk.outlook.population(wait=True)
    desk.down = True
    desk.now_us += REFRESH_US
    assert desk.outlook.population(wait=True).sums["sport"].whole == 1
    assert len(desk.problems) == 1
    desk.outlook.population(wait=True)
    assert desk.reads == 2
