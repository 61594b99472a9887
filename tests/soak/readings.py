"""What the processes of a server hold over time: memory, files, threads; and whether it grows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import NamedTuple

from tests.servers.launch import Served

_ASKED_EACH_TIME = 8
_WARM = 0.5
_POINTS = 200


class Reading(NamedTuple):
    """What one process held at one moment (seconds since the beginning)."""

    at: float
    rss_kb: int
    files: int
    threads: int


class Growth(NamedTuple):
    """How one long-lived process grew, once it was warm. `slope_kb`: kilobytes an hour."""

    seconds: float
    rss_kb: int
    grown_kb: int
    slope_kb: float
    files: int
    more_files: int
    threads: int
    more_threads: int


class Readings:
    """The readings of one server's processes, by process."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._by_pid: defaultdict[int, list[Reading]] = defaultdict(list)

    def take(self, at: float) -> set[int]:
        """Ask a few times, whichever processes answer; give their numbers."""
        answered = set()
        for _ in range(_ASKED_EACH_TIME):
            try:
                held = self._served.held()
            except (OSError, ValueError):  # it is changing its workers
                continue
            answered.add(held["pid"])
            self._by_pid[held["pid"]].append(Reading(at, held["rss_kb"], held["files"], held["threads"]))
        return answered

    @property
    def processes(self) -> int:
        """How many processes served so far."""
        return len(self._by_pid)

    @property
    def eldest(self) -> int | None:
        """The process that has served longest, by its readings."""
        return max(self._by_pid, key=lambda pid: _life(self._by_pid[pid]), default=None)

    def growth(self) -> Growth:
        """How the eldest process grew after the first part of its life."""
        assert self.eldest is not None, "nobody answered"
        life = self._by_pid[self.eldest]
        warm_at = life[0].at + _WARM * _life(life)
        warm = [reading for reading in life if reading.at >= warm_at]
        first, last = _typical(warm[: len(warm) // 3 + 1]), _typical(warm[-(len(warm) // 3 + 1) :])
        return Growth(
            seconds=_life(warm),
            rss_kb=last.rss_kb,
            grown_kb=last.rss_kb - first.rss_kb,
            slope_kb=3600 * _slope(warm),
            files=last.files,
            more_files=last.files - first.files,
            threads=last.threads,
            more_threads=last.threads - first.threads,
        )


def _life(readings: Sequence[Reading]) -> float:
    return readings[-1].at - readings[0].at


def _typical(readings: Sequence[Reading]) -> Reading:
    """The middle value of each kind."""
    middle = len(readings) // 2
    at, rss, files, threads = (sorted(values)[middle] for values in zip(*readings, strict=True))
    return Reading(at, int(rss), int(files), int(threads))


def _slope(readings: Sequence[Reading]) -> float:
    """Kilobytes gained a second: the middle one of the slopes between any two readings (Theil and Sen).

    A single leap, as when a worker takes over as the writer, is no growth.
    """
    some = readings[:: max(1, len(readings) // _POINTS)]
    pairs = [(one, other) for one, other in combinations(some, 2) if other.at > one.at]
    return median((other.rss_kb - one.rss_kb) / (other.at - one.at) for one, other in pairs) if pairs else 0.0
