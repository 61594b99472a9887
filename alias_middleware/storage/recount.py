"""Rolling up whole histories held in memory, day by day: what the memory storage does at every question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from alias_middleware.events import Channel
from alias_middleware.history import Knowledge, forms_visit, settled_orders
from alias_middleware.rollups.days import Order, Sighting, roll_up, sighting_of
from alias_middleware.rollups.model import Rollup
from alias_middleware.statistics.clients import Place, place_of
from alias_middleware.storage.base import Entry
from alias_middleware.storage.clientele import Clientele

Stream = tuple[Channel, int]
"""A channel's local day."""


def days_of(
    people: Sequence[Sequence[Entry]],
    services: Mapping[str, int],
    unidentified: Mapping[tuple[str, int], int],
    channel: Channel | None,
) -> dict[int, list[Rollup]]:
    """Roll up every local day of some services, given with their visit gaps (microseconds).

    `people`: each visitor's counted events; his place in it is his number.
    """
    days: dict[int, list[Rollup]] = defaultdict(list)
    for service, gap_us in services.items():
        for day, rollup in _days_of_service(people, service, gap_us, channel):
            days[day].append(rollup)
    for (_, day), page_views in unidentified.items():
        rollup = Rollup()
        rollup.arrivals.unidentified = page_views
        days[day].append(rollup)
    return days


def _days_of_service(
    people: Sequence[Sequence[Entry]], service: str, gap_us: int, channel: Channel | None
) -> list[tuple[int, Rollup]]:
    sightings: dict[Stream, list[Sighting]] = defaultdict(list)
    orders: dict[Stream, list[Order]] = defaultdict(list)
    rolled = []
    for visitor, entries in enumerate(people):
        events = [entry.event for entry in entries if entry.origin.service == service]
        events.sort(key=lambda event: event.time_us)
        seen = [event for event in events if forms_visit(event)]
        for event in seen:
            sightings[event.channel, event.day].append(sighting_of(event, visitor))
        for order, settled in settled_orders(events):
            orders[order.channel, order.day].append(
                Order(visitor, order.time_us, order.currency, settled, order.items)
            )
        if seen:
            rollup = Rollup()
            rollup.arrivals.arrived.add(visitor)
            rolled.append((seen[0].day, rollup))
    before: dict[Channel, dict[int, int]] = defaultdict(dict)
    for name, day in sorted(sightings.keys() | orders.keys()):
        if channel in (None, name):
            rolled.append((day, roll_up(sightings[name, day], orders[name, day], before[name], gap_us)))
        before[name].update({visitor: time_us for visitor, time_us, _, _ in sightings[name, day]})
    return rolled


def page_of(everybody: Sequence[tuple[str, Knowledge]], page: Clientele) -> list[tuple[str, Knowledge]]:
    """Give a page of visitors' keys with their knowledge, from everybody's."""
    ranked = [(_rank(place_of(*one, page.order_by, page.currency)), one) for one in everybody]
    ranked.sort(key=lambda placed: placed[0])
    return [one for rank, one in ranked if page.after is None or rank > _rank(page.after)][: page.limit]


def _rank(place: Place) -> tuple[int, str]:
    return -place.value, place.key
