"""A service's life, made up from a seed: subscribers with planted interests, their habits, orders and refunds.

It streams in the order of time and keeps a few bytes a subscriber, however many pages they see. The same seed
gives the same life. Where it is written to is the business of `simulated_log` and of its caller.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from heapq import heappop, heappush
from itertools import accumulate
from operator import attrgetter
from random import Random
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from alias_middleware.local_time import LocalDays

CATEGORIES = ("news", "sport", "music", "games", "cinema", "weather", "horoscope", "cars", "cooking", "travel")
"""What the simulated service is about, the most popular first."""

PATTERNS = {f"/{category}/*": category for category in CATEGORIES}
"""The setting `categories` of the simulated service."""

_PAGES = 20
_POPULARITY = [1 / (place + 1) for place in range(len(CATEGORIES))]
_LOYALTY = 0.7
_FAVOURITE = 0.4
_HOME = 0.5
_BUYS = 0.04
_REFUNDED = 0.08
WEEK = (0.95, 0.95, 1.0, 1.0, 1.1, 1.2, 1.15)
"""How busy the days of a week are, Monday first."""

_SEASON = 0.2

RHYTHMS = (
    (1, 1, 1, 1, 1, 2, 8, 14, 10, 4, 3, 3, 5, 5, 3, 3, 4, 8, 9, 6, 4, 3, 2, 1),
    (1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 8, 14, 12, 7, 5, 5, 6, 6, 6, 5, 4, 3, 2),
    (4, 2, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 4, 4, 4, 5, 6, 8, 11, 14, 14, 12, 8),
)
"""When visits begin, by the hour: of those who come in the morning, at noon and in the evening."""

_CUMULATIVE_HOURS = [list(accumulate(hours)) for hours in RHYTHMS]
_TIME = attrgetter("time_us")
_LARGEST_ALIAS = 10**12
_STRIDE = 387_420_489_013  # prime to 10**12: every number gives another alias

Kind = Literal["view", "purchase", "refund"]


class Step(NamedTuple):
    """One thing a subscriber did: times in microseconds since the epoch.

    A view has a path; a purchase an order id, a category and cents; a refund the order id.
    """

    time_us: int
    subscriber: int
    kind: Kind
    path: str = ""
    order_id: str = ""
    category: str | None = None
    cents: int = 0


class Subscriber(NamedTuple):
    """The truth about one subscriber: what he favours, the days he is there, and his rhythm's place in `RHYTHMS`.

    `favoured` is one or two categories, `first` what he favours most; `until` is the day after his last.
    """

    alias: str
    first: str
    favoured: tuple[str, ...]
    since: date
    until: date
    rhythm: int


def busyness(day: date) -> float:
    """Give the factor by which a day is busier: of its day of the week, and of the season, winter the busiest."""
    season = 1 + _SEASON * math.cos(2 * math.pi * day.timetuple().tm_yday / 365)
    return WEEK[day.weekday()] * season


class Life:
    """The life of one service over some days, and the truth about it."""

    def __init__(
        self,
        *,
        subscribers: int,
        days: int,
        seed: int,
        first_day: date,
        zone: str = "Europe/Paris",
        visits_a_day: float = 0.05,
    ) -> None:
        """Make up who there is; what they do is made up as it is asked for.

        `visits_a_day`: of one subscriber, on average. A visit has five page views on average.

        Raises:
            ValueError: no subscribers or days.
        """
        if subscribers < 1 or days < 1:
            raise ValueError("a life has at least one subscriber and one day")
        self._subscribers = subscribers
        self._days = days
        self._first_day = first_day
        self._visits_a_day = visits_a_day
        self._local = LocalDays(ZoneInfo(zone))
        self._random = random = Random(seed)
        self._alias_offset = random.randrange(_LARGEST_ALIAS)
        self._paths = [[f"/{category}/{page}" for page in range(_PAGES)] for category in CATEGORIES]
        self._popularity = list(accumulate(_POPULARITY))
        self._first = array("B", (random.randrange(len(CATEGORIES)) for _ in range(subscribers)))
        self._second = array("B", (random.randrange(len(CATEGORIES)) for _ in range(subscribers)))
        self._zeal = array("f", (random.paretovariate(1.5) for _ in range(subscribers)))
        self._arrival = array("H", (self._arrives() for _ in range(subscribers)))
        self._departure = array("H", (self._departs(arrival) for arrival in self._arrival))
        self._page = array("B", (random.randrange(_PAGES) for _ in range(subscribers)))
        self._refunds: list[Step] = []
        self._orders = 0

    def _arrives(self) -> int:
        """Half are there from the beginning."""
        return 0 if self._random.random() < 0.5 else self._random.randrange(self._days)

    def _departs(self, arrival: int) -> int:
        """One in two hundred leaves each day."""
        return min(65_535, arrival + 1 + int(self._random.expovariate(1 / 200)))

    def alias(self, subscriber: int) -> str:
        """Give the alias of a subscriber."""
        return f"{(self._alias_offset + subscriber * _STRIDE) % _LARGEST_ALIAS:012d}"

    def planted(self, subscriber: int) -> set[str]:
        """Give the truth: the one or two categories the subscriber favours."""
        return {CATEGORIES[self._first[subscriber]], CATEGORIES[self._second[subscriber]]}

    def subscribers(self) -> Iterator[Subscriber]:
        """Give the truth about everybody."""
        end = self._first_day + timedelta(days=self._days)
        for number in range(self._subscribers):
            yield Subscriber(
                alias=self.alias(number),
                first=CATEGORIES[self._first[number]],
                favoured=tuple(sorted(self.planted(number))),
                since=self._first_day + timedelta(days=self._arrival[number]),
                until=min(end, self._first_day + timedelta(days=self._departure[number])),
                rhythm=_rhythm_of(number),
            )

    def days(self) -> list[date]:
        """Give the days it lasts."""
        return [self._first_day + timedelta(days=number) for number in range(self._days)]

    def steps(self) -> Iterator[Step]:
        """Give everything that happens, in the order of time."""
        later: list[Step] = []
        for number, day in enumerate(self.days()):
            steps = later + [
                step for subscriber in self._visitors(number, day) for step in self._visit(subscriber, day)
            ]
            end_us = self._local.start(day + timedelta(days=1))
            while self._refunds and self._refunds[0].time_us < end_us:
                steps.append(heappop(self._refunds))
            steps.sort()
            begun = bisect_right(steps, end_us, key=_TIME)  # visits that go on after midnight
            later = steps[begun:]
            yield from steps[:begun]
        yield from later

    def _visitors(self, number: int, day: date) -> Sequence[int]:
        """Draw who comes on a day, some of them several times."""
        present = [n for n in range(self._subscribers) if self._arrival[n] <= number < self._departure[n]]
        if not present:
            return ()
        expected = len(present) * self._visits_a_day * busyness(day)
        visits = int(expected) + (self._random.random() < expected % 1)
        return self._random.choices(
            present, cum_weights=list(accumulate(self._zeal[n] for n in present)), k=visits
        )

    def _visit(self, subscriber: int, day: date) -> Iterator[Step]:
        random = self._random.random
        hours = _CUMULATIVE_HOURS[_rhythm_of(subscriber)]
        hour = bisect_right(hours, random() * hours[-1])
        moment_us = self._local.start(day) + int((hour + random()) * 3_600_000_000)
        if random() < _HOME:
            yield Step(moment_us, subscriber, "view", "/")
        category = 0
        while True:
            moment_us += 2_000_000 + int(random() * 60_000_000)
            category = self._category(subscriber)
            page = self._page[subscriber] if random() < _FAVOURITE else int(random() * random() * _PAGES)
            yield Step(moment_us, subscriber, "view", self._paths[category][page])
            if random() < 0.22:
                break
        if random() < _BUYS:
            yield self._order(subscriber, moment_us + 30_000_000, CATEGORIES[category])

    def _category(self, subscriber: int) -> int:
        """Draw what a page is about: mostly what the subscriber favours, else what everybody reads."""
        random = self._random.random
        chance = random()
        if chance < _LOYALTY:
            return (self._first if chance < 0.6 * _LOYALTY else self._second)[subscriber]
        return bisect_right(self._popularity, random() * self._popularity[-1])

    def _order(self, subscriber: int, time_us: int, category: str) -> Step:
        self._orders += 1
        order = Step(time_us, subscriber, "purchase", "", f"S{self._orders}", category, self._cents())
        if self._random.random() < _REFUNDED:
            later_us = time_us + int(self._random.uniform(1, 10) * 86_400_000_000)
            heappush(self._refunds, Step(later_us, subscriber, "refund", "", order.order_id))
        return order

    def _cents(self) -> int:
        return self._random.choice((100, 150, 200, 300, 500))


def _rhythm_of(subscriber: int) -> int:
    return subscriber % len(RHYTHMS)
