"""What the running site does: is the storage reached, the spool drained, anything lost, the clock right?"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from alias_middleware import census, segments
from alias_middleware.doctor.findings import Finding, fail, ok, warn
from alias_middleware.errors import SpoolError, StorageError, describe
from alias_middleware.keying import keyed
from alias_middleware.records import Tally
from alias_middleware.spool import Spool
from alias_middleware.storage.base import Origin, Scope
from alias_middleware.tracker import Tracker

Counts = Mapping[str, int | dict[str, int]]

_LOSSES = (
    "spool_full",
    "spool_disk_full",
    "spool_unwritable",
    "spool_too_large",
    "undecodable",
    "rejected",
    "error",
)
_TROUBLES = ("preferences_lost", "torn", "errors", "sync_failed", "storage_failures", "profile_unavailable")
_WITHOUT = ("storage_timeouts", "breaker_opened", "breaker_open", "profile_unavailable", "preferences_deferred")
_KEPT = ("seen", "stored", "deduplicated", "spooled")
_SKEW_SECONDS = 5
_POLL_SECONDS = 0.05
_NOBODY_DRAINS = (
    "let the server's processes have threads (older uWSGI: enable-threads = true), or set writer='external' and "
    "keep `alias-middleware drain` running beside the site"
)


def storage(tracker: Tracker, folder: Path) -> list[Finding]:
    """Check that the storage answers, and how fast. `folder`: the spool's."""
    path = getattr(tracker.storage, "path", None)
    if isinstance(path, Path) and not path.exists() and not folder.exists():
        return [fail("storage", f"there is no {path}", "check --storage; say --url to ask the site for a page")]
    begun = time.monotonic()
    try:
        tracker.storage.ledger()
    except StorageError as error:
        return [fail("storage", describe(error), "requests go on without it, events wait in the spool: mend it")]
    took, seconds = time.monotonic() - begun, tracker.settings.storage_timeout
    said = f"answers in {took * 1000:.1f} ms"
    if took > seconds:
        return [
            warn("storage", f"{said}, and requests wait for {seconds:g} s only", "find out what slows it down")
        ]
    return [ok("storage", said)]


def counters(counts: Counts) -> list[Finding]:
    """Check what all processes have counted since the storage was made."""
    dropped, identity = _group(counts, "dropped"), _group(counts, "identity")
    kept = {
        name: number for name in ("seen", "stored", "deduplicated", "spooled") if (number := _plain(counts, name))
    }
    found = []
    lost = {reason: number for reason, number in dropped.items() if reason in _LOSSES}
    if lost:
        found.append(warn("counters", f"events lost so far: {_listed(lost)}", "see the spool and the site's log"))
    troubles = {name: number for name in _TROUBLES if (number := _plain(counts, name))}
    if troubles:
        found.append(warn("counters", f"troubles so far: {_listed(troubles)}", "the site's log tells more"))
    if kept.get("seen", 0) != sum(kept.values()) - kept.get("seen", 0) + sum(dropped.values()):
        found.append(fail("counters", f"do not add up: {_listed(kept)}", "report it as a bug of alias_middleware"))
    if identity.get("UNTRUSTED") and not identity.get("OK"):
        found.append(
            warn(
                "counters",
                f"no header was ever believed, {identity['UNTRUSTED']} were not, a doctor's included",
                "trusted_gateways, gateway_secret or a proxy before the site hides the gateway",
            )
        )
    odd = {name: identity[name] for name in ("CONFLICT", "underscore_variant") if identity.get(name)}
    if odd:
        found.append(ok("counters", f"forgeries seen, a doctor's included: {_listed(odd)}"))
    return found or [ok("counters", _listed(kept) or "nothing was counted yet")]


def budget(counts: Counts, seconds: float) -> list[Finding]:
    """Tell how often requests went on without the storage. `seconds`: how long one waits for it."""
    told = {name: number for name in _WITHOUT if (number := _plain(counts, name))}
    if not told:
        return [ok("budget", f"no request went on without the storage, nor waited {seconds * 1000:.0f} ms for it")]
    return [
        warn(
            "budget",
            f"requests that went on without the storage after {seconds * 1000:.0f} ms, so far: {_listed(told)}",
            "see what the storage is busy with; storage_timeout is how long a request waits",
        )
    ]


