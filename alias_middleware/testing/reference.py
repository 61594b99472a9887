"""Every figure read off the raw events with plain sets and loops: slow, and written apart from the roll-ups.

What it says is compared with every storage. It knows nothing of bitmaps, roll-ups or days that were kept.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import tzinfo
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from alias_middleware.events import Message, PageView, Purchase
from alias_middleware.history import forms_visit, settled_orders
from alias_middleware.local_time import from_micros
from alias_middleware.storage.base import Entry, Scope

Person = tuple[str, str]
"""A visitor's namespace and key."""

Row = tuple[Any, ...]

Shares = dict[str, tuple[int, Decimal]]
"""Numbers by the name of their group, each with its part of them all; no zeros."""


class Visit(NamedTuple):
    """One visit: whose, when it began, and the local day of its first event."""

    person: Person
    start_us: int
    day: int


class Sale(NamedTuple):
    """One order with what is left of it."""

    person: Person
    purchase: Purchase
    net: int
    cancelled: bool


class Reference:
    """The figures of a scope, from the events that count."""

    def __init__(
        self, entries: Iterable[Entry], unidentified: Callable[[int, int], int], scope: Scope, zone: tzinfo
    ) -> None:
        """Read `entries`; `unidentified` gives the scope's page views without an alias between two days."""
        of_service = [
            entry
            for entry in entries
            if scope.service in (None, entry.origin.service)
            and (scope.service is not None or entry.origin.namespace == scope.namespace)
        ]
        self._zone = zone
        self._unidentified = unidentified
        self._first_days = self._arrivals(of_service)
        self._entries = [entry for entry in of_service if scope.channel in (None, entry.event.channel)]
        self._visits = list(_visits(self._entries))
        self._sales = [sale for sale in _sales(of_service) if scope.channel in (None, sale.purchase.channel)]

    @staticmethod
    def _arrivals(entries: Iterable[Entry]) -> dict[Person, int]:
        first: dict[Person, tuple[int, int]] = {}
        for entry in entries:
            if forms_visit(entry.event):
                moment = (entry.event.time_us, entry.event.day)
                first[_person(entry)] = min(moment, first.get(_person(entry), moment))
        return {person: day for person, (_, day) in first.items()}

    def _shown(self, since: int, until: int) -> list[tuple[Person, PageView]]:
        return [
            (_person(entry), entry.event)
            for entry in self._entries
            if isinstance(entry.event, PageView) and since <= entry.event.day < until
        ]

    def _visitors(self, since: int, until: int) -> set[Person]:
        return {
            _person(entry)
            for entry in self._entries
            if isinstance(entry.event, PageView | Message) and since <= entry.event.day < until
        }

    def _sold(self, since: int, until: int) -> list[Sale]:
        return [sale for sale in self._sales if since <= sale.purchase.day < until and not sale.cancelled]

    def summary(self, since: int, until: int) -> dict[str, object]:
        """Give the figures by name."""
        visitors = self._visitors(since, until)
        new = {person for person in visitors if since <= self._first_days[person] < until}
        visits = [visit for visit in self._visits if since <= visit.day < until]
        sold = self._sold(since, until)
        every = [sale for sale in self._sales if since <= sale.purchase.day < until]
        currencies = sorted({sale.purchase.currency for sale in sold})
        return {
            "visitors": len(visitors),
            "new_visitors": len(new),
            "returning_visitors": len(visitors - new),
            "visits": len(visits),
            "page_views": len(self._shown(since, until)),
            "messages": sum(
                isinstance(entry.event, Message) and since <= entry.event.day < until for entry in self._entries
            ),
            "unidentified_page_views": self._unidentified(since, until),
            "visits_per_visitor": _rounded(Fraction(len(visits), len(visitors))) if visitors else None,
            "clients": len({sale.person for sale in sold}),
            "lifetime_clients": len(
                {sale.person for sale in self._sales if sale.purchase.day < until and not sale.cancelled}
            ),
            "orders": len(sold),
            "cancelled_orders": len(every) - len(sold),
            "revenue": {currency: _money(_nets(sold, currency)) for currency in currencies},
            "average_basket": {
                currency: _rounded(_mean(_nets(sold, currency)) / 10**6) for currency in currencies
            },
            "average_basket_per_client": {
                currency: _rounded(_mean(_own_means(sold, currency)) / 10**6) for currency in currencies
            },
        }

    def frequency(self, since: int, until: int) -> tuple[Shares, Shares]:
        """Give the visitors by number of visits, and the visits by days since the previous one, with shares."""
        visitors = self._visitors(since, until)
        begun = Counter(visit.person for visit in self._visits if since <= visit.day < until)
        by_visits = Counter(_in_words(begun[person], (10, 20, 50, 100)) for person in visitors)
        by_days: Counter[str] = Counter()
        previous: dict[Person, int] = {}
        for visit in sorted(self._visits, key=lambda visit: (visit.day, visit.start_us)):
            if since <= visit.day < until:
                before = previous.get(visit.person)
                days = None if before is None else visit.day - before
                by_days["first" if days is None else _in_words(days, (7, 14, 30, 60, 120, 364))] += 1
            previous[visit.person] = visit.day
        return _with_shares(by_visits), _with_shares(by_days)

    def pages(self, since: int, until: int) -> list[Row]:
        """Give path, title, page views, visitors, buyers and share, in order."""
        shown = self._shown(since, until)
        clients = {sale.person for sale in self._sold(since, until)}
        rows = []
        for path in {view.path for _, view in shown}:
            theirs = [(person, view) for person, view in shown if view.path == path]
            titled = [(view.time_us, view.title) for _, view in theirs if view.title is not None]
            title = max(titled)[1] if titled else None
            share = _rounded(Fraction(len(theirs), len(shown)))
            viewers = {person for person, _ in theirs}
            rows.append((path, title, len(theirs), len(viewers), len(viewers & clients), share))
        return sorted(rows, key=lambda row: (-row[2], row[0]))

    def categories(self, since: int, until: int) -> list[Row]:
        """Give category, page views, visitors, buyers, revenue and share, in order."""
        shown, sold = self._shown(since, until), self._sold(since, until)
        lines = [(sale, item, net) for sale in sold for item, net in _lines(sale)]
        names = {view.category for _, view in shown} | {item.category for _, item, _ in lines}
        rows: list[Row] = []
        for name in names - {None}:
            viewers = [person for person, view in shown if view.category == name]
            bought = [(sale, net) for sale, item, net in lines if item.category == name]
            share = _rounded(Fraction(len(viewers), len(shown))) if shown else None
            buyers = {sale.person for sale, _ in bought}
            rows.append((name, len(viewers), len(set(viewers)), len(buyers), _by_currency(bought), share))
        return sorted(rows, key=lambda row: (-row[1], row[0]))

    def products(self, since: int, until: int) -> list[Row]:
        """Give sku, name, quantity, orders, buyers, revenue and its share, in order."""
        lines = [(sale, item, net) for sale in self._sold(since, until) for item, net in _lines(sale)]
        whole = _by_currency([(sale, net) for sale, _, net in lines])
        rows: list[Row] = []
        for sku in {item.sku for _, item, _ in lines}:
            theirs = [(sale, item, net) for sale, item, net in lines if item.sku == sku]
            name = max((sale.purchase.time_us, item.name) for sale, item, _ in theirs)[1]
            orders = {(sale.person, id(sale.purchase)) for sale, _, _ in theirs}
            revenue = _by_currency([(sale, net) for sale, _, net in theirs])
            shares = {
                name: Fraction(sum_) / Fraction(whole[name]) for name, sum_ in revenue.items() if whole[name]
            }
            rows.append(
                (
                    sku,
                    name,
                    sum(item.quantity for _, item, _ in theirs),
                    len(orders),
                    len({sale.person for sale, _, _ in theirs}),
                    revenue,
                    {name: _rounded(share) for name, share in shares.items()},
                )
            )
        return sorted(rows, key=lambda row: (-row[2], row[0]))

    def cohorts(self, bounds: Sequence[int]) -> list[Row]:
        """Give, for each period between two bounds, the size of its cohort, who of it came later, and as parts."""
        rows: list[Row] = []
        for place, (since, until) in enumerate(pairwise(bounds)):
            cohort = {
                person for person in self._visitors(since, until) if since <= self._first_days[person] < until
            }
            later = zip(bounds[place:], bounds[place + 1 :], strict=False)
            stayed = [len(cohort & self._visitors(*period)) for period in later]
            parts = [_rounded(Fraction(number, len(cohort))) if cohort else None for number in stayed]
            rows.append((len(cohort), stayed, parts))
        return rows

    def hours(self, since: int, until: int) -> dict[tuple[int, int], Row]:
        """Give page views, visits and their share by (day of the week, hour), no zeros."""
        views = Counter(self._hour(view.time_us) for _, view in self._shown(since, until))
        visits = Counter(self._hour(visit.start_us) for visit in self._visits if since <= visit.day < until)
        whole = visits.total()
        shares = {hour: _rounded(Fraction(visits[hour], whole)) if whole else None for hour in views | visits}
        return {hour: (views[hour], visits[hour], share) for hour, share in shares.items()}

    def clients(self) -> list[dict[str, Any]]:
        """Give what the whole history of each person adds up to."""
        keys = {_person(entry): entry.event.key for entry in self._entries}
        return [{"visitor": key, **self._life(person)} for person, key in keys.items()]

    def _life(self, person: Person) -> dict[str, Any]:
        theirs = [entry.event for entry in self._entries if _person(entry) == person]
        seen = [event.time for event in theirs if forms_visit(event)]
        sales = [sale for sale in self._sales if sale.person == person]
        revenue = _by_currency([(sale, sale.net) for sale in sales])
        return {
            "first_seen": min(seen, default=None),
            "last_seen": max(seen, default=None),
            "visits": sum(visit.person == person for visit in self._visits),
            "page_views": sum(isinstance(event, PageView) for event in theirs),
            "orders": sum(not sale.cancelled for sale in sales),
            "revenue": {currency: amount for currency, amount in revenue.items() if amount},
        }

    def _hour(self, time_us: int) -> tuple[int, int]:
        local = from_micros(time_us).astimezone(self._zone)
        return local.isoweekday(), local.hour


