"""What an app does with its visitor while it serves a request: the documented, and what nobody documents."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from alias_middleware import Item, Visitor
from alias_middleware.errors import AliasError

Deed = Callable[[Visitor, random.Random], None]

_FIELDS = ["font", "list", "count", "nested", "é", "\ud800", "", " ", "x" * 200]
_TEXTS = ["", "EUR", "eur", "é\x00", "\ud800", "x" * 5000, "CMD-1", "<b>", "٣", "a\r\nb"]


class Odd:
    """A value that is nobody's business."""


def _value(dice: random.Random, depth: int = 0) -> Any:
    scalars = [None, True, 0, -1, 2**63, 2**64, 1e308, float("nan"), *_TEXTS, b"bytes", Odd(), Decimal(1), {1, 2}]
    match dice.randrange(6) if depth < 3 else 0:
        case 1:
            return [_value(dice, depth + 1) for _ in range(dice.randrange(4))]
        case 2:
            return {dice.choice(_FIELDS): _value(dice, depth + 1) for _ in range(dice.randrange(3))}
        case 3:
            return dice.randrange(100)
        case 4:
            return f"text {dice.randrange(100)}"
    return dice.choice(scalars)


def _moment(dice: random.Random) -> datetime | None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    ends = [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
    return dice.choice([None, None, None, noon, noon.replace(tzinfo=None), noon - timedelta(days=400), *ends])


def look(visitor: Visitor, dice: random.Random) -> None:
    assert bool(visitor) == (visitor.alias is not None) == visitor.is_authenticated == bool(visitor.identity)
    assert (visitor.status == "OK") == bool(visitor) or visitor.by_continuity


def read(visitor: Visitor, dice: random.Random) -> None:
    profile = visitor.profile
    known = profile.first_seen, profile.last_seen, profile.visits, profile.page_views, profile.orders
    assert visitor or not any([*known, profile.revenue])
    assert len(dict(profile)) == len(profile)
    assert set(visitor.consents) <= {"measure", "personalise", "contact"}


def set_field(visitor: Visitor, dice: random.Random) -> None:
    area = dice.choice([visitor.profile, visitor.profile.personal])
    area[dice.choice(_FIELDS)] = _value(dice)
    assert len(repr(area)) < 100


def delete_field(visitor: Visitor, dice: random.Random) -> None:
    del visitor.profile[dice.choice(_FIELDS)]


def increment(visitor: Visitor, dice: random.Random) -> None:
    visitor.profile.increment(dice.choice(_FIELDS), dice.choice([1, -1, 0.5, 2**62, 1e308]))


def append(visitor: Visitor, dice: random.Random) -> None:
    visitor.profile.append(dice.choice(_FIELDS), _value(dice), limit=dice.choice([None, 1, 5]))


def discard(visitor: Visitor, dice: random.Random) -> None:
    visitor.profile.remove(dice.choice(_FIELDS), _value(dice))


def nested(visitor: Visitor, dice: random.Random) -> None:
    value = visitor.profile.setdefault("nested", {"a": [1]})
    if isinstance(value, dict):
        value[f"key {dice.randrange(5)}"] = dice.choice([1, "x", None, [1, {"b": 2}]])


def page(visitor: Visitor, dice: random.Random) -> None:
    visitor.page(title=dice.choice([None, *_TEXTS]), category=dice.choice([None, *_TEXTS]))


def track(visitor: Visitor, dice: random.Random) -> None:
    properties = {f"p{number}": _value(dice) for number in range(dice.choice([0, 1, 2, 40]))}
    category, at = dice.choice([None, *_TEXTS]), _moment(dice)
    assert visitor.track(dice.choice(_TEXTS), category=category, at=at, **properties) == bool(visitor)


def purchase(visitor: Visitor, dice: random.Random) -> None:
    price: Any = dice.choice([1, 1.5, *map(Decimal, ["3.00", "NaN", "1e9", "-1", "0.0000001"])])
    item = Item(dice.choice(_TEXTS), dice.choice(_TEXTS), price=price, quantity=dice.choice([1, 2, 0, 10**9]))
    order = dice.choice([*_TEXTS, f"CMD-{dice.randrange(300)}"])
    lines = [item] * dice.choice([0, 1, 3])
    assert visitor.purchase(order, lines, currency=dice.choice(["EUR", *_TEXTS])) == bool(visitor)


def sell(visitor: Visitor, dice: random.Random) -> None:
    item = Item("rt-42", "Sonnerie", price=Decimal(dice.randrange(1, 9)))
    assert visitor.purchase(f"CMD-{dice.randrange(300)}", [item], currency="EUR") == bool(visitor)


def refund(visitor: Visitor, dice: random.Random) -> None:
    amount = dice.choice([None, Decimal("1.00"), 0, -1, Decimal("Infinity")])
    assert visitor.refund(f"CMD-{dice.randrange(300)}", amount=amount) == bool(visitor)


def consent(visitor: Visitor, dice: random.Random) -> None:
    purpose = dice.choice(["measure", "personalise", "contact"])
    granted = dice.random() < 0.8
    visitor.consent(purpose, granted, source=dice.choice([None, *_TEXTS]))
    assert visitor.allows(purpose) is granted


DEEDS: list[Deed] = [
    look, read, set_field, delete_field, increment, append, discard, nested, page, track, purchase, sell, refund,
    consent,
]  # fmt: skip


def do(visitor: Visitor, dice: random.Random) -> list[str]:
    """Do a few things; give all texts that may come before a developer's eyes: errors, representations."""
    said = [repr(visitor)]
    for deed in dice.choices(DEEDS, k=dice.choice([0, 1, 1, 2, 5])):
        try:
            deed(visitor, dice)
        except (AliasError, KeyError) as error:  # what the documentation announces
            said.append(repr(error))
            said.append(str(error))
    return said
