"""What a visitor's row in the history file keeps: knowledge, and where his events begin and end."""

from __future__ import annotations

import msgspec

from alias_middleware.history import Knowledge


class Presence(msgspec.Struct, array_like=True):
    """Where a visitor's events at one service begin, and where each channel's end.

    The first moment, its day and its channel; the last moment by channel. Microseconds.
    """

    first_us: int
    first_day: int
    first_channel: str
    last_us: dict[str, int]


class Chronicle(Knowledge, array_like=True):
    """Knowledge, and where it ends: what a visitor's row keeps. Who wants knowledge only reads its beginning.

    `presence` is by service id.
    """

    presence: dict[int, Presence] = msgspec.field(default_factory=dict)


class VisitorRow(msgspec.Struct):
    """A visitor's row while a batch is folded in."""

    id: int
    namespace: str
    key: str
    not_before: int
    chronicle: Chronicle

    @property
    def presence(self) -> dict[int, Presence]:
        """Where his events begin and end, by service id."""
        return self.chronicle.presence


decode_chronicle = msgspec.json.Decoder(Chronicle).decode
encode_chronicle = msgspec.json.Encoder().encode
