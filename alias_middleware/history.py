"""What a visitor's history adds up to: visits, settled orders and knowledge.

Pure functions over events, whatever the order in which they arrived. A storage may keep the same results
incrementally; these are the definitions they must equal.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from alias_middleware.events import Event, Message, PageView, Purchase, Refund, TrackedEvent, Unsubscription
from alias_middleware.money import from_millionths

VISIT_GAP_SECONDS = 30 * 60
"""A visit ends when nothing came from the visitor for longer than this."""


class ContactNote(msgspec.Struct, array_like=True, frozen=True, order=True, gc=False):
    """What the rules of contact need of one SMS-MO, or of the end of a subscription.

    `said` is the command that the message was, "mo" or "paid_mo" for any other, "unsubscribed" for the end of a
    subscription; `offer` and `short_code` are "" where there was none.
    """

    time_us: int
    service: str
    said: str
    offer: str
    short_code: str


def contact_note(service: str, event: Event) -> ContactNote | None:
    """Give what the rules of contact need of an event at a service, None when it is nothing to them."""
    if isinstance(event, Message):
        said = event.command or ("paid_mo" if event.paid else "mo")
        return ContactNote(event.time_us, service, said, event.offer or "", event.short_code)
    if isinstance(event, Unsubscription):
        return ContactNote(event.time_us, service, "unsubscribed", event.offer, "")
    return None


class Knowledge(msgspec.Struct, array_like=True):
    """What is derived from a visitor's history; times in microseconds since the epoch, money in millionths.

    `contacts` are in the order of their times; `last_page` is the time of the last page view.
    """

    first_seen: int | None = None
    last_seen: int | None = None
    visits: int = 0
    page_views: int = 0
    orders: int = 0
    revenue: dict[str, int] = {}
    contacts: list[ContactNote] = []
    last_page: int | None = None

    def note(self, service: str, event: Event) -> None:
        """Keep what the rules of contact need of an event."""
        if isinstance(event, PageView):
            self.last_page = max(event.time_us, self.last_page or event.time_us)
        elif (note := contact_note(service, event)) is not None:
            insort(self.contacts, note)

    def see(self, time_us: int) -> None:
        """Widen the time in which the visitor was seen."""
        if self.first_seen is None or time_us < self.first_seen:
            self.first_seen = time_us
        if self.last_seen is None or time_us > self.last_seen:
            self.last_seen = time_us

    def earn(self, currency: str, amount: int) -> None:
        """Add to the revenue of one currency, forgetting a currency that has come back to nothing."""
        total = self.revenue.get(currency, 0) + amount
        self.revenue = {**self.revenue, currency: total}
        if not total:
            del self.revenue[currency]


class Settlement(NamedTuple):
    """What is left of an order after its refunds, in millionths."""

    net: int
    cancelled: bool


def forms_visit(event: Event) -> bool:
    """Tell whether an event shows the visitor at work: what the publisher or the operator notes does not."""
    return not isinstance(event, Refund | Unsubscription)


def needs_consent(event: Event) -> bool:
    """Tell whether an event is recorded only with the visitor's consent to be measured.

    Orders, refunds and what opens or closes a window of contact are the publisher's books: they are kept.
    """
    return isinstance(event, PageView | TrackedEvent)


def visit_starts(times: Iterable[int], gap_us: int) -> list[int]:
    """Give the first moment of each visit of ascending `times` (microseconds) of one (service, channel).

    A visit is a maximal run with gaps of at most `gap_us`.
    """
    starts: list[int] = []
    previous: int | None = None
    for moment in times:
        if previous is None or moment - previous > gap_us:
            starts.append(moment)
        previous = moment
    return starts


def settle(amount: int, refunds: Iterable[int | None]) -> Settlement:
    """Settle an order of `amount` with its refunds, where None stands for the whole.

    Refunds never exceed the order; an order wholly refunded is cancelled.
    """
    given = list(refunds)
    if None in given:
        return Settlement(net=0, cancelled=True)
    refunded = min(amount, sum(part for part in given if part is not None))
    return Settlement(net=amount - refunded, cancelled=bool(given) and refunded == amount)


def first_copies(purchases: Iterable[tuple[Purchase, int]]) -> dict[str, Purchase]:
    """Of the copies of each order, given with their event ids, keep the least by (time, event id)."""
    kept: dict[str, Purchase] = {}
    for purchase, _ in sorted(purchases, key=lambda copy: (copy[0].time_us, copy[1])):
        kept.setdefault(purchase.order_id, purchase)
    return kept


def refunds_by_order(events: Iterable[Event]) -> dict[str, list[int | None]]:
    """Gather the refunded amounts of each order; None stands for the whole order."""
    amounts: dict[str, list[int | None]] = {}
    for event in events:
        if isinstance(event, Refund):
            amounts.setdefault(event.order_id, []).append(event.amount)
    return amounts


def knowledge_of(streams: Mapping[tuple[str, str], Sequence[Event]], gaps_us: Mapping[str, int]) -> Knowledge:
    """Derive knowledge from whole histories: the events of each (service, channel), and each service's gap.

    Of an order's copies only the one that counts may be in a stream.
    """
    knowledge = Knowledge()
    by_service: dict[str, list[Event]] = {}
    for (service, _), stream in streams.items():
        by_service.setdefault(service, []).extend(stream)
        times = sorted(event.time_us for event in stream if forms_visit(event))
        knowledge.visits += len(visit_starts(times, gaps_us[service]))
        knowledge.page_views += sum(isinstance(event, PageView) for event in stream)
        for moment in times[:1] + times[-1:]:
            knowledge.see(moment)
        for event in stream:
            knowledge.note(service, event)
    for events in by_service.values():
        for purchase, settled in settled_orders(events):
            knowledge.orders += not settled.cancelled
            knowledge.earn(purchase.currency, settled.net)
    return knowledge


def settled_orders(events: Sequence[Event]) -> Iterator[tuple[Purchase, Settlement]]:
    """Settle the orders of one visitor at one service with their refunds."""
    refunds = refunds_by_order(events)
    for event in events:
        if isinstance(event, Purchase):
            yield event, settle(event.amount, refunds.get(event.order_id, ()))


def without_cancelled(events: Sequence[Event]) -> list[Event]:
    """Leave out the cancelled orders of one visitor at one service."""
    cancelled = {id(purchase) for purchase, settled in settled_orders(events) if settled.cancelled}
    return [event for event in events if id(event) not in cancelled]


def revenue_of(knowledge: Knowledge) -> dict[str, Decimal]:
    """Give the revenue as exact Decimals by currency."""
    return {currency: from_millionths(amount) for currency, amount in sorted(knowledge.revenue.items())}
