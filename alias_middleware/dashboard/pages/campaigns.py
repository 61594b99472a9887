"""The campaigns: how many were selected, allowed, held, sent, delivered; who came back, who bought."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from alias_middleware.dashboard.tables import Column, Kind, Table
from alias_middleware.events import Event, Purchase
from alias_middleware.history import forms_visit, refunds_by_order, settle
from alias_middleware.plans import Progress
from alias_middleware.storage.outbox import CampaignId, Dispatch, State
from alias_middleware.tracker import Tracker

_MOST_FOLLOWED = 2_000
_PAGE = 500
_EVENTS = 200
_GONE: tuple[State, ...] = ("sending", "uncertain", "sent", "delivered", "failed")
_REFUSED: tuple[State, ...] = ("refused", "expired", "cancelled")
_SENT: tuple[State, ...] = ("sent", "delivered")
_WAITING: tuple[State, ...] = ("queued", "held")

_COLUMNS: dict[str, Kind] = {
    "campaign": "text",
    "standing": "text",
    **dict.fromkeys(
        ("selected", "allowed", "held", "refused", "sent", "delivered", "failed", "came_back", "bought"), "count"
    ),
}


class Campaigns(NamedTuple):
    """The table of campaigns, and the reasons why messages did not go, by campaign."""

    table: Table
    reasons: dict[str, dict[str, int]]


def gather(tracker: Tracker) -> Campaigns:
    """Ask where each campaign stands, the newest first.

    Raises:
        SettingsError: the storage keeps none.
        StorageError: the storage does not answer.
    """
    found = tracker.contact.campaigns()[::-1]
    columns = [Column(name, kind, f"campaigns.{name}") for name, kind in _COLUMNS.items()]
    rows = [(each.name, each.standing, *_numbers(each), *_response(tracker, each.name)) for each in found]
    return Campaigns(Table("campaigns", columns, rows), {each.name: each.reasons for each in found})


def _numbers(progress: Progress) -> list[int]:
    def number(states: tuple[State, ...]) -> int:
        return sum(progress.states.get(state, 0) for state in states)

    groups: list[tuple[State, ...]] = [_GONE, _WAITING, _REFUSED, _SENT, ("delivered",), ("failed",)]
    return [sum(progress.states.values()), *(number(group) for group in groups)]


def _response(tracker: Tracker, name: str) -> tuple[int | None, int | None]:
    """Count who came back and who bought after the message; None where it was sent to too many to look."""
    dispatches = list(islice(_sent(tracker, name), _MOST_FOLLOWED + 1))
    if len(dispatches) > _MOST_FOLLOWED:
        return None, None
    came = bought = 0
    for dispatch in dispatches:
        events = tracker.storage.history(tracker.settings.namespace, dispatch.key, _EVENTS)
        sent_us = dispatch.claimed_us or dispatch.time_us  # a delivery report may come hours later
        later = [event for event in events if event.time_us > sent_us]
        came += any(map(forms_visit, later))
        bought += bool(_kept_orders(events, sent_us))
    return came, bought


def _kept_orders(events: list[Event], after_us: int) -> list[Purchase]:
    """Give the orders after a moment that were not cancelled by refunds, whichever of them came first.

    A history does not tell services apart: where two that share visitors gave one of them the same order id, a
    refund counts for both orders.
    """
    refunds = refunds_by_order(events)
    orders = [event for event in events if isinstance(event, Purchase) and event.time_us > after_us]
    return [each for each in orders if not settle(each.amount, refunds.get(each.order_id, [])).cancelled]


def _sent(tracker: Tracker, name: str) -> Iterator[Dispatch]:
    settings = tracker.settings
    campaign = CampaignId(settings.service, settings.namespace, name)
    outbox = tracker.storage.outbox()
    for state in _SENT:
        after = ""
        while page := outbox.dispatches(campaign, state, after, _PAGE):
            after = page[-1].key
            yield from page
