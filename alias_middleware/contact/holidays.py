"""Public holidays of France by territory: the legal list, computed for any year, and nothing customary.

The list is that of the Code du travail, article L3133-1, with those of Alsace-Moselle (L3134-13) and the
overseas departments (L3422-2), as it stands since 1984: the commemorations of the abolition of slavery came
with the decree of 23 November 1983, 8 May in 1981.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from alias_middleware.errors import SettingsError

FIRST_YEAR: Final = 1984
LAST_YEAR: Final = 9998  # one less than `date` holds, so that the day after any day exists


class Territory(NamedTuple):
    """The part of France a service speaks to: its default time zone and the holidays it has besides.

    ``days`` are (month, day) and ``after_easter`` days after Easter Sunday, each with the holiday's name.
    """

    zone: str
    days: tuple[tuple[int, int, str], ...] = ()
    after_easter: tuple[tuple[int, str], ...] = ()


_NATIONAL: Final = Territory(
    zone="Europe/Paris",
    days=(
        (1, 1, "New Year's Day"),
        (5, 1, "Labour Day"),
        (5, 8, "Victory Day"),
        (7, 14, "Bastille Day"),
        (8, 15, "Assumption"),
        (11, 1, "All Saints' Day"),
        (11, 11, "Armistice Day"),
        (12, 25, "Christmas Day"),
    ),
    after_easter=((1, "Easter Monday"), (39, "Ascension"), (50, "Whit Monday")),
)
_ABOLITION: Final = "Abolition of Slavery"

TERRITORIES: Final[Mapping[str, Territory]] = MappingProxyType(
    {
        "metropole": Territory("Europe/Paris"),
        "alsace-moselle": Territory(
            "Europe/Paris", days=((12, 26, "Saint Stephen's Day"),), after_easter=((-2, "Good Friday"),)
        ),
        "guadeloupe": Territory("America/Guadeloupe", days=((5, 27, _ABOLITION),)),
        "martinique": Territory("America/Martinique", days=((5, 22, _ABOLITION),)),
        "guyane": Territory("America/Cayenne", days=((6, 10, _ABOLITION),)),
        "la-reunion": Territory("Indian/Reunion", days=((12, 20, _ABOLITION),)),
        "mayotte": Territory("Indian/Mayotte", days=((4, 27, _ABOLITION),)),
    }
)
"""The territories by the name that settings use."""


def public_holidays(year: int, territory: str) -> dict[date, str]:
    """Give the public holidays of a year, in order, with their names; two on one day share an entry.

    Raises:
        SettingsError: the territory is unknown.
        ValueError: the year is before 1984, when the list was another, or past 9998.
    """
    return dict(holidays_of(year, territory))


@lru_cache(maxsize=256)  # asked for with every message, about a few years and territories
def holidays_of(year: int, territory: str) -> Mapping[date, str]:
    """Give `public_holidays` as a view that is shared, and so cannot be changed."""
    own = territory_named(territory)
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(f"public holidays are known from {FIRST_YEAR} to {LAST_YEAR}, not for {year}")
    sunday = easter(year)
    dated = [(date(year, month, day), name) for month, day, name in (*_NATIONAL.days, *own.days)]
    moving = [(sunday + timedelta(days), name) for days, name in (*_NATIONAL.after_easter, *own.after_easter)]
    found: dict[date, str] = {}
    for day, name in sorted(dated + moving):
        found[day] = f"{found[day]}, {name}" if day in found else name
    return MappingProxyType(found)


def territory_named(name: str) -> Territory:
    """Give a territory by its name.

    Raises:
        SettingsError: there is none of this name; the message lists those there are.
    """
    if name not in TERRITORIES:
        raise SettingsError(f"one of {', '.join(TERRITORIES)}; found: {name!r}", setting="territory")
    return TERRITORIES[name]


def easter(year: int) -> date:
    """Give Easter Sunday of a year of the Gregorian calendar, by Butcher's rule (1876; Meeus, chapter 8)."""
    century, rest = divmod(year, 100)
    golden = year % 19
    lunar = (century + 8) // 25
    solar = (century - lunar + 1) // 3
    epact = (19 * golden + century - century // 4 - solar + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)
