"""The shapes of a roll-up: sections that are stored and read apart, and how two stretches of days merge.

Visitors are a storage's dense numbers, 32 bits. Money is in millionths, times in microseconds since the epoch.
Merging is associative and, but for the order within lists of orders, commutative: days of a month may be merged
beforehand.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import msgspec
from pyroaring import BitMap

from alias_middleware.rollups.counts import Counts, add_counts

Section = Literal["presence", "arrivals", "hours", "pages", "categories", "products", "money"]
"""The parts of a roll-up. `arrivals` is the whole service's, the others are each channel's."""

SECTIONS: tuple[Section, ...] = get_args(Section)

QUARTER_US = 15 * 60 * 1_000_000
"""Hours are kept as quarters of one: every time zone's offset is a multiple of it."""

Days = tuple[int, int]
"""Local days, by their ordinals: from the first to the one before the second."""

Sets = list[bytes]
"""Sets of visitors as bytes, united when somebody asks: of a year's pages only the first few are shown."""

Naming = tuple[int, str]
"""When a name was given, and the name: of several the latest holds."""


class Presence(msgspec.Struct):
    """Who was there. `visitors` viewed a page or wrote a message; `begun` has the visits that each began.

    `newest_us` is the time of the latest event in it.
    """

    page_views: int = 0
    messages: int = 0
    visitors: BitMap = msgspec.field(default_factory=BitMap)
    begun: Counts = msgspec.field(default_factory=list)
    newest_us: int = 0

    def add(self, more: Presence) -> None:
        """Merge another stretch."""
        self.page_views += more.page_views
        self.messages += more.messages
        self.visitors |= more.visitors
        add_counts(self.begun, more.begun)
        self.newest_us = max(self.newest_us, more.newest_us)


class Arrivals(msgspec.Struct):
    """Of one service and all its channels: whose first visit ever began, and page views without an alias."""

    arrived: BitMap = msgspec.field(default_factory=BitMap)
    unidentified: int = 0

    def add(self, more: Arrivals) -> None:
        """Merge another stretch."""
        self.arrived |= more.arrived
        self.unidentified += more.unidentified


class Hours(msgspec.Struct):
    """Page views and begun visits by quarter of an hour (its number since the epoch)."""

    quarters: dict[int, tuple[int, int]] = {}

    def add(self, more: Hours) -> None:
        """Merge another stretch."""
        for quarter, (page_views, visits) in more.quarters.items():
            ours = self.quarters.get(quarter, (0, 0))
            self.quarters[quarter] = ours[0] + page_views, ours[1] + visits


class Page(msgspec.Struct, array_like=True):
    """One path: views, who viewed it, and its latest title."""

    page_views: int
    visitors: Sets
    titled: Naming | None

    def add(self, more: Page) -> None:
        """Merge another stretch."""
        self.page_views += more.page_views
        self.visitors += more.visitors
        self.titled = max(self.titled, more.titled) if self.titled and more.titled else self.titled or more.titled


class Pages(msgspec.Struct):
    """Pages by path."""

    paths: dict[str, Page] = {}

    def add(self, more: Pages) -> None:
        """Merge another stretch."""
        for path, page in more.paths.items():
            if (ours := self.paths.get(path)) is not None:
                ours.add(page)
            else:
                self.paths[path] = Page(page.page_views, page.visitors[:], page.titled)


class Category(msgspec.Struct, array_like=True):
    """One category: views of its pages and who viewed them; buyers and revenue of its items, by currency."""

    page_views: int = 0
    visitors: BitMap = msgspec.field(default_factory=BitMap)
    buyers: BitMap = msgspec.field(default_factory=BitMap)
    revenue: dict[str, int] = {}

    def add(self, more: Category) -> None:
        """Merge another stretch."""
        self.page_views += more.page_views
        self.visitors |= more.visitors
        self.buyers |= more.buyers
        add_money(self.revenue, more.revenue)


