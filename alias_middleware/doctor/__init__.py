"""Examines a deployment: its settings, its machine, the running site and, over the wire, whom it believes.

Reads and measures; what it has to leave behind to see, it takes away again. How a report is shown is not its
business.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from alias_middleware.doctor import machine, probing, rules, running
from alias_middleware.doctor.findings import Finding, Level, Report, Shot, fail, worst
from alias_middleware.doctor.probing import Probe
from alias_middleware.doctor.wire import Reply, Target, target_of
from alias_middleware.errors import SettingsError, StorageError, describe
from alias_middleware.tracker import Tracker

__all__ = ["Finding", "Level", "Report", "Shot", "Target", "examine", "target_of"]

_AGAIN_AFTER_SECONDS = 1.1
"""A site hands on what it counts of strangers once a second."""


def examine(
    tracker: Tracker,
    *,
    entropy: Callable[[int], bytes],
    patience: float,
    target: Target | None = None,
    as_gateway: bool = False,
    clock: Callable[[], float] = time.time,
) -> Report:
    """Check a deployment by a tracker with its settings, and probe it where a page of it is named.

    `patience`: the seconds within which the site is to have drained what it recorded. `as_gateway`: the site
    trusts this machine, which plays a gateway that lets phones' headers through. `clock`: seconds since the epoch.
    """
    begun = clock(), time.monotonic()
    settings, folder = tracker.settings, _spool_folder(tracker)
    probe = None if target is None else Probe(target, tracker, entropy, _waiting(patience), as_gateway)
    findings = [*machine.versions(), *rules.trust(settings), *rules.keys(settings)]
    reply, served = _first_page(probe, folder)
    findings += [*served, *machine.spool(folder, settings.spool_limit), *_storage_files(tracker)]
    stored = machine.ownership(folder, _storage_path(tracker)) or running.storage(tracker, folder)
    findings += stored
    shots: list[Shot] = []
    if not _failed(stored):
        try:
            before = tracker.counters()
            findings += [*running.counters(before), *running.budget(before, settings.storage_timeout)]
            findings += [*running.clock(tracker, folder, clock())]
            findings += running.drainer(tracker, folder, patience, awake=reply is not None)
            if probe is not None and reply is not None:
                findings += probing.caching(settings.source.header, reply)
                more, shots = probing.probe_forgeries(probe)
                findings += more
            findings += running.growing(before, tracker.counters())
        except StorageError as error:
            findings.append(fail("storage", describe(error), "it failed while the doctor looked: mend it"))
    elif probe is not None:
        what = "whether they get through cannot be told without the storage"
        findings.append(fail("forgeries", what, "run the doctor where the site runs, as its user"))
    findings += running.steps(clock() - begun[0], time.monotonic() - begun[1])
    return Report(findings, shots)


def _first_page(probe: Probe | None, folder: Path) -> tuple[Reply | None, list[Finding]]:
    """Ask the site for the page, so that it is at work; None where that is no page view."""
    if probe is None:
        return None, []
    reply, found = probing.is_served(probe)
    if _failed(found):
        return None, found
    probe.wait(lambda: folder.exists() or probe.ask().status == 0)  # a new site makes its files at its first page
    return reply, found


def _failed(findings: list[Finding]) -> bool:
    return worst(finding.level for finding in findings) is Level.FAIL


def _storage_path(tracker: Tracker) -> Path | None:
    """Give the file of a storage that is one of this machine."""
    path = getattr(tracker.storage, "path", None)
    return path if isinstance(path, Path) else None


def _storage_files(tracker: Tracker) -> list[Finding]:
    path = _storage_path(tracker)
    return [] if path is None else machine.storage_files(path)


def _spool_folder(tracker: Tracker) -> Path:
    folder = tracker.settings.spool or tracker.storage.spool_folder
    if folder is None:
        raise SettingsError("this storage needs the spool's folder", setting="spool")
    return folder


def _waiting(patience: float) -> probing.Wait:
    """Repeat a step about once a second until it succeeds, a few times at least."""
    pause = threading.Event()

    def wait(step: Callable[[], bool]) -> bool:
        return any(_tries(step, pause, max(3, round(patience / _AGAIN_AFTER_SECONDS))))

    return wait


def _tries(step: Callable[[], bool], pause: threading.Event, times: int) -> Iterator[bool]:
    for left in reversed(range(times)):
        yield step()
        if left:
            pause.wait(_AGAIN_AFTER_SECONDS)
