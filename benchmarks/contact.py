"""What the rules of re-contact cost: verdicts on visitors as a campaign meets them, nothing read from anywhere."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alias_middleware.contact import Facts, FrequencyCap, Mo, Suppression, policy, sms_text, verdict
from alias_middleware.local_time import to_micros
from alias_middleware.profile import Consent
from benchmarks.figures import Figure
from benchmarks.rounds import Contender, measure, spread

_PARIS = ZoneInfo("Europe/Paris")
_NOON = datetime(2026, 3, 3, 12, tzinfo=_PARIS)
_DAY_US = 24 * 3600 * 1_000_000
_TEXT = "Votre sonnerie préférée à moitié prix jusqu'à dimanche sur votre mobile, €1 au lieu de €2. "


def contact_figures(*, rounds: int = 21, visitors: int = 2_000) -> Iterator[Figure]:
    """Microseconds of one core for a verdict at noon and in the night, and for a text.

    Each round judges every visitor; it is processor time, which whatever else runs disturbs least.
    """
    everybody = audience(visitors)
    us = measure(
        {
            "noon": _verdicts(everybody, _NOON),
            "night": _verdicts(everybody, _NOON + timedelta(hours=11)),
            "text": _texts,
        },
        rounds=rounds,
        requests=visitors,
    )
    yield Figure("a verdict by the rules alone, at noon: processor time", "us", spread(us["noon"]), 20)
    yield Figure("  verdicts a second", "", spread([1e6 / each for each in us["noon"]]))
    yield Figure("  at night, when most are held until the morning", "us", spread(us["night"]))
    yield Figure("  making a marketing text of two segments", "us", spread(us["text"]))


def audience(visitors: int, *, seed: int = 5) -> list[Facts]:
    """Visitors with up to six messages in four months; some consent, some bought, one in ten sent STOP."""
    chance = random.Random(seed)
    return [_visitor(chance) for _ in range(visitors)]


def _visitor(chance: random.Random) -> Facts:
    now_us = to_micros(_NOON)
    wrote = [now_us - chance.randrange(120 * _DAY_US) for _ in range(chance.randrange(1, 7))]
    stopped = now_us - chance.randrange(120 * _DAY_US)
    stop = Suppression(scope="service", reason="stop", channel="sms", time_us=stopped, service="sonneries")
    return Facts(
        service="sonneries",
        offer="light_pull",
        kind="marketing",
        sender="36123",
        zone="Europe/Paris",
        messages=tuple(Mo(moment) for moment in wrote),
        last_message_us=max(wrote),
        consent=Consent(True, wrote[0], None) if chance.random() < 0.3 else None,
        client=chance.random() < 0.6,
        suppressions=(stop,) if chance.random() < 0.1 else (),
        cap=FrequencyCap(2, timedelta(days=7)),
        sent_us=tuple(now_us - chance.randrange(30 * _DAY_US) for _ in range(chance.randrange(3))),
    )


def _verdicts(everybody: Sequence[Facts], at: datetime) -> Contender:
    operator = policy("fr-operator")

    def judge(requests: int) -> list[float]:
        begun = time.process_time()
        for facts in everybody[:requests]:
            verdict(facts, operator, at)
        return [(time.process_time() - begun) / requests]

    return judge


def _texts(requests: int) -> list[float]:
    begun = time.process_time()
    for _ in range(requests):
        sms_text(_TEXT * 2, kind="marketing", sender="36123")
    return [(time.process_time() - begun) / requests]


if __name__ == "__main__":
    for figure in contact_figures():
        print(
            f"{figure.name:<60}{figure.measured.median:>10.2f} {figure.unit}  (least {figure.measured.least:.2f})"
        )
