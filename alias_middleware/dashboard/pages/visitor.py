"""One visitor: everything that is known of him, and what the rules say of a message to him."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from alias_middleware.contact import OFFERS, Kind, Verdict
from alias_middleware.dashboard.nonsense import NonsenseError
from alias_middleware.dossier import forbidden
from alias_middleware.interests import Interest
from alias_middleware.local_time import from_micros
from alias_middleware.money import from_millionths
from alias_middleware.storage.outbox import Suppression
from alias_middleware.tracker import Tracker

PAGE = 100
KINDS: tuple[Kind, ...] = ("marketing", "transactional")

_LONGEST_SENDER = 20
_INTERESTS = 5
_DETAILS = ("path", "title", "name", "category", "short_code", "text", "offer", "order_id")


class Happening(NamedTuple):
    """One event of the timeline: what of it can be told in a line."""

    time: datetime
    type: str
    details: str


class Order(NamedTuple):
    """One purchase, as it was made; its refunds are in the timeline."""

    time: datetime
    order_id: str
    items: str
    amount: Decimal
    currency: str


class Message(NamedTuple):
    """The message that is to be judged."""

    offer: str
    kind: Kind
    sender: str


class Stop(NamedTuple):
    """What the visitor forbade: `what` is marketing, one service or every one."""

    what: Literal["marketing", "service", "every_service"]
    service: str | None
    reason: str
    channel: str
    time: datetime


class Dossier(NamedTuple):
    """What is known of a visitor. Consents and suppressions are newest last, as they are kept."""

    known: dict[str, Any]
    revenue: dict[str, Decimal]
    preferences: dict[str, Any]
    personal: dict[str, Any]
    consents: list[tuple[str, bool, datetime, str]]
    suppressions: list[Stop]
    orders: list[Order]
    happenings: list[Happening]
    events: int
    interests: list[Interest]


def gather(tracker: Tracker, alias: str, skip: int) -> Dossier:
    """Ask for everything of a visitor; of his history a page, newest first, after the first `skip` events.

    Raises:
        ValueError: no alias.
        StorageError: the storage does not answer.
    """
    document = tracker.privacy.export(alias, requester="dashboard", reason="looked at")
    knowledge, history = document["knowledge"], document["history"]
    return Dossier(
        known={name: _moment(knowledge[name]) for name in ("first_seen", "last_seen")}
        | {name: knowledge[name] for name in ("visits", "page_views", "orders")},
        revenue={each: from_millionths(amount) for each, amount in sorted(knowledge["revenue"].items())},
        preferences=document["preferences"],
        personal=document["personal"],
        consents=[
            (purpose, granted, from_micros(time_us), source or "")
            for purpose, said in document["consents"].items()
            for granted, time_us, source in said
        ],
        suppressions=[_stop(Suppression(**each)) for each in document["suppressions"]],
        orders=list(_orders(history)),
        happenings=[_happening(event) for event in history[skip : skip + PAGE]],
        events=len(history),
        interests=tracker.visitor(alias).profile.interests(_INTERESTS),
    )


def message_of(query: Mapping[str, str]) -> Message | None:
    """Read the message that is to be judged, None where none is.

    Raises:
        NonsenseError: no such offer or kind, or too long a sender.
    """
    offer, sender, kind = query.get("offer", ""), query.get("sender", "").strip(), query.get("kind", "marketing")
    if not offer:
        return None
    if offer not in OFFERS or kind not in KINDS or not 0 < len(sender) <= _LONGEST_SENDER:
        raise NonsenseError("message")
    return Message(offer, kind, sender)


def judge(tracker: Tracker, alias: str, message: Message) -> Verdict:
    """Tell what the rules say of a message now."""
    return tracker.contact.verdict(alias, offer=message.offer, kind=message.kind, sender=message.sender)


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _stop(stored: Suppression) -> Stop:
    said = forbidden(stored)
    what: Literal["marketing", "service", "every_service"] = said.scope
    if what == "service" and said.service is None:
        what = "every_service"
    return Stop(what, said.service, said.reason, said.channel, from_micros(said.time_us))


def _orders(history: list[dict[str, Any]]) -> Iterator[Order]:
    for event in history:
        if event["type"] == "Purchase":
            items = ", ".join(f"{item['quantity']} × {item['name']}" for item in event["items"])
            amount = sum((item["quantity"] * Decimal(item["price"]) for item in event["items"]), Decimal())
            yield Order(from_micros(event["time_us"]), event["order_id"], items, amount, event["currency"])


def _happening(event: dict[str, Any]) -> Happening:
    details = [str(event[name]) for name in _DETAILS if event.get(name) is not None]
    if (refunded := event.get("amount")) is not None:
        details.append(str(from_millionths(refunded)))
    details += [f"{item['quantity']} × {item['name']}" for item in event.get("items", ())]
    details += [f"{name} = {value}" for name, value in event.get("properties", {}).items()]
    return Happening(from_micros(event["time_us"]), event["type"], " · ".join(details))
