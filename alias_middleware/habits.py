"""What a visitor's events add up to for personalisation: sums per category, and the pages he goes to.

The sums are plain additions under a fixed epoch, so they do not depend on the order of arrival. What they mean
is `interests`' business. A storage keeps the bytes that `grown` gives and looks no further.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from alias_middleware.events import Event, PageView, Purchase, TrackedEvent

EPOCH_S = 1_767_225_600
"""The moment at which an event weighs its plain weight: 2026-01-01 00:00 UTC. Never to be changed."""

HALF_LIFE_S = 30 * 24 * 3600

VIEW, CART, PURCHASE = 1, 3, 5
"""What a page view, a tracked event named "cart" and an order that was not cancelled weigh in their category."""

CART_NAME = "cart"

PAGES_KEPT = 12
"""The different pages remembered of a visitor. Beyond, the one with the least sum is forgotten.

With the notes that wait they make the most of a visitor's row, which every batch writes anew.
"""

CATEGORIES_KEPT = 1000
"""The different categories remembered of a visitor. Beyond, the one with the least recent sum is forgotten.

More than any site has, for what is forgotten depends on what came first. It keeps an app that makes a category of
every address from filling the rows.
"""

_PATH_LIMIT = 128
_NOTES_BYTES = 500
LARGEST_EXPONENT = 1000.0
_NOTHING = b",null]"
"""The end of a line without category, or without title: left out, so that a row takes more of them."""
_ROUNDING = 1e-6


class Strength(msgspec.Struct, array_like=True, gc=False):
    """What a visitor did in one category.

    `recent`: the sum of weight * 2^((t - EPOCH_S) / HALF_LIFE_S), t in whole seconds. `purchases`: orders with
    an item of the category that were not cancelled. `since_s`: the first page view or cart, seconds since 1970.
    """

    recent: float = 0.0
    pages: int = 0
    carts: int = 0
    purchases: int = 0
    since_s: int | None = None

    @property
    def whole(self) -> int:
        """The sum of weights without decay: the whole history."""
        return VIEW * self.pages + CART * self.carts + PURCHASE * self.purchases


class Reach(msgspec.Struct, array_like=True, gc=False):
    """How much a visitor goes to one page: a sum as `Strength.recent`, and the latest title it was shown with."""

    recent: float = 0.0
    titled_s: int = -1
    title: str | None = None


class Habits(msgspec.Struct, array_like=True):
    """All sums of a visitor, by category and by path.

    Exact, and the same in any order, while he is known in at most `CATEGORIES_KEPT` categories and on at most
    `PAGES_KEPT` paths. What was forgotten and comes again counts from then on. Paths of more than 128
    characters are left out: they are no habit.
    """

    categories: dict[str, Strength] = {}
    pages: dict[str, Reach] = {}


class Note(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One event as `Habits` counts it; a negative weight takes back what counted before."""

    moment_s: int
    path: str | None
    title: str | None = None
    category: str | None = None
    weight: int = VIEW


def decayed(weight: float, moment_s: int) -> float:
    """Give a weight as it enters the sums; far from the epoch it stays finite."""
    return weight * math.exp2(min((moment_s - EPOCH_S) / HALF_LIFE_S, LARGEST_EXPONENT))


