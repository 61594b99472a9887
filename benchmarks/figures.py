"""What is measured against what, and the targets.

Each figure is a ratio of added costs: what the middleware adds to a plain app, divided by what the peer adds
to the same app in the same round.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

from alias_middleware import Tracker
from benchmarks import asgi_peers, flask_peers, people
from benchmarks.rounds import Contender, Spread, added, measure, ratio, spread
from benchmarks.site import tracker_on

_DAY_NS = 24 * 3600 * 10**9
_FLUSH_SECONDS = 60.0


class Scale(NamedTuple):
    """How much is measured. A round of `requests` is one stretch of one contender; `base`: of the large base."""

    visitors: int = 10_000
    rounds: int = 41
    requests: int = 500
    drained_rounds: int = 9
    drained_requests: int = 5_000
    base: float = 1.0


class Figure(NamedTuple):
    """One line of the table; without a target it is for information. A target is the most unless `at_least`."""

    name: str
    unit: str
    measured: Spread
    target: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool:
        if self.target is None:
            return True
        return self.measured.median >= self.target if self.at_least else self.measured.median <= self.target

    @property
    def aim(self) -> str:
        """The target in words of a table."""
        return "" if self.target is None else f"{'>=' if self.at_least else '<='} {self.target:.2f}"

    @property
    def verdict(self) -> str:
        return "" if self.target is None else "ok" if self.met else "missed"


class Bench:
    """The base, and the figures measured on it."""

    def __init__(self, folder: Path, scale: Scale) -> None:
        self.scale = scale
        self.pages_sent = 0
        self._database = folder / "alias.db"
        self.everybody = people.aliases(scale.visitors)

    def build(self) -> None:
        """Let everybody come once, a day ago, and choose a font: by requests, spool and writer."""
        with self.tracker(days_ago=1) as yesterday, asyncio.Runner() as runner:
            app = asgi_peers.behind_alias(asgi_peers.choosing_a_font, yesterday)
            asgi_peers.contender(runner, app, lambda _: self.everybody)(len(self.everybody))
            self.pages_sent += len(self.everybody)

    @contextmanager
    def tracker(self, *, writer: Literal["thread", "external"] = "thread", days_ago: int = 0) -> Iterator[Tracker]:
        """A tracker on the base as production has it, whose requests happen some days ago."""
        tracker = tracker_on(
            self._database,
            writer=writer,
            clock=time.time_ns if not days_ago else lambda: time.time_ns() - days_ago * _DAY_NS,
            raise_errors=True,
        )
        try:
            yield tracker
        finally:
            tracker.close(timeout=_FLUSH_SECONDS)

    def figures(self) -> Iterator[Figure]:
        """Measure one figure after the other; what the writer takes first, on the base as it was built."""
        yield from self._total(self.scale.drained_requests, target=0.75)
        yield from self._total(self.scale.requests, target=None)
        yield from self._request_path("thread", target=0.35)
        yield from self._request_path("external", target=None)
        yield from self._first_pages()
        yield from self._flask()
        yield from self._unrecognised()

    def _request_path(self, writer: Literal["thread", "external"], target: float | None) -> Iterator[Figure]:
        with self.tracker(writer=writer) as tracker, asyncio.Runner() as runner:
            contenders, scale = self._asgi(runner, tracker), self.scale
            self._let_everybody_come(contenders["alias"])
            us = measure(contenders, rounds=scale.rounds, requests=scale.requests)
            whole = measure(contenders, rounds=scale.rounds, requests=scale.requests, typical=statistics.fmean)
        ours, theirs = _ours_and_theirs(us)
        where = f"ASGI request path, writer={writer!r}"
        yield Figure(f"{where}: of SessionMiddleware's", "", spread(ratio(ours, theirs)), target)
        if target is not None:
            yield Figure("  added by AliasMiddleware", "us", spread(ours))
            yield Figure("  added by SessionMiddleware", "us", spread(theirs))
        yield Figure(
            "  the mean request instead, whatever interrupted it", "", spread(ratio(*_ours_and_theirs(whole)))
        )

    def _first_pages(self) -> Iterator[Figure]:
        """What a page costs whose visitor this process has not met for five minutes: SQLite is read."""
        rounds = self.scale.visitors // self.scale.requests - 1
        with self.tracker() as tracker, asyncio.Runner() as runner:
            newcomers = iter(people.pick_each_once(self.everybody))
            us = measure(
                {**self._asgi(runner, tracker), "alias": self._alias(runner, tracker, newcomers)},
                rounds=min(rounds, self.scale.rounds),
                requests=self.scale.requests,
            )
        ours, theirs = _ours_and_theirs(us)
        yield Figure(
            "  visitors not met lately, whose profile is read from SQLite",
            "",
            spread(ratio(ours, theirs)),
        )

    def _let_everybody_come(self, contender: Contender) -> None:
        """Have the profiles on the shelf, as those of a site's visitors are with their second page of a minute."""
        contender(2 * self.scale.visitors)

    def _total(self, requests: int, target: float | None) -> Iterator[Figure]:
        """CPU time of the whole process until everything is in the storage."""
        with self.tracker() as tracker, asyncio.Runner() as runner:
            contenders = self._asgi(runner, tracker)
            self._let_everybody_come(contenders["alias"])
            us = measure(
                {name: _until_drained(one, tracker) for name, one in contenders.items()},
                rounds=self.scale.drained_rounds,
                requests=requests,
            )
        ours, theirs = _ours_and_theirs(us)
        where = f"ASGI CPU with the writer's, {requests:,} pages a batch"
        yield Figure(f"{where}: of SessionMiddleware's", "", spread(ratio(ours, theirs)), target)
        yield Figure("  added by AliasMiddleware and its writer", "us", spread(ours))

    def _flask(self) -> Iterator[Figure]:
        with self.tracker() as tracker:
            contenders = {
                "plain": flask_peers.contender(flask_peers.plain(), self._pick),
                "session": flask_peers.contender(flask_peers.using_a_session(), self._pick),
                "alias": flask_peers.contender(flask_peers.reading_a_profile(tracker), self._counted),
            }
            self._let_everybody_come(contenders["alias"])
            us = measure(contenders, rounds=self.scale.rounds, requests=self.scale.requests)
        ours, theirs = _ours_and_theirs(us)
        yield Figure("Flask request path: of its session's", "", spread(ratio(ours, theirs)), 0.20)
        yield Figure("  added by the extension", "us", spread(ours))
        yield Figure("  added by Flask's session", "us", spread(theirs))

    def _unrecognised(self) -> Iterator[Figure]:
        with self.tracker() as tracker, asyncio.Runner() as runner:
            plain = asgi_peers.plain
            contenders = {
                "no-op": asgi_peers.contender(runner, asgi_peers.NoOp(plain), _nobody),
                "alias": asgi_peers.contender(runner, asgi_peers.behind_alias(plain, tracker), _nobody),
            }
            us = measure(contenders, rounds=self.scale.rounds, requests=self.scale.requests)
        yield Figure(
            "unrecognised request: over a no-op middleware", "us", spread(added(us, "alias", to="no-op")), 4
        )
        yield Figure("  times the no-op's", "", spread(ratio(us["alias"], us["no-op"])))

    def _asgi(self, runner: asyncio.Runner, tracker: Tracker) -> dict[str, Contender]:
        return {
            "plain": asgi_peers.contender(runner, asgi_peers.plain, self._pick),
            "session": asgi_peers.contender(runner, asgi_peers.behind_session(), self._pick),
            "alias": self._alias(runner, tracker, None),
        }

    def _alias(self, runner: asyncio.Runner, tracker: Tracker, who: Iterator[str] | None) -> Contender:
        """The middleware, for visitors as they come, or for these."""
        app = asgi_peers.behind_alias(asgi_peers.reading_a_profile, tracker)
        return asgi_peers.contender(
            runner, app, self._counted if who is None else lambda n: self._count(islice(who, n))
        )

    def _pick(self, requests: int) -> list[str]:
        return people.pick(self.everybody, requests)

    def _counted(self, requests: int) -> list[str]:
        return self._count(self._pick(requests))

    def _count(self, aliases: Iterable[str]) -> list[str]:
        counted = list(aliases)
        self.pages_sent += len(counted)
        return counted


def _ours_and_theirs(us: Mapping[str, Sequence[float]]) -> tuple[list[float], list[float]]:
    """What the middleware, and what the peer's session, adds to the plain app, round by round."""
    return added(us, "alias", to="plain"), added(us, "session", to="plain")


def _nobody(requests: int) -> list[None]:
    return [None] * requests


def _until_drained(contender: Contender, tracker: Tracker) -> Contender:
    """The CPU time of the whole process, all threads, until everything is in the storage."""

    def serve(requests: int) -> list[float]:
        begun = time.process_time()
        contender(requests)
        if not tracker.flush(timeout=_FLUSH_SECONDS):
            raise RuntimeError("the spool could not be drained")
        return [(time.process_time() - begun) / requests]

    return serve
