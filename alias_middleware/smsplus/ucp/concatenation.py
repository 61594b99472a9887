"""Long texts, joined from the parts they arrive in. Pure: `now` is a parameter, and nothing is kept for ever."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeAlias

import msgspec

from alias_middleware.smsplus.ucp.content import is_ucs2
from alias_middleware.smsplus.ucp.message import Message

GAP: Final = "[...]"
"""What stands in a text for each run of parts that never came."""

_Key: TypeAlias = tuple[str, str, int, int]


class LongMessage(NamedTuple):
    """A text from the parts that came, the first of which says who sent it, to whom and when.

    `missing` holds the numbers of the parts that did not come: empty for a whole text.
    """

    first: Message
    text: str
    missing: tuple[int, ...]

    def __repr__(self) -> str:
        return f"LongMessage({self.first!r}, {len(self.text)} characters, missing={self.missing})"


class _Waiting(NamedTuple):
    since: datetime
    parts: dict[int, Message]


class Reassembler:
    """Holds the parts of long texts until all have come. Not safe for several threads at once.

    A message with no part number is given back as it is. What is incomplete is given up, and given back with its
    gaps rather than lost: after `lifetime` counted from its first part, when more than `limit` texts wait (the
    oldest), or when a sender uses its reference for another text.
    """

    def __init__(self, *, lifetime: timedelta = timedelta(hours=24), limit: int = 10_000) -> None:
        self._lifetime = lifetime
        self._limit = limit
        self._waiting: dict[_Key, _Waiting] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, message: Message, now: datetime) -> list[LongMessage]:
        """Take a message, and give the texts that are ready: whole by this one, or given up."""
        ready = self.expire(now)
        part = message.part
        if part is None:
            return [*ready, LongMessage(message, message.text, ())]
        key = message.adc, message.oadc, part.reference, part.total
        waiting = self._waiting.setdefault(key, _Waiting(now, {}))
        known = waiting.parts.get(part.number, message)
        if known.msg != message.msg:
            ready.append(self._give_up(key))
            waiting = self._waiting[key] = _Waiting(now, {})
        waiting.parts[part.number] = message
        if len(waiting.parts) == part.total:
            ready.append(self._give_up(key))
        elif len(self._waiting) > self._limit:
            ready.append(self._give_up(next(iter(self._waiting))))
        return ready

    def expire(self, now: datetime) -> list[LongMessage]:
        """Give up what has waited too long."""
        old = []
        for key, waiting in self._waiting.items():
            if now - waiting.since < self._lifetime:
                break
            old.append(key)
        return [self._give_up(key) for key in old]

    def _give_up(self, key: _Key) -> LongMessage:
        _, parts = self._waiting.pop(key)
        total = key[-1]
        missing = tuple(number for number in range(1, total + 1) if number not in parts)
        return LongMessage(parts[min(parts)], _joined(parts, total), missing)


def _joined(parts: dict[int, Message], total: int) -> str:
    """The text of the parts in order; parts that follow each other are joined before they are read.

    For some senders cut between an escape and its character, or inside a surrogate pair.
    """
    texts: list[str] = []
    run: list[Message] = []
    for number in range(1, total + 1):
        part = parts.get(number)
        if run and (part is None or not _alike(run[-1], part)):
            texts.append(_read(run))
            run = []
        if part is not None:
            run.append(part)
        elif texts[-1:] != [GAP]:
            texts.append(GAP)
    if run:
        texts.append(_read(run))
    return "".join(texts)


def _alike(one: Message, other: Message) -> bool:
    return (one.mt, is_ucs2(one.xser)) == (other.mt, is_ucs2(other.xser))


def _read(run: list[Message]) -> str:
    return msgspec.structs.replace(run[0], msg="".join(part.msg for part in run)).text
