"""A simulated life where it is wanted: as the lines of an access log, or through a tracker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from alias_middleware.events import Item
from alias_middleware.local_time import from_micros
from alias_middleware.testing.simulation import PATTERNS, RHYTHMS, Life, Step, busyness
from alias_middleware.tracker import Tracker

GATEWAY = "10.12.0.1"
"""The address of the simulated operator's gateway."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PHONE = "Mozilla/5.0 (Linux; Android 14) Mobile"
_DRAIN_EVERY = 20_000


class PastClock:
    """A clock that stands where the simulated life is: nanoseconds since the epoch."""

    def __init__(self) -> None:
        self.now_us = 0

    def __call__(self) -> int:
        return self.now_us * 1000


def log_lines(life: Life, *, zone: str = "Europe/Paris") -> Iterator[str]:
    """Give a life's page views as lines of a combined log with `%{wap-network-info}i` behind the user agent.

    Orders and refunds are in no access log.
    """
    moment = _moments(ZoneInfo(zone))
    for step in life.steps():
        if step.kind == "view":
            yield (
                f'{GATEWAY} - - [{moment(step.time_us)}] "GET {step.path} HTTP/1.1" 200 5120 "-" "{_PHONE}" '
                f'"mUserAlias:{life.alias(step.subscriber)}"\n'
            )


def order_rows(life: Life, *, zone: str = "Europe/Paris") -> Iterator[tuple[str, ...]]:
    """Give a life's orders as rows for `import purchases`, the names of the columns first."""
    yield ("alias", "order_id", "time", "currency", "amount", "category")
    local = ZoneInfo(zone)
    for step in life.steps():
        if step.kind == "purchase":
            time = from_micros(step.time_us).astimezone(local).isoformat()
            yield (life.alias(step.subscriber), step.order_id, time, "EUR", str(_euros(step)), step.category or "")


def truth_lines(life: Life) -> Iterator[str]:
    """Give what a life was made of as lines of JSON, each with its `kind`.

    A `day` says how busy it is, a `rhythm` when visits begin, a `subscriber` what he favours and on which days he
    is there, a `purchase` and a `refund` what was bought and given back. Pages are in the log.
    """
    for number, hours in enumerate(RHYTHMS):
        yield _line("rhythm", number=number, hours=hours)
    for day in life.days():
        yield _line("day", day=day, busyness=round(busyness(day), 6))
    for each in life.subscribers():
        yield _line("subscriber", **each._asdict())
    for step in life.steps():
        if step.kind != "view":
            told = {"alias": life.alias(step.subscriber), "order_id": step.order_id, "time_us": step.time_us}
            bought = {"category": step.category, "amount": str(_euros(step)), "currency": "EUR"}
            yield _line(step.kind, **told, **(bought if step.kind == "purchase" else {}))


def _line(kind: str, **fields: Any) -> str:
    return msgspec.json.encode({"kind": kind, **fields}).decode() + "\n"


def _euros(step: Step) -> Decimal:
    return Decimal(step.cents).scaleb(-2)


def _moments(zone: ZoneInfo) -> Callable[[int], str]:
    """Give a writer of log times that remembers the last minute."""
    last: tuple[int, str, str] = (-1, "", "")

    def written(time_us: int) -> str:
        nonlocal last
        minute, second = divmod(time_us // 1_000_000, 60)
        if minute != last[0]:
            local = from_micros(minute * 60_000_000).astimezone(zone)
            last = minute, f"{local:%d}/{_MONTHS[local.month - 1]}/{local:%Y:%H:%M}", f"{local:%z}"
        return f"{last[1]}:{second:02d} {last[2]}"

    return written


def simulated_tracker(clock: PastClock, **settings: Any) -> Tracker:
    """Make a tracker for `play`: it lives in the simulated time and drains when it is told to."""
    return Tracker(
        clock=clock,
        **{
            "trusted_gateways": [GATEWAY],
            "categories": PATTERNS,
            "writer": "external",
            "purchase_durability": "process",
            "raise_errors": True,
            **settings,
        },
    )


def play(life: Life, tracker: Tracker, clock: PastClock, steps: Iterable[Step] | None = None) -> int:
    """Let a life happen on a tracker, through its spool and its writer, and give the number of steps."""
    number = 0
    for step in life.steps() if steps is None else steps:
        clock.now_us = step.time_us
        visitor = tracker.visitor(life.alias(step.subscriber))
        if step.kind == "view":
            visitor.show(step.path)
        elif step.kind == "purchase":
            item = Item(f"item-{step.category}", "Item", category=step.category, price=_euros(step))
            visitor.purchase(step.order_id, [item], currency="EUR")
        else:
            visitor.refund(step.order_id)
        number += 1
        if number % _DRAIN_EVERY == 0:
            tracker.drain()
    tracker.flush()
    return number


FIRST_DAY = date(2026, 1, 1)
"""Where a simulated life begins unless it is said."""
