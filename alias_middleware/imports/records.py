"""What a file says, one record after another: mostly a line of its own, and of an order all its lines at once.

An order's lines stand together, as shops export them: so memory stays flat. A batch never ends within an order.
Lines of one order that stand apart are records of their own, and contradict each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple, Protocol, cast

import msgspec

from alias_middleware.errors import EventError
from alias_middleware.events import ITEMS_LIMIT, Purchase, check_order
from alias_middleware.imports.lines import Lines
from alias_middleware.imports.ordinals import remembered_from
from alias_middleware.imports.views import UNREADABLE
from alias_middleware.storage.base import Entry, LateChange, Origin


class OrderLine(NamedTuple):
    """One line of an order: whose and which one it is, and its one item.

    `purchase` is None where the line names the order and no more can be read. The order is checked as a whole
    once it is complete.
    """

    alias: str
    order_id: str
    line: bytes
    origin: Origin | None = None
    purchase: Purchase | None = None

    def __repr__(self) -> str:  # reporters of errors show the locals of every frame
        return f"<OrderLine of {len(self.line)} bytes>"

    def continues(self, other: OrderLine) -> bool:
        """Tell whether it is of the same order."""
        return (self.alias, self.order_id) == (other.alias, other.order_id)


Found = Entry | LateChange | str
"""What a record says, or why it says nothing; `UNREADABLE` rejects its lines."""

Record = tuple[Found, Sequence[bytes]]
"""What was found in how many consecutive lines."""


class Reader(Protocol):
    """What makes entries of lines."""

    def read(self, number: int, line: bytes) -> Found | OrderLine:
        """Give what a line says, or why it says nothing; `UNREADABLE` rejects it."""


class Records:
    """The records of an open file from the line `begun` on: iterate once. Together they have each line once.

    A last line without its end that cannot be read may still be written: it is no record, nor is its order.
    """

    def __init__(self, lines: Lines, reader: Reader, begun: int) -> None:
        """Read `lines` with `reader`, those before `begun` only as far as later ones depend on them."""
        self._lines, self._reader, self._begun = lines, reader, begun
        self._order: list[OrderLine] = []
        self._latest: OrderLine | None = None
        self._length = 0
        self.unfinished = 0
        """How many lines at the end are left for the next import."""

    def __iter__(self) -> Iterator[Record]:
        for found, line in self._found():
            if self._lines.unfinished and _unreadable(found):
                self.unfinished = 1 + len(self._order)
                return
            if self._order and not (type(found) is OrderLine and found.continues(self._order[0])):
                yield self._complete()
            if type(found) is not OrderLine:
                self._latest = None
                yield cast(Found, found), (line,)
            else:
                yield from self._add(found)
        if self._order:
            yield self._complete()

    def _found(self) -> Iterator[tuple[Found | OrderLine, bytes]]:
        """Read each line, and pass over those taken over before."""
        begun, read = self._begun, self._reader.read
        again = remembered_from(begun)
        for number, line in enumerate(self._lines):
            if number >= begun:
                yield read(number, line), line
            elif number >= again or not number:  # a table's first line names its columns
                found = read(number, line)
                if type(found) is OrderLine:
                    self._count(found)

    def _add(self, found: OrderLine) -> Iterator[Record]:
        """Let a line wait for the rest of its order; the lines of one that is too long are rejected."""
        self._count(found)
        self._order.append(found)
        if self._length > ITEMS_LIMIT:
            lines = [each.line for each in self._order]
            self._order = []
            yield UNREADABLE, lines

    def _count(self, found: OrderLine) -> None:
        latest = self._latest
        self._length = self._length + 1 if latest is not None and found.continues(latest) else 1
        self._latest = found

    def _complete(self) -> Record:
        order, self._order = self._order, []
        return joined(order), [each.line for each in order]


def joined(order: Sequence[OrderLine]) -> Found:
    """Make one purchase of an order's lines, with an item of each and the time of the first.

    They are unreadable, all of them, where one is, where they disagree on the currency, or where the whole is no
    order that could be recorded: a part of it must not stand for it.
    """
    purchases = [each.purchase for each in order if each.purchase is not None]
    first, origin = order[0].purchase, order[0].origin
    if first is None or origin is None or len(purchases) < len(order):
        return UNREADABLE
    if len({purchase.currency for purchase in purchases}) > 1:
        return UNREADABLE
    try:
        items = check_order(first.order_id, [item for each in purchases for item in each.items], first.currency)
    except EventError:
        return UNREADABLE
    text = b"\0".join((origin.service.encode(), *(each.line for each in order)))
    number = int.from_bytes(blake2b(text, digest_size=8).digest()) >> 1
    return Entry(origin, msgspec.structs.replace(first, items=items), number)


def _unreadable(found: Found | OrderLine) -> bool:
    return found == UNREADABLE or (type(found) is OrderLine and found.purchase is None)