def as_of(total: float, now_us: int) -> float:
    """Give a sum in plain weights of the moment `now_us` (microseconds)."""
    return total * math.exp2(max(-(now_us // 1_000_000 - EPOCH_S) / HALF_LIFE_S, -LARGEST_EXPONENT))


def notes_of(event: Event, sign: int = 1) -> list[Note]:
    """Give what an event says of a visitor's habits; with the sign -1, what takes it back.

    An order counts once in each category of its items. A tracked event counts when the app names it "cart"
    and gives it a category: `visitor.track("cart", category="music")`.
    """
    moment_s = event.time_us // 1_000_000
    if isinstance(event, PageView):
        return [Note(moment_s, event.path, event.title, event.category, sign * VIEW)]
    if isinstance(event, TrackedEvent) and event.name == CART_NAME and event.category is not None:
        return [Note(moment_s, None, None, event.category, sign * CART)]
    if isinstance(event, Purchase):
        bought = sorted({item.category for item in event.items if item.category is not None})
        return [Note(moment_s, None, None, category, sign * PURCHASE) for category in bought]
    return []


def count(habits: Habits, notes: Iterable[Note]) -> None:
    """Add notes to a visitor's habits."""
    categories, pages, exp2 = habits.categories, habits.pages, math.exp2
    for note in notes:
        moment_s, path, category, weight = note.moment_s, note.path, note.category, note.weight
        weighed = weight * exp2(min((moment_s - EPOCH_S) / HALF_LIFE_S, LARGEST_EXPONENT))  # as `decayed`
        if category is not None:
            strength = categories.get(category)
            if strength is None:
                strength = categories[category] = Strength()
            strength.recent += weighed
            if weight == VIEW:
                strength.pages += 1
                if strength.since_s is None or moment_s < strength.since_s:
                    strength.since_s = moment_s
            else:
                _count_other(strength, weight, moment_s)
                if not (strength.pages or strength.whole):
                    del categories[category]  # what is left of the decayed sum is rounding
        if path is not None and len(path) <= _PATH_LIMIT:
            reach = pages.get(path)
            if reach is None:
                reach = pages[path] = Reach()
            reach.recent += weighed
            if note.title is not None:
                _entitle(reach, moment_s, note.title)


def _count_other(strength: Strength, weight: int, moment_s: int) -> None:
    """Count a cart, an order or an order that counts no more."""
    if weight == CART:
        strength.carts += 1
        if strength.since_s is None or moment_s < strength.since_s:
            strength.since_s = moment_s
    else:
        strength.purchases += 1 if weight > 0 else -1


def lessen(habits: Habits, views: Iterable[PageView]) -> None:
    """Take page views out of a visitor's habits, whose other events are no longer known.

    What is left is as if they had not been, save that titles, and since when he is known in a category, stay.
    """
    for view in views:
        weighed = decayed(VIEW, view.time_us // 1_000_000)
        strength = habits.categories.get(view.category or "")
        if strength is not None and strength.pages:
            strength.pages -= 1
            strength.recent -= weighed
            if not (strength.pages or strength.whole):
                del habits.categories[view.category or ""]
        reach = habits.pages.get(view.path)
        if reach is not None:
            reach.recent -= weighed
            if reach.recent <= weighed * _ROUNDING:
                del habits.pages[view.path]


def _entitle(reach: Reach, moment_s: int, title: str) -> None:
    """Keep the latest title; of several at one moment the greatest, so that their order does not matter."""
    if (moment_s, title) > (reach.titled_s, reach.title or ""):
        reach.titled_s, reach.title = moment_s, title


def habits_of(events: Iterable[Event]) -> Habits:
    """Derive habits from a whole history, without cancelled orders and of each order the copy that counts."""
    habits = Habits({}, {})
    for event in events:
        count(habits, notes_of(event))
    return habits


_encode = msgspec.json.Encoder().encode
_decode_head = msgspec.json.Decoder(Habits).decode
_decode_notes = msgspec.json.Decoder(list[Note]).decode


def encode_habits(habits: Habits) -> bytes:
    """Give what a storage keeps: one line of JSON, after which `grown` puts one line for each note."""
    return _encode(habits) if habits.categories or habits.pages else b""


def decode_habits(kept: bytes) -> Habits:
    """Read what a storage kept.

    Raises:
        msgspec.DecodeError: it is no such thing.
    """
    head, _, notes = kept.partition(b"\n")
    try:
        habits = _decode_head(head) if head else Habits({}, {})
        if notes:
            count(habits, _decode_notes(b"[%b]" % notes.replace(b"\n", b",")))
    except (UnicodeDecodeError, OverflowError) as error:  # a text that is no UTF-8, a moment that is none
        raise msgspec.DecodeError(str(error)) from error
    return habits


def line_of_view(time_us: int, body: bytes) -> bytes:
    """Give the line for a page view whose `events.body_of` is there already; it costs next to nothing."""
    return beginning_of_line(time_us // 1_000_000) + rest_of_line(body)


def beginning_of_line(moment_s: int) -> bytes:
    """Give what the line for a page view begins with: the same for every view of one second."""
    return b"\n[%d," % moment_s


def rest_of_line(body: bytes) -> bytes:
    """Give what follows the moment in the line for a page view: the same for every view of the page."""
    rest = body[1:]
    while rest.endswith(_NOTHING):
        rest = rest.removesuffix(_NOTHING) + b"]"
    return rest


def lines_of(notes: Sequence[Note]) -> bytes:
    """Give the lines for any notes."""
    return b"".join([b"\n" + _encode(note) for note in notes])


def grown(kept: bytes, lines: bytes) -> bytes:
    """Add lines to what a storage keeps of a visitor; now and then they are counted into the first one."""
    kept += lines
    if len(kept) - kept.find(b"\n") <= _NOTES_BYTES:
        return kept
    try:
        habits = decode_habits(kept)
    except msgspec.DecodeError:  # a damaged row: habits begin anew, and nobody's events wait for them
        habits = decode_habits(lines)
    return encode_habits(bounded(habits))


def bounded(habits: Habits) -> Habits:
    """Forget the least categories and pages where there are too many. Equal sums go by name."""
    if len(habits.categories) > CATEGORIES_KEPT:
        ranked = sorted([(-strength.recent, name) for name, strength in habits.categories.items()])
        habits.categories = {name: habits.categories[name] for _, name in ranked[:CATEGORIES_KEPT]}
    if len(habits.pages) > PAGES_KEPT:
        ranked = sorted([(-reach.recent, path) for path, reach in habits.pages.items()])
        habits.pages = {path: habits.pages[path] for _, path in ranked[:PAGES_KEPT]}
    return habits
