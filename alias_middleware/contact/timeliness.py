"""What a held message says that is wrong by the time it arrives: "ce soir", "demain", an hour already past."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from alias_middleware.contact.quiet_hours import local_moment
from alias_middleware.local_time import first_instant, to_micros

_RELATIVE_DAY: Final = re.compile(
    r"\b(?:ce (?:matin|midi|soir)|cet(?:te)? (?:après|apres)[- ]midi|cette nuit|aujourd['’ ]?hui|demain)\b",
    re.IGNORECASE,
)
_HOUR: Final = re.compile(
    r"""(?<![\d:,.])                                # neither the minutes of a longer time nor part of a price
        (?P<hour>[01]?\d|2[0-3])
        (?: \s?(?:h|heures?\b)\s? (?P<minute>[0-5]\d)? | :(?P<digital>[0-5]\d) )
        (?![\w:/])""",  # nor the beginning of a longer word, or of 7h/7j
    re.IGNORECASE | re.VERBOSE,
)
_NAMED_HOUR: Final = re.compile(r"\b(?P<name>midi|minuit)\b", re.IGNORECASE)
_AFTER: Final = re.compile(r"(?:ce |apr[eè]s[- ])$", re.IGNORECASE)  # "ce midi", "après-midi" name no hour


class Untimely(NamedTuple):
    """A phrase of a text, and why it is wrong on arrival: it names another day, or an hour that has passed."""

    phrase: str
    why: Literal["another_day", "past_hour"]


def untimely(text: str, *, at: datetime, until: datetime, zone: ZoneInfo) -> tuple[Untimely, ...]:
    """Give the phrases of a message held from ``at`` to ``until`` that will not be true when it arrives.

    Words such as "ce soir" mean another day once the local date has changed. An hour, as "21h", "21h30", "21:30",
    "21 heures" or "minuit", means its next coming after ``at``; it has passed when that comes before ``until``.

    Raises:
        ContactError: a moment is naive.
    """
    written, arrives = local_moment(at, zone), local_moment(until, zone)
    found: list[tuple[int, Untimely]] = []
    if written.date() != arrives.date():
        found += [(each.start(), Untimely(each[0], "another_day")) for each in _RELATIVE_DAY.finditer(text)]
    for place, phrase, hour, minute in _hours(text):
        if _next(written, hour, minute, zone) < to_micros(arrives):
            found.append((place, Untimely(phrase, "past_hour")))
    return tuple(phrase for _, phrase in sorted(found))


def _hours(text: str) -> Iterator[tuple[int, str, int, int]]:
    """Where a text names an hour, how, and which: (place, phrase, hour, minute)."""
    for each in _HOUR.finditer(text):
        yield each.start(), each[0].strip(), int(each["hour"]), int(each["minute"] or each["digital"] or 0)
    for each in _NAMED_HOUR.finditer(text):
        if not _AFTER.search(text[: each.start()]):
            yield each.start(), each[0], 12 if each["name"].lower() == "midi" else 0, 0


def _next(written: datetime, hour: int, minute: int, zone: ZoneInfo) -> int:
    """The first coming of an hour not before the minute of a moment of the zone, in microseconds."""
    wall = written.replace(tzinfo=None, fold=0, hour=hour, minute=minute, second=0, microsecond=0)
    if wall < written.replace(tzinfo=None, fold=0, second=0, microsecond=0):
        wall += timedelta(days=1)
    return first_instant(wall, zone)