def _person(entry: Entry) -> Person:
    return entry.origin.namespace, entry.event.key


def _visits(entries: Iterable[Entry]) -> Iterable[Visit]:
    streams: dict[tuple[Person, str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        if forms_visit(entry.event):
            streams[_person(entry), entry.origin.service, entry.event.channel].append(entry)
    for (person, _, _), stream in streams.items():
        previous: int | None = None
        for entry in sorted(stream, key=lambda entry: entry.event.time_us):
            if previous is None or entry.event.time_us > previous + entry.origin.visit_gap_us:
                yield Visit(person, entry.event.time_us, entry.event.day)
            previous = entry.event.time_us


def _sales(entries: Iterable[Entry]) -> Iterable[Sale]:
    books: dict[tuple[Person, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        books[_person(entry), entry.origin.service].append(entry)
    for (person, _), theirs in books.items():
        for purchase, settled in settled_orders([entry.event for entry in theirs]):
            yield Sale(person, purchase, settled.net, settled.cancelled)


def _lines(sale: Sale) -> Iterable[tuple[Any, int]]:
    """Each line of an order with its part of what is left: in proportion, each sum of lines rounded down."""
    whole = sale.purchase.amount
    reached = Fraction(0)
    for item in sale.purchase.items:
        before = reached
        if whole:
            reached += Fraction(item.amount * sale.net, whole)
        yield item, int(reached) - int(before)


def _with_shares(numbers: Counter[str]) -> Shares:
    return {name: (number, _rounded(Fraction(number, numbers.total()))) for name, number in numbers.items()}


def _nets(sold: Sequence[Sale], currency: str) -> list[int]:
    return [sale.net for sale in sold if sale.purchase.currency == currency]


def _own_means(sold: Sequence[Sale], currency: str) -> list[Fraction]:
    theirs: dict[Person, list[int]] = defaultdict(list)
    for sale in sold:
        if sale.purchase.currency == currency:
            theirs[sale.person].append(sale.net)
    return [_mean(nets) for nets in theirs.values()]


def _by_currency(bought: Sequence[tuple[Sale, int]]) -> dict[str, Decimal]:
    currencies = sorted({sale.purchase.currency for sale, _ in bought})
    return {
        currency: _money([net for sale, net in bought if sale.purchase.currency == currency])
        for currency in currencies
    }


def _mean(values: Sequence[int] | Sequence[Fraction]) -> Fraction:
    return sum(map(Fraction, values), Fraction()) / len(values)


def _money(millionths: Sequence[int]) -> Decimal:
    return Decimal(sum(millionths)) / 10**6


def _rounded(value: Fraction) -> Decimal:
    return Decimal(round(value * 10_000)) / 10_000


def _in_words(number: int, limits: Sequence[int]) -> str:
    """Name the group of a number: itself up to the first limit, then from after one limit to the next."""
    if number <= limits[0]:
        return str(number)
    for low, high in pairwise(limits):
        if number <= high:
            return f"{low + 1}-{high}"
    return f"{limits[-1] + 1}+"
