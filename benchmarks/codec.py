"""What a UCP frame costs: read, with its text, and made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice
from typing import TypeVar

from alias_middleware.smsplus import ucp
from benchmarks.figures import Figure
from benchmarks.rounds import Contender, Spread, measure, spread

_AT_MOST_US = 1e6 / 30_000
"""The time for a frame at 30,000 a second."""

Given = TypeVar("Given")


def codec_figures(*, rounds: int = 41, frames: int = 500) -> Iterator[Figure]:
    """Measure a mix of what a session carries, in CPU time: short and long texts, both alphabets, answers."""
    messages = _mix()
    us = measure(
        {
            "parse": _each(lambda frame: ucp.parse(frame).text, [ucp.encode(message) for message in messages]),
            "encode": _each(ucp.encode, messages),
        },
        rounds=rounds,
        requests=frames,
    )
    for name, what in {"parse": "read, its text included", "encode": "made"}.items():
        measured = spread(us[name])
        yield Figure(f"UCP frame {what}: at most a thirty-thousandth of a second", "us", measured, _AT_MOST_US)
        yield Figure("  a second", "frames", Spread(*(1e6 / value for value in _turned(measured))))


def _mix() -> list[ucp.Message]:
    noon = datetime(2026, 4, 1, 12, tzinfo=UTC)
    to, alias = "36123", "314522927347"
    texts = ["ABO", "Bonjour, je voudrais recevoir les résultats à 3 €", "Ça va, François ?", "Déjà gagné " * 20]
    delivered = [message for text in texts for message in ucp.deliver(text, adc=to, oadc=alias, at=noon)]
    submitted = [message for text in texts for message in ucp.submit(text, adc=alias, oadc="INFO", notify=True)]
    notified = ucp.notify(adc=to, oadc=alias, submitted_at=noon, at=noon, status=0, text="delivered")
    return [*delivered, *submitted, notified, ucp.accept(delivered[0], sm=f"{alias}:010426120000"), ucp.alert(to)]


def _each(work: Callable[[Given], object], given: Sequence[Given]) -> Contender:
    def serve(requests: int) -> list[float]:
        todo = list(islice(cycle(given), requests))
        begun = time.thread_time()
        for one in todo:
            work(one)
        return [(time.thread_time() - begun) / requests]

    return serve


def _turned(us: Spread) -> tuple[float, float, float]:
    """The same spread of what is the more the better."""
    return us.median, us.most, us.least
