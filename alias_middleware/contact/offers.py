"""The operator's offers, and the windows in which each lets a visitor be contacted again.

A window is counted in calendar days of the service's zone: it closes at the local time at which it opened, that
moment excluded, whatever the clocks did in between. Where that time comes twice the first counts, where it never
comes the jump: a window never stays open longer than the clock says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from alias_middleware.contact.quiet_hours import RenewOn
from alias_middleware.local_time import first_instant, from_micros, steady_offset_us

_DAY_US: Final = 24 * 3600 * 1_000_000


class Offer(NamedTuple):
    """What the operator's contract says of one offer.

    ``opened_by`` is the act of the visitor that opens the window; ``days`` its length, None where the operator
    states none; ``common_id`` whether the option *identifiant commun* is sold with it.
    """

    opened_by: Literal["mo", "unsubscription", "gallery"]
    days: int | None
    common_id: Literal["required", "available", "unavailable"]


OFFERS: Final[Mapping[str, Offer]] = MappingProxyType(
    {
        "premium_express": Offer("mo", 60, "unavailable"),
        "premium_tribu": Offer("mo", 60, "unavailable"),
        "premium_transaction": Offer("mo", 60, "available"),
        "light_pull": Offer("mo", 60, "unavailable"),
        "premium_push": Offer("unsubscription", 31, "available"),
        "light_gallery": Offer("gallery", None, "required"),
    }
)
"""The offers by the name that settings use; from the operator's sheet on the client identifier (S1)."""


class Mo(NamedTuple):
    """One SMS-MO as windows see it: its time (microseconds, UTC) and whether the visitor paid for it."""

    time_us: int
    paid: bool = False


class Window(NamedTuple):
    """From ``opens_us``, included, to ``closes_us``, excluded; microseconds since the epoch (UTC)."""

    opens_us: int
    closes_us: int


def window_from(opens_us: int, days: int, zone: tzinfo) -> Window:
    """Give the window of so many calendar days in a zone that opens at a moment."""
    day = opens_us // _DAY_US
    opening, closing = steady_offset_us(zone, day), steady_offset_us(zone, day + days)
    if opening is None or closing is None:
        return _window_by_clock(opens_us, days, zone)
    return Window(opens_us, opens_us + days * _DAY_US + opening - closing)


def _window_by_clock(opens_us: int, days: int, zone: tzinfo) -> Window:
    """Ask the clocks when they show the same time again: near a change of theirs there is no other way."""
    opens = from_micros(opens_us).astimezone(zone)
    wall = datetime.combine(opens + timedelta(days=days), opens.time().replace(fold=0))
    return Window(opens_us, first_instant(wall, zone))


def openings(
    messages: Iterable[Mo], *, stops_us: Sequence[int], days: int, zone: tzinfo, renew_on: RenewOn
) -> list[Mo]:
    """Give the messages that opened a window, or started it anew, in order of time.

    A message opens one when there is none, when the last has closed, or after a STOP (``stops_us``, microseconds);
    besides, ``renew_on`` may let it start an open window anew. The other messages change nothing: a storage need
    not keep them for this.
    """
    found: list[Mo] = []
    may_start = bool(stops_us) or renew_on != "first"
    for message in sorted(messages):
        if (
            not found
            or (may_start and _starts(message, found[-1], stops_us, renew_on))
            or _is_closed(message.time_us, found[-1].time_us, days, zone)
        ):
            found.append(message)
    return found


def _starts(message: Mo, opener: Mo, stops_us: Sequence[int], renew_on: RenewOn) -> bool:
    """Whether a message starts an open window anew."""
    return (
        renew_on == "mo"
        or (renew_on == "paid_mo" and message.paid)
        or any(opener.time_us <= stop < message.time_us for stop in stops_us)
    )


def _is_closed(moment_us: int, opens_us: int, days: int, zone: tzinfo) -> bool:
    """Whether a window has closed; the calendar is asked only near its end, which no clock moves by a day."""
    beyond_us = moment_us - opens_us - days * _DAY_US
    if abs(beyond_us) > _DAY_US:
        return beyond_us > 0
    return moment_us >= window_from(opens_us, days, zone).closes_us
