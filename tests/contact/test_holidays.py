"""Public holidays, against the calendar of law as two other packages have it."""

from __future__ import annotations

from datetime import date

import holidays
import pytest
from jours_feries_france import JoursFeries

from alias_middleware.contact import TERRITORIES, public_holidays
from alias_middleware.contact.holidays import easter
from alias_middleware.errors import SettingsError

YEARS = range(1990, 2051)
THEIR_NAMES = {
    "metropole": "Métropole",
    "alsace-moselle": "Alsace-Moselle",
    "guadeloupe": "Guadeloupe",
    "martinique": "Martinique",
    "guyane": "Guyane",
    "la-reunion": "La Réunion",
    "mayotte": "Mayotte",
}


def test_every_territory_is_compared() -> None:
    """A territory joins the comparison when it joins the list."""
    assert THEIR_NAMES.keys() == TERRITORIES.keys()


@pytest.mark.parametrize("territory", THEIR_NAMES)
def test_they_are_those_of_jours_feries_france(territory: str) -> None:
    """From 1990 to 2050, in every territory, the days are those of an independent package."""
    for year in YEARS:
        theirs = set(JoursFeries.for_year(year, THEIR_NAMES[territory]).values())
        assert public_holidays(year, territory).keys() == theirs


@pytest.mark.parametrize(
    ("territory", "subdivision"),
    [pytest.param("metropole", None, id="metropole"), pytest.param("alsace-moselle", "57", id="Moselle")],
)
def test_they_are_those_of_holidays(territory: str, subdivision: str | None) -> None:
    """A second package agrees where its list is the legal one: overseas it adds customary days.

    It leaves out the Whit Mondays of 2005 to 2007, worked as days of solidarity, yet still in the legal list.
    """
    theirs = holidays.country_holidays("FR", subdiv=subdivision, years=YEARS)
    ours = {day for year in YEARS for day in public_holidays(year, territory)}
    assert ours == set(theirs) | {date(2005, 5, 16), date(2006, 6, 5), date(2007, 5, 28)}


def test_a_year_with_its_names() -> None:
    """Days come in order, each with its name."""
    assert list(public_holidays(2026, "alsace-moselle").items()) == [
        (date(2026, 1, 1), "New Year's Day"),
        (date(2026, 4, 3), "Good Friday"),
        (date(2026, 4, 6), "Easter Monday"),
        (date(2026, 5, 1), "Labour Day"),
        (date(2026, 5, 8), "Victory Day"),
        (date(2026, 5, 14), "Ascension"),
        (date(2026, 5, 25), "Whit Monday"),
        (date(2026, 7, 14), "Bastille Day"),
        (date(2026, 8, 15), "Assumption"),
        (date(2026, 11, 1), "All Saints' Day"),
        (date(2026, 11, 11), "Armistice Day"),
        (date(2026, 12, 25), "Christmas Day"),
        (date(2026, 12, 26), "Saint Stephen's Day"),
    ]


def test_two_holidays_on_one_day_share_it() -> None:
    """In 2008 Ascension fell on 1 May; both names are told."""
    assert public_holidays(2008, "metropole")[date(2008, 5, 1)] == "Ascension, Labour Day"


@pytest.mark.parametrize(
    ("year", "sunday"),
    [
        pytest.param(1818, date(1818, 3, 22), id="the earliest there is"),
        pytest.param(1943, date(1943, 4, 25), id="the latest there is"),
        pytest.param(1981, date(1981, 4, 19), id="where Gauss's rule needs an exception"),
        pytest.param(2000, date(2000, 4, 23), id="a leap century"),
        pytest.param(2285, date(2285, 3, 22), id="far ahead"),
    ],
)
def test_easter(year: int, sunday: date) -> None:
    """Known Easters, the extremes among them."""
    assert easter(year) == sunday


def test_what_is_given_may_be_changed() -> None:
    """Each caller gets a dict of his own: what he does with it changes nobody else's."""
    public_holidays(2026, "metropole").clear()
    assert len(public_holidays(2026, "metropole")) == 11


def test_an_unknown_territory_is_refused() -> None:
    """A guess would send on a holiday; the message says what there is."""
    with pytest.raises(SettingsError, match="metropole, alsace-moselle") as refused:
        public_holidays(2026, "corse")
    assert refused.value.setting == "territory"


@pytest.mark.parametrize("year", [1983, 9999])
def test_years_without_a_known_list_are_refused(year: int) -> None:
    """Before 1984 the list was another one."""
    with pytest.raises(ValueError, match="from 1984 to 9998"):
        public_holidays(year, "metropole")