class Categories(msgspec.Struct):
    """Categories by name."""

    names: dict[str, Category] = {}

    def add(self, more: Categories) -> None:
        """Merge another stretch."""
        for name, category in more.names.items():
            self.names.setdefault(name, Category()).add(category)


class Product(msgspec.Struct, array_like=True):
    """One article of the shop in orders that were not cancelled: its latest name, what was sold, and to whom."""

    named: Naming
    quantity: int = 0
    orders: int = 0
    buyers: Sets = []
    revenue: dict[str, int] = {}

    def add(self, more: Product) -> None:
        """Merge another stretch."""
        self.named = max(self.named, more.named)
        self.quantity += more.quantity
        self.orders += more.orders
        self.buyers += more.buyers
        add_money(self.revenue, more.revenue)


class Products(msgspec.Struct):
    """Products by sku."""

    skus: dict[str, Product] = {}

    def add(self, more: Products) -> None:
        """Merge another stretch."""
        for sku, product in more.skus.items():
            self.skus.setdefault(sku, Product(product.named)).add(product)


class Orders(msgspec.Struct, array_like=True):
    """Orders of one currency that were not cancelled, one by one: whose each is, and what is left of it."""

    visitors: list[int] = []
    nets: list[int] = []


class Money(msgspec.Struct):
    """Orders by currency, and how many were cancelled."""

    orders: dict[str, Orders] = {}
    cancelled: int = 0

    def add(self, more: Money) -> None:
        """Merge another stretch."""
        self.cancelled += more.cancelled
        for currency, orders in more.orders.items():
            ours = self.orders.setdefault(currency, Orders())
            ours.visitors += orders.visitors
            ours.nets += orders.nets

    def clients(self) -> BitMap:
        """Give the visitors with an order that was not cancelled."""
        return BitMap.union(BitMap(), *(BitMap(orders.visitors) for orders in self.orders.values()))


class Rollup(msgspec.Struct):
    """A stretch of days of one or more services and channels; sections nobody asked for are empty."""

    presence: Presence = msgspec.field(default_factory=Presence)
    arrivals: Arrivals = msgspec.field(default_factory=Arrivals)
    hours: Hours = msgspec.field(default_factory=Hours)
    pages: Pages = msgspec.field(default_factory=Pages)
    categories: Categories = msgspec.field(default_factory=Categories)
    products: Products = msgspec.field(default_factory=Products)
    money: Money = msgspec.field(default_factory=Money)

    def add(self, more: Rollup, sections: Iterable[Section] = SECTIONS) -> None:
        """Merge sections of another stretch; `more` stays as it is."""
        for section in sections:
            getattr(self, section).add(getattr(more, section))

    def unite(self) -> None:
        """Make one set of the several that pages and products have of their visitors."""
        for page in self.pages.paths.values():
            page.visitors = [united(page.visitors).serialize()]
        for product in self.products.skus.values():
            product.buyers = [united(product.buyers).serialize()]


def united(sets: Iterable[bytes]) -> BitMap:
    """Unite sets of visitors."""
    return BitMap.union(BitMap(), *map(BitMap.deserialize, sets))


def add_money(into: dict[str, int], more: dict[str, int]) -> None:
    """Add amounts by currency."""
    for currency, amount in more.items():
        into[currency] = into.get(currency, 0) + amount


def merge_periods(
    periods: Iterable[Days], days: Mapping[int, Sequence[Rollup]], sections: Sequence[Section]
) -> list[Rollup]:
    """Merge the roll-ups of days, which stay as they are, into one for each period."""
    known = sorted(days)
    merged = []
    for since, until in periods:
        within = known[bisect_left(known, since) : bisect_left(known, until)]
        merged.append(merge((rollup for day in within for rollup in days[day]), sections))
    return merged


def merge(rollups: Iterable[Rollup], sections: Iterable[Section]) -> Rollup:
    """Merge roll-ups, which stay as they are."""
    whole = Rollup()
    for rollup in rollups:
        whole.add(rollup, sections)
    return whole
