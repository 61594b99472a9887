"""Stretches of days merge into longer ones, in any grouping, and survive being stored."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest

from alias_middleware.events import Item
from alias_middleware.history import Settlement
from alias_middleware.rollups.coding import decode_section, encode_section
from alias_middleware.rollups.counts import total
from alias_middleware.rollups.days import Order, Shown, roll_up
from alias_middleware.rollups.model import SECTIONS, Rollup, merge_periods, united


def some_day(seed: int) -> Rollup:
    random = Random(seed)
    pages = [Shown("/", random.choice([None, "Home"]), None), Shown("/a", "A", "news"), Shown("/b", None, "sport")]
    sightings = sorted(
        (random.randrange(9), seed * 10_000 + random.randrange(9_000)) for _ in range(random.randrange(30))
    )
    items = (Item("x", f"X{seed}", "news", Decimal("1.5"), 2), Item("y", "Y", None, Decimal(1)))
    orders = [
        Order(
            random.randrange(9),
            seed * 10_000,
            "EUR",
            Settlement(random.randrange(4_000_000), cancelled=False),
            items,
        )
        for _ in range(random.randrange(3))
    ]
    rolled = roll_up([(who, when, random.choice(pages), False) for who, when in sightings], orders, {}, 300)
    rolled.arrivals.arrived.add(seed)
    rolled.arrivals.unidentified = seed
    return rolled


def figures(rollup: Rollup) -> tuple[object, ...]:
    """What a roll-up says, whatever the order in which it was merged."""
    presence, arrivals = rollup.presence, rollup.arrivals
    pages = rollup.pages.paths.items()
    products = rollup.products.skus.items()
    return (
        (presence.page_views, presence.visitors, total(presence.begun), presence.newest_us),
        (arrivals.arrived, arrivals.unidentified),
        rollup.hours.quarters,
        {path: (page.page_views, united(page.visitors), page.titled) for path, page in pages},
        rollup.categories.names,
        {sku: (one.named, one.quantity, one.orders, united(one.buyers), one.revenue) for sku, one in products},
        {name: sorted(zip(made.visitors, made.nets, strict=True)) for name, made in rollup.money.orders.items()},
    )


@pytest.mark.parametrize("seed", range(5))
def test_merging_has_no_order(seed: int) -> None:
    """Days one by one, backwards, or weeks made beforehand: the same month."""
    days = {day: [some_day(seed * 10 + day)] for day in range(1, 8)}
    before = {day: figures(rolled) for day, (rolled,) in days.items()}
    whole, first, second = merge_periods([(1, 8), (1, 4), (4, 8)], days, SECTIONS)
    backwards, halves = Rollup(), Rollup()
    for day in reversed(days):
        backwards.add(days[day][0])
    for half in (second, first):
        halves.add(half)
    assert figures(whole) == figures(backwards) == figures(halves)
    assert {day: figures(rolled) for day, (rolled,) in days.items()} == before


@pytest.mark.parametrize("section", SECTIONS)
def test_sections_are_stored_and_read_apart(section: str) -> None:
    """What was encoded is what is decoded."""
    rolled = some_day(7)
    assert decode_section(section, encode_section(rolled, section)) == getattr(rolled, section)  # type: ignore[arg-type]


def test_only_what_is_asked_for_is_merged() -> None:
    """The other sections stay empty."""
    (rolled,) = merge_periods([(1, 2)], {1: [some_day(7)]}, ["hours"])
    assert rolled.hours != Rollup().hours
    assert rolled.presence == Rollup().presence
