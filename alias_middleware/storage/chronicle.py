"""What a visitor's row keeps: knowledge, and where his events begin and end."""

from __future__ import annotations

import msgspec

from alias_middleware.discreet import Discreet
from alias_middleware.history import Knowledge

_NEVER = 1 << 32
"""A day after all others."""


class Presence(msgspec.Struct, array_like=True, gc=False):
    """Where a visitor's events at one service begin, and where each channel's end.

    The first moment and its day; the last moment by channel. Microseconds.
    """

    first_us: int
    first_day: int
    last_us: dict[str, int]


class Chronicle(Knowledge, array_like=True, gc=False):
    """Knowledge, and where it ends: what a visitor's row keeps. Who wants knowledge only reads its beginning.

    `presence` is by service id. `days`: the first and the last local day on which he has events of any kind.
    """

    presence: dict[int, Presence] = msgspec.field(default_factory=dict)
    days: tuple[int, int] = (_NEVER, 0)

    def span(self, first: int, last: int) -> None:
        """Widen the days on which he has events."""
        if first < self.days[0] or self.days[1] < last:
            self.days = min(first, self.days[0]), max(last, self.days[1])


class VisitorRow(Discreet, msgspec.Struct, gc=False):
    """A visitor's row while a batch is folded in. `habits`: the bytes of `habits.grown`."""

    id: int
    namespace: str
    key: str
    not_before: int
    chronicle: Chronicle
    habits: bytes = b""

    def __repr__(self) -> str:  # reporters of errors show the locals of every frame
        return f"<VisitorRow {self.id}>"

    @property
    def presence(self) -> dict[int, Presence]:
        """Where his events begin and end, by service id."""
        return self.chronicle.presence


decode_chronicle = msgspec.json.Decoder(Chronicle).decode
encode_chronicle = msgspec.json.Encoder().encode
