"""The tracker: the one orchestrator. Edges enter here; everything else is asked for by it."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fnmatch import translate
from functools import partial
from typing import Any

from alias_middleware import census
from alias_middleware.continuity import COUNTS_WITH, Continuity
from alias_middleware.draft import Draft
from alias_middleware.errors import SettingsError, StorageError
from alias_middleware.exchange import (
    PURPOSE_HEADERS,
    SIGNAL_HEADERS,
    Exchange,
    Request,
    Rules,
    asks_for_privacy,
    personal,
    presented_cookie,
)
from alias_middleware.identity import Recognition, Status
from alias_middleware.keying import key_of
from alias_middleware.linking import linking_of
from alias_middleware.ondemand import OnDemand
from alias_middleware.privacy import Privacy
from alias_middleware.processes import close_at_exit, close_with_process, mark_process
from alias_middleware.recorder import Recorder
from alias_middleware.rotation import storage_of
from alias_middleware.settings import make_settings
from alias_middleware.storage.base import Storage
from alias_middleware.visitor import Visitor

_PATIENCE = 0.02
_NO_LIMIT = threading.TIMEOUT_MAX
_STRANGER = Recognition(Status.ABSENT, None)
_OK = Status.OK
_SOMEBODY = f"identity.{Status.OK}"
_NOBODY = f"identity.{Status.ABSENT}"


class Tracker(OnDemand):
    """Recognises visitors, keeps their profiles and records their history, for one service.

    Thread-safe; after a fork each process goes on with its own part. Made with the settings of
    `alias_middleware.settings.Settings` as keyword arguments; `service` and `trusted_gateways` are required.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], int] = time.time_ns,
        entropy: Callable[[int], bytes] = os.urandom,
        **settings: Any,
    ) -> None:
        """Check the settings; nothing is opened before it is needed.

        `clock` gives nanoseconds since the epoch, `entropy(n)` n random bytes.

        Raises:
            SettingsError: a setting is missing or wrong; the message says what to write.
        """
        self.settings = make_settings(settings)
        self._clock = clock
        self._entropy = entropy
        self._owns_storage = not isinstance(self.settings.storage, Storage)
        self.storage = storage_of(self.settings)
        self._source = self.settings.source
        self._trust = self.settings.trust()
        self._namespace = self.settings.namespace
        self._key = key_of(self.settings)
        self._linking = linking_of(self.settings)
        self._rules = self._make_rules()
        self._continues = self._rules.continuity is not None
        secret = self._trust.secret_name
        self.hidden = self._source.names | (frozenset() if secret is None else {secret})
        """The request headers, in lower case, that the app does not get to see."""
        signals = SIGNAL_HEADERS if self.settings.privacy_signals == "statistics" else frozenset()
        self._statistics_only = self.settings.statistics_only
        cookie = {b"cookie"} if self._rules.continuity else frozenset()
        self.watched = self.hidden | PURPOSE_HEADERS | signals | cookie
        """The request headers, in lower case, that an edge passes on."""
        self.privacy = Privacy(
            self.storage,
            self.settings,
            key_of=self.key_of,
            now=self._now,
            entropy=self._entropy,
            forget_rejected=lambda key: self._here().writer.forget_rejected(key),  # noqa: PLW0108 -- of its process
        )
        """Export, erasure, retention."""
        self._fork_lock = threading.Lock()
        self._begin()
        close_at_exit(self)

    def _make_rules(self) -> Rules:
        settings = self.settings
        patterns = "|".join(map(translate, settings.excluded_paths))
        continuity = Continuity(self._namespace, settings.secret_keys) if settings.continuity else None
        vary = (self._source.header, *(("cookie",) if continuity else ()))
        return Rules(
            page_types=settings.page_types,
            excluded=re.compile(patterns) if patterns else None,
            vary=vary,
            continuity=continuity,
            usual=personal("", "", vary),
        )

    def _begin(self) -> None:
        self._recorder = Recorder(self.settings, self.storage, now=self._now, entropy=self._entropy)
        self._pid = os.getpid()  # last: until then no thread takes the new process's recorder for there
        self._made_here = mark_process()

    def _here(self) -> Recorder:
        """Give this process's recorder; after a fork, the parent's is left to the parent."""
        if self._pid != os.getpid():
            with self._fork_lock:
                if self._pid != os.getpid():
                    self._recorder.leave()
                    self._begin()
                    close_with_process(self)
        return self._recorder

    def _spooled(self) -> int:
        """Count the events that wait in the spool."""
        counted = self.counters()["spooled"]
        return counted if isinstance(counted, int) else 0

    def _now(self) -> int:
        return self._clock() // 1000

    def exchange(self, request: Request) -> Exchange:
        """Recognise the visitor of a request that has just arrived. Does not raise in production."""
        recorder = self._recorder if self._made_here[0] else self._here()
        clock, key_of = self._clock, self._key  # called as attributes, they would be sought as methods first
        now = clock() // 1000
        noticed = request.noticed
        if not noticed:
            recorder.counters.add(_NOBODY)
            return Exchange(recorder, self._rules, request, Visitor(recorder, _STRANGER, None, now), False)
        recognition, cookie_at_us, by_continuity, key = _STRANGER, None, False, None
        try:
            recognition = self._source.recognise(noticed, request.peer, self._trust)
            if self._continues:
                recognition, cookie_at_us, by_continuity = self._continued(recognition, request)
            status = recognition.status
            recorder.counters.add(_SOMEBODY if status is _OK else f"identity.{status}")
            for flag in recognition.flags:
                recorder.counters.add(f"identity.{flag}")
            if recognition.alias is not None:
                key = key_of(recognition.alias)
        except Exception as error:
            recognition = _STRANGER
            recorder.problem(error)
        visitor = Visitor(recorder, recognition, key, now)
        if by_continuity:
            visitor.by_continuity = True
        if self._linking is not None and key is not None:
            presented = None if by_continuity else partial(presented_cookie, noticed)
            visitor.bridge = self._linking.bridge(recorder, key, presented, now)
        if key is not None and (self._statistics_only or (len(noticed) > 1 and asks_for_privacy(noticed))):
            visitor.draft = Draft(recorder, key, restraint="mode" if self._statistics_only else "signal")
        return Exchange(recorder, self._rules, request, visitor, key is not None, cookie_at_us)

    def recognises_inline(self, request: Request) -> bool:
        """Tell whether `exchange` reads no storage: it does where a continuity cookie has to be checked."""
        return self._rules.continuity is None or presented_cookie(request.noticed) is None

    def _continued(self, recognition: Recognition, request: Request) -> tuple[Recognition, int | None, bool]:
        """Let a valid cookie stand in for a missing header, unless the visitor was erased since."""
        continuity = self._rules.continuity
        presented = presented_cookie(request.noticed)
        claim = continuity.read(presented, self._now()) if continuity and presented else None
        if claim is None:
            return recognition, None, False
        if recognition.alias is not None:
            same = recognition.alias == claim.alias
            return recognition, claim.header_at if same else None, False
        if recognition.status not in COUNTS_WITH or not self._source.accepts(claim.alias):
            return recognition, None, False
        if self._recorder.was_erased(self.key_of(claim.alias), claim.header_at):
            return recognition, None, False
        self._recorder.counters.add("identity.continuity")
        return Recognition(recognition.status, claim.alias, recognition.flags), claim.header_at, True

    def visitor(self, alias: str) -> Visitor:
        """Give a visitor outside a request: in a cron job, a task queue, a payment callback.

        As a context manager it commits at the end of the block; without, every call commits before it
        returns.

        Raises:
            ValueError: no alias this service could have been given.
        """
        recorder = self._here()
        key = self.key_of(alias)
        bridge = self._linking.bridge(recorder, key) if self._linking else None
        recognition = Recognition(Status.OK, alias)
        return Visitor(recorder, recognition, key, recorder.now(), at_once=True, patient=True, bridge=bridge)

    def key_of(self, alias: str) -> str:
        """Give the visitor key of an alias.

        Raises:
            ValueError: no alias this service could have been given.
        """
        if not isinstance(alias, str) or not self._source.accepts(alias):
            raise ValueError("that is no alias (its value is not shown)")
        return self._key(alias)

    def executor(self) -> ThreadPoolExecutor:
        """Give the few threads on which an event loop's blocking work is done."""
        return self._here().executor()

    def counters(self) -> dict[str, int | dict[str, int]]:
        """Give the counters of all processes that share this storage and spool.

        Always `seen == stored + deduplicated + spooled + sum(dropped.values())`. When the storage does not
        answer, `storage_unavailable` is 1 and what it has counted is missing. `breaker_open` is of this process.
        """
        recorder = self._here()
        own = recorder.counters.peek() | {"breaker_open": recorder.open_breakers()}
        return census.count(recorder.spool.folder, recorder.requests, own)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what was recorded so far is in the storage; False when `timeout` seconds were too few."""
        recorder = self._here()
        recorder.hand_on()
        folder = recorder.spool.folder
        waiting = census.sizes(folder)
        pause = threading.Event()
        deadline = time.monotonic() + timeout
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                if recorder.drain(left) or census.is_drained(folder, recorder.requests, waiting):
                    return True
            except (StorageError, OSError):
                pass
            if not left:
                return False
            pause.wait(_PATIENCE)

    def drain(self) -> bool:
        """Drain the spool now; False when another process is the writer.

        Raises:
            StorageError, OSError: the storage or the folder does not serve; nothing is lost.
        """
        return self._here().drain(_NO_LIMIT)

    def rest(self) -> float:
        """Use the quiet moment after a drain that found little: roll up a day that has changed, where it is time.

        Give the seconds until the next drain: `writer_interval`, or less where the last one found much.
        """
        return self._here().writer.rest()

    def hand_on(self) -> None:
        """Put this process's counts in the spool, where its events are: it may end now, however it ends."""
        self._here().hand_on()

    def close(self, timeout: float = 5.0) -> None:
        """Hand everything on and let go of threads, files and connections. A later use begins anew."""
        if self._pid != os.getpid():
            return
        self._recorder.close(timeout)
        if self._owns_storage:
            self.storage.close()
        self._begin()


def chosen(tracker: Tracker | None, settings: dict[str, Any]) -> Tracker:
    """Give the tracker that an edge is made with, or one made of its settings.

    Raises:
        SettingsError: both were given, or a setting is missing or wrong.
    """
    if tracker is None:
        return Tracker(**settings)
    if settings:
        raise SettingsError("the tracker has settings of its own: give one or the other", setting=min(settings))
    return tracker
