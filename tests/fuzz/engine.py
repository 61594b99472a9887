"""Runs drawn requests against sites of every kind, and looks for what must not be anywhere."""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from alias_middleware import Tracker, asgi, current_visitor, wsgi
from alias_middleware.storage.base import Abilities
from alias_middleware.storage.memory import MemoryStorage
from tests.fuzz import answers, asgi_edge, requests, wsgi_edge
from tests.fuzz.requests import KNOWN, PERSONAL, PERSONAL_BYTES, SECRET
from tests.fuzz.trial import Trial
from tests.support.logs import told
from tests.support.storages import FailingStorage, down

_TOGETHER = 8
_DRAIN_EVERY = 1_000
_FAILING = frozenset({"errors", "storage_failures", "profile_unavailable"})
"""What is counted where the storage fails."""
_TROUBLES = _FAILING | {"torn", "preferences_lost"}
_START_NS = 1_775_000_000 * 10**9


class Remote(MemoryStorage):
    """A storage that is read on threads."""

    abilities = Abilities(reads_block=True, shared=False)


class Moody(FailingStorage):
    """A storage that by lot is down or trips over a bug, with an error that tells whom it was asked for."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.well = False
        self._dice = dice

    def _fail(self) -> None:
        if not self.well:
            bug = RuntimeError(f"a bug, asked for {self._dice.choice(KNOWN)}")
            self.failure = self._dice.choice([None, down(), bug])
        super()._fail()


class Clock:
    """A clock that goes on by leaps, now and then backwards; nanoseconds."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._now = _START_NS

    def __call__(self) -> int:
        return self._now

    def leap(self) -> None:
        seconds = self._dice.choice([0.001, 0.5, 2, 60, 3600, -1, -4000])
        self._now += round(seconds * 1e9)


