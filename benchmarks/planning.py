"""What planning a campaign costs: a whole audience read from SQLite and judged, nobody written to."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from alias_middleware import Item, Tracker
from alias_middleware.contact import FrequencyCap, ShortCode
from alias_middleware.events import Event, Message, PageView, Purchase
from alias_middleware.local_time import to_micros
from alias_middleware.profile import Operation, ProfileChange
from alias_middleware.storage.base import Batch, Entry, LateChange, Origin
from alias_middleware.storage.outbox import CampaignId, Ruling, StoredCampaign, Suppression
from benchmarks.figures import Figure
from benchmarks.rounds import spread
from benchmarks.site import SERVICE, job_on

_NOON = datetime(2026, 3, 3, 11, tzinfo=UTC)
_NOW_US = to_micros(_NOON)
_DAY_US = 24 * 3600 * 1_000_000
_AT_MOST_US = 1e6 / 20_000
"""The time for a verdict at 20,000 a second."""

_ORIGIN = Origin(SERVICE, SERVICE, 30 * 60 * 1_000_000)
_CODE = "36123"
_BATCH = 2_000
_TEXT = "Votre sonnerie préférée à moitié prix jusqu'à dimanche"
_RINGTONE = (Item("rt-42", "Sonnerie", category="music", price=Decimal(3)),)


def planning_figures(folder: Path, *, visitors: int = 100_000, rounds: int = 5) -> Iterator[Figure]:
    """Processor time of one core a visitor: profile, history, suppressions and contacts read, and judged."""
    tracker = open_tracker(folder)
    build(tracker, visitors)
    campaign = tracker.contact.campaign(
        "noel",
        offer="light_pull",
        kind="marketing",
        sender=_CODE,
        text=_TEXT,
        cap=FrequencyCap(2, timedelta(days=7)),
    )
    try:
        us = {
            "preview": _timed(lambda: campaign.preview(at=_NOON).selected, visitors, rounds),
            "one": _timed(lambda: _one_by_one(tracker, min(visitors, 2_000)), min(visitors, 2_000), rounds),
        }
    finally:
        tracker.close()
    planned = spread(us["preview"])
    yield Figure(
        f"campaign planned for {visitors:,} visitors: a verdict, reads included", "us", planned, _AT_MOST_US
    )
    yield Figure("  verdicts a second", "", spread([1e6 / each for each in us["preview"]]))
    yield Figure("  a verdict on one visitor alone", "us", spread(us["one"]))


def build(tracker: Tracker, visitors: int) -> None:
    """Let visitors write, read pages and buy; some consent, some opt out, some were written to last week."""
    chance = random.Random(5)
    keys = [f"{number:012}" for number in chance.sample(range(10**12), visitors)]
    for start in range(0, visitors, _BATCH):
        part = keys[start : start + _BATCH]
        entries = [
            Entry(_ORIGIN, event, chance.getrandbits(63)) for key in part for event in _history(chance, key)
        ]
        changes = [_consent(chance, key) for key in part if chance.random() < 0.3]
        tracker.storage.apply(Batch(entries=entries, changes=changes))
    for key in chance.sample(keys, visitors // 10):
        said = Suppression(chance.choice(["marketing", "service"]), "stop", "sms", _NOW_US - 5 * _DAY_US)
        tracker.storage.suppress(SERVICE, key, said)
    _write_to(tracker, chance.sample(keys, visitors // 10))


def open_tracker(folder: Path) -> Tracker:
    return job_on(folder / "planning.db", short_codes={_CODE: ShortCode(service=SERVICE, offer="light_pull")})


def _history(chance: random.Random, key: str) -> Iterator[Event]:
    """Up to six messages in four months, a few pages, and an order of most."""
    for _ in range(chance.randrange(1, 7)):
        moment = _NOW_US - chance.randrange(120 * _DAY_US)
        yield Message(key, moment, moment, _day(moment), "sms", _CODE, "TOP", "light_pull")
    for _ in range(chance.randrange(1, 4)):
        moment = _NOW_US - chance.randrange(120 * _DAY_US)
        yield PageView(key, moment, moment, _day(moment), "web", "/music/top", None, "music")
    if chance.random() < 0.6:
        yield Purchase(key, moment, moment, _day(moment), "web", f"CMD-{key}", "EUR", _RINGTONE)


def _day(moment: int) -> int:
    return date(1970, 1, 1).toordinal() + moment // _DAY_US


def _consent(chance: random.Random, key: str) -> LateChange:
    moment = _NOW_US - chance.randrange(1, 120 * _DAY_US)
    said = Operation("consent", "consents", "contact", (chance.random() < 0.8, None))
    return LateChange(SERVICE, ProfileChange(key, moment, moment, (said,)), chance.getrandbits(63))


def _write_to(tracker: Tracker, keys: list[str]) -> None:
    """Have an earlier campaign reach visitors."""
    outbox, campaign = tracker.storage.outbox(), CampaignId(SERVICE, SERVICE, "earlier")
    outbox.save(StoredCampaign(campaign, "finished", b"{}", _NOW_US - 4 * _DAY_US))
    outbox.enqueue(campaign, keys, _NOW_US - 3 * _DAY_US)
    for number, key in enumerate(keys):
        outbox.claim(campaign, key, f"earlier-{number}", _NOW_US - 3 * _DAY_US, lambda evidence: Ruling("sending"))


def _one_by_one(tracker: Tracker, visitors: int) -> int:
    keys = [each.key for each in tracker.storage.outbox().evidence(SERVICE, "", visitors)]
    for key in keys:
        tracker.contact.verdict(key, offer="light_pull", kind="marketing", sender=_CODE, at=_NOON)
    return len(keys)


def _timed(work: Callable[[], int], visitors: int, rounds: int) -> list[float]:
    """Microseconds of processor time a visitor, by round, after one to warm up."""
    spent = []
    for turn in range(-1, rounds):
        begun = time.process_time()
        if work() != visitors:
            raise RuntimeError("not everybody was judged")
        if turn >= 0:
            spent.append((time.process_time() - begun) / visitors * 1e6)
    return spent