def growing(before: Counts, after: Counts) -> list[Finding]:
    """Tell what was lost while the doctor looked."""
    lost = {
        reason: more
        for reason in _LOSSES
        if (more := _group(after, "dropped").get(reason, 0) - _group(before, "dropped").get(reason, 0)) > 0
    }
    if not lost:
        return []
    return [fail("counters", f"events are being lost now: {_listed(lost)}", "see the spool and the site's log")]


def drainer(tracker: Tracker, folder: Path, patience: float, *, awake: bool) -> list[Finding]:
    """Check that somebody else drains the spool, by putting a record there that counts nothing.

    `awake`: the site was asked for a page just now, so that its own writer would be at work.
    """
    if not folder.is_dir():
        return []
    waiting_events = _plain(tracker.counters(), "spooled")
    try:
        _leave_record(tracker, folder)
    except SpoolError as error:
        return [fail("drainer", describe(error), "see what is said of the spool")]
    begun = time.monotonic()
    if _drains(tracker, folder, patience):
        return [ok("drainer", f"drained within {time.monotonic() - begun:.1f} s")]
    return [_undrained(folder, patience, waiting_events, awake=awake)]


def _leave_record(tracker: Tracker, folder: Path) -> None:
    settings = tracker.settings
    origin = Origin(settings.service, settings.namespace, settings.visit_gap_us, keyed(settings))
    spool = Spool(folder, origin, limit=settings.spool_limit, entropy=os.urandom)
    try:
        spool.append(Tally({}, {}))
    finally:
        spool.close()


def _drains(tracker: Tracker, folder: Path, patience: float) -> bool:
    waiting = census.sizes(folder)
    pause = threading.Event()
    for _ in range(max(1, round(patience / _POLL_SECONDS))):
        try:
            if census.is_drained(folder, tracker.storage, waiting):
                return True
        except StorageError:
            pass
        pause.wait(_POLL_SECONDS)
    return False


def _undrained(folder: Path, patience: float, events: int, *, awake: bool) -> Finding:
    lock = segments.WriterLock(folder)
    try:
        idle = lock.acquire()
    finally:
        lock.release()
    if not idle:
        return fail(
            "drainer",
            f"the elected writer does not get on: {events} events wait, nothing was drained in {patience:.0f} s",
            "its log says why; restart the process that holds the lock of the spool",
        )
    if awake or events:
        return fail("drainer", f"nobody drains: in {patience:.0f} s none of {events} events went", _NOBODY_DRAINS)
    return warn(
        "drainer",
        f"nobody drained within {patience:.0f} s",
        "a site that has recorded nothing since its start has no writer yet: say --url to ask it for a page",
    )


def clock(tracker: Tracker, folder: Path, now: float) -> list[Finding]:
    """Check that nothing recorded lies in the future. `now`: seconds since the epoch."""
    found = []
    late = max((_modified(folder / name) for name in segments.names(folder)), default=0.0) - now
    if late > _SKEW_SECONDS:
        found.append(
            fail(
                "clock", f"the spool was written {late:.0f} s ahead of now", "the clock was stepped back: use NTP"
            )
        )
    recorded = tracker.storage.span(Scope(tracker.settings.namespace, tracker.settings.service))
    tomorrow = datetime.fromtimestamp(now, UTC).date() + timedelta(days=1)  # in the most eastern zone it has begun
    if recorded is not None and recorded[1] - 1 > tomorrow.toordinal():
        last = date.fromordinal(recorded[1] - 1)
        found.append(warn("clock", f"what was recorded reaches to {last}", "the clock ran ahead once: use NTP"))
    return found or [ok("clock", "nothing recorded lies in the future")]


def steps(wall_seconds: float, monotonic_seconds: float) -> list[Finding]:
    """Tell whether the clock was stepped while the doctor looked."""
    stepped = wall_seconds - monotonic_seconds
    if abs(stepped) > _SKEW_SECONDS:
        return [fail("clock", f"was stepped by {stepped:.0f} s just now", "slew the clock (NTP), do not step it")]
    return []


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _plain(counts: Counts, name: str) -> int:
    number = counts.get(name, 0)
    return number if isinstance(number, int) else 0


def _group(counts: Counts, name: str) -> dict[str, int]:
    group = counts.get(name, {})
    return group if isinstance(group, dict) else {}


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in numbers.items())