class Site:
    """A tracker with both edges. `strict`: it asks for the gateway's secret and keeps pseudonyms only."""

    def __init__(self, name: str, folder: Path, dice: random.Random, **settings: Any) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        self.clock = Clock(dice)
        self.strict = "gateway_secret" in settings
        self.cookie: tuple[bytes, str] | None = None
        """The latest that the site set, and for whom."""
        defaults: dict[str, Any] = {"service": "fuzz", "trusted_gateways": ["10.12.0.0/16"], "writer": "external"}
        defaults |= {"storage": f"sqlite:///{self.folder}/alias.db", "spool": self.folder / "spool"}
        self.tracker = Tracker(clock=self.clock, entropy=dice.randbytes, **{**defaults, **settings})

    @contextmanager
    def recovered(self) -> Iterator[None]:
        """Let its storage be well for a while."""
        storage = self.tracker.storage
        if not isinstance(storage, Moody):
            yield
            return
        storage.well, storage.failure = True, None
        try:
            yield
        finally:
            storage.well = False

    def strangers(self, named: set[str]) -> set[str]:
        """Who is named in the files and must not be: under pseudonyms anybody, else all but those in `named`."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        found = {alias.decode() for path in files for alias in PERSONAL_BYTES.findall(path.read_bytes())}
        return found if self.strict else found - named


class Failure(NamedTuple):
    """What was amiss with which request: `python -m tests.fuzz --seed S --only N` plays it again."""

    number: int
    what: str


class Engine:
    """A run of so many requests; `seed` and a request's number make the request.

    `moody`: of one site, whose storage fails as often as not, instead of sites where all is well.
    """

    def __init__(self, folder: Path, seed: int, *, moody: bool = False) -> None:
        self._seed = seed
        dice = random.Random(seed)
        self.sites = self._moody(folder, dice) if moody else self._well(folder, dice)
        self.failures: list[Failure] = []
        self._named: set[str] = set(KNOWN)
        self.outcomes: Counter[str] = Counter()
        self._log = _Log(expecting_errors=moody)

    @staticmethod
    def _well(folder: Path, dice: random.Random) -> list[Site]:
        return [
            Site("plain", folder, dice, continuity=True, secret_keys=["a secret of sixteen bytes or more"]),
            Site("strict", folder, dice, pseudonym_keys=["another secret of sixteen bytes", "and one more behind"],
                 gateway_secret=tuple(part.decode() for part in SECRET)),
            Site("remote", folder, dice, storage=Remote()),
        ]  # fmt: skip

    @staticmethod
    def _moody(folder: Path, dice: random.Random) -> list[Site]:
        return [Site("moody", folder, dice, storage=Moody(dice))]

    def run(self, numbers: range) -> None:
        """Serve requests, a few at once under ASGI, and look through everything now and then."""
        with self._log.listening(), asyncio.Runner() as runner:
            for first in range(numbers.start, numbers.stop, _TOGETHER):
                runner.run(self._serve_some(range(first, min(first + _TOGETHER, numbers.stop))))
                if (first - numbers.start) % _DRAIN_EVERY < _TOGETHER:
                    self._look_around(first)
            self._look_around(numbers.stop)

    async def _serve_some(self, numbers: range) -> None:
        await asyncio.gather(*(self._serve(number) for number in numbers))
        for number in numbers:
            if current_visitor.get(None) is not None:
                self._note(number, "a visitor is left in the context")

    async def _serve(self, number: int) -> None:
        dice = random.Random(f"{self._seed}:{number}")
        site = dice.choice(self.sites)
        if dice.random() < 0.05:
            site.clock.leap()
        if dice.random() < 0.002:
            with site.recovered():
                site.tracker.privacy.erase(dice.choice(KNOWN))
        request = requests.draw(dice)
        edge = dice.choice(["wsgi", "asgi", "asgi"])
        joined = edge == "wsgi"
        expected = request.alias(joined=joined, secret=site.strict)
        kind = (
            "http" if joined or dice.random() < 0.9 else dice.choice(["websocket", "websocket", "lifespan", "tcp"])
        )
        ways = answers.WSGI_WAYS if joined else answers.ASGI_WAYS
        style = answers.draw(dice, answers.WEBSOCKET_WAYS if kind == "websocket" else ways)
        allowed = {expected}
        if site.cookie and dice.random() < 0.3:
            cookie, owner = site.cookie
            request.headers.append((b"cookie", cookie))
            allowed |= {owner} if expected is None else set()
        trial = Trial(allowed, careless=joined and style.way == "bad iterator")
        self.outcomes[f"{edge} {kind}, {'recognised' if expected else 'not recognised'}"] += 1
        if expected is not None:
            self._named.add(expected)
        error: BaseException | None = None
        try:
            if joined:
                self._serve_wsgi(site, request, style, trial, dice)
            else:
                await asyncio.create_task(self._serve_asgi(site, request, style, trial, dice, kind))
        except BaseException as raised:  # noqa: BLE001 - whatever it is, it is judged
            error = raised
        trial.ended(error)
        if expected is not None and (set_cookie := trial.cookie()):
            site.cookie = set_cookie, expected
        if error is not None and trial.amiss:
            trial.amiss.append("".join(traceback.format_exception(error)))
        for what in trial.amiss:
            self._note(number, what)

    @staticmethod
    def _serve_wsgi(
        site: Site, request: requests.Request, style: answers.Style, trial: Trial, dice: random.Random
    ) -> None:
        edge = wsgi.AliasMiddleware(wsgi_edge.app_of(style, trial, dice), tracker=site.tracker)
        try:
            wsgi_edge.serve(edge, style, trial, wsgi_edge.environ_of(request, dice))
        finally:
            trial.compare_wsgi()

    @staticmethod
    async def _serve_asgi(
        site: Site, request: requests.Request, style: answers.Style, trial: Trial, dice: random.Random, kind: str
    ) -> None:
        edge = asgi.AliasMiddleware(asgi_edge.app_of(style, trial, dice), tracker=site.tracker)
        try:
            await asgi_edge.serve(edge, style, trial, asgi_edge.scope_of(request, dice, kind))
        finally:
            trial.compare_asgi()

    def _look_around(self, number: int) -> None:
        """Look for aliases in files, logs and counters, for errors of ours, and whether the counters add up."""
        for site in self.sites:
            if strangers := site.strangers(self._named):
                self._note(number, f"in the files of {site.name}: {', '.join(sorted(strangers)[:5])}")
            with site.recovered():
                if not site.tracker.flush(60):
                    self._note(number, f"{site.name} does not drain")
                counters: Any = site.tracker.counters()
            if PERSONAL.search(repr(counters)):
                self._note(number, "an alias in the counters")
            accounted = counters["stored"] + counters["deduplicated"] + counters["spooled"]
            if counters["seen"] != accounted + sum(counters["dropped"].values()):
                self._note(number, f"the counters of {site.name} do not add up")
            for trouble in _TROUBLES - (_FAILING if isinstance(site.tracker.storage, Moody) else frozenset()):
                if counters.get(trouble, 0):
                    self._note(number, f"{site.name} counts {trouble}: {counters[trouble]}")
            for reason in counters["dropped"].keys() - {"no_alias", "erased", "no_consent"}:
                self._note(number, f"{site.name} dropped: {reason}")
        for what in self._log.complaints():
            self._note(number, what)

    def _note(self, number: int, what: str) -> None:
        self.failures.append(Failure(number, what))

    def close(self) -> None:
        """Let go of everything."""
        for site in self.sites:
            site.tracker.close()


class _Log(logging.Handler):
    """All that anybody logs, as it would stand in a file. `expecting_errors`: they are no reason to complain."""

    def __init__(self, *, expecting_errors: bool) -> None:
        super().__init__(logging.DEBUG)
        self._expecting_errors = expecting_errors
        self._complaints: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = told(record)
        if PERSONAL.search(text):
            self._complaints.append("an alias in the log")
        if record.levelno >= logging.ERROR and not self._expecting_errors:
            self._complaints.append(f"logged: {text}")

    def complaints(self) -> list[str]:
        found, self._complaints = self._complaints, []
        return found

    @contextmanager
    def listening(self) -> Iterator[None]:
        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.DEBUG)
        root.addHandler(self)
        try:
            yield
        finally:
            root.removeHandler(self)
            root.setLevel(level)
