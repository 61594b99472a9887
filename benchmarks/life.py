"""A year and more of one site, made up from a seed: what the large parts are measured on.

Simpler than `alias_middleware.testing.simulation`, and several times as fast: every visit lies within a day, every
visitor comes for the first time on a day of his own, and the numbers are those that were asked for.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from alias_middleware.local_time import LocalDays

FIRST_DAY = date(2025, 1, 1)
ZONE = "Europe/Paris"

_CATEGORIES = ("news", "sport", "music", "games", "cinema", "weather", "horoscope", "cars", "cooking", "travel")
_PAGES = 20
_PRODUCTS = 500
_SECOND_US = 1_000_000
_OPENS_US, _CLOSES_US = 6 * 3600 * _SECOND_US, 22 * 3600 * _SECOND_US
_SHARE_OF_LAST_PAGES = 0.2


class Size(NamedTuple):
    """How much there is of everything."""

    page_views: int = 10_000_000
    purchases: int = 300_000
    visitors: int = 200_000
    days: int = 400

    @property
    def events(self) -> int:
        """All page views and purchases."""
        return self.page_views + self.purchases

    def scaled(self, scale: float) -> Size:
        """So much of everything, but as many days."""
        views, purchases, visitors = (max(self.days, round(number * scale)) for number in self[:3])
        return Size(views, purchases, visitors, self.days)


class View(NamedTuple):
    time_us: int
    visitor: int
    path: str
    category: str


class Order(NamedTuple):
    """An order of one line; `price` in whole units."""

    time_us: int
    visitor: int
    order_id: str
    sku: str
    category: str
    price: int
    quantity: int


Day = tuple[date, list[View | Order]]
"""A day with what happened, in the order of time."""


class Life:
    """Everything that happens, day by day; the same for the same size and seed."""

    def __init__(self, size: Size, seed: int = 4) -> None:
        self.size = size
        self._random = random.Random(seed)
        self._local = LocalDays(ZoneInfo(ZONE))
        self._paths = [[f"/{category}/{page}" for page in range(_PAGES)] for category in _CATEGORIES]
        self._orders = 0

    @property
    def until(self) -> date:
        return FIRST_DAY + timedelta(days=self.size.days)

    def days(self) -> Iterator[Day]:
        """Give each day with what happened."""
        size, views, orders = self.size, 0, 0
        for number in range(size.days):
            day = FIRST_DAY + timedelta(days=number)
            begins_us = self._local.start(day)
            views_today = size.page_views * (number + 1) // size.days - views
            orders_today = size.purchases * (number + 1) // size.days - orders
            views, orders = views + views_today, orders + orders_today
            steps: list[View | Order] = list(self._views(number, begins_us, views_today))
            steps += [self._order(step) for step in self._random.choices(steps, k=orders_today)]
            steps.sort(key=_time)
            yield day, steps

    def _views(self, number: int, begins_us: int, left: int) -> Iterator[View]:
        """Let newcomers come first, and others, the older the oftener, until the day has all its views."""
        chance = self._random.random
        visitors, days = self.size.visitors, self.size.days
        newcomers = iter(range(visitors * number // days, visitors * (number + 1) // days))
        known = visitors * (number + 1) // days
        while left:
            visitor = next(newcomers, -1)
            if visitor < 0:
                visitor = int(known * chance() ** 1.5)
            moment = begins_us + _OPENS_US + int(chance() * (_CLOSES_US - _OPENS_US))
            while left:
                category = visitor % 10 if chance() < 0.6 else int(10 * chance() ** 2)
                yield View(
                    moment, visitor, self._paths[category][int(_PAGES * chance() ** 2)], _CATEGORIES[category]
                )
                left -= 1
                if chance() < _SHARE_OF_LAST_PAGES:
                    break
                moment += (2 + int(chance() * 58)) * _SECOND_US + int(chance() * _SECOND_US)

    def _order(self, view: View | Order) -> Order:
        """An order half a minute after a page."""
        number = int(_PRODUCTS * self._random.random() ** 2)
        self._orders += 1
        return Order(
            view.time_us + 30 * _SECOND_US + self._orders % 1000,
            view.visitor,
            f"L{self._orders}",
            f"rt-{number}",
            _CATEGORIES[number % 10],
            1 + number % 5,
            1 + number % 3,
        )


def _time(step: View | Order) -> int:
    return step.time_us


def alias(visitor: int) -> str:
    """Give the alias of a visitor: neighbours in number are strangers in the order of keys."""
    return f"{(314_522_927_347 + visitor * 387_420_489_013) % 10**12:012}"
