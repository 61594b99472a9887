"""What a held message says that is no longer true when it arrives."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from alias_middleware.contact import Untimely, untimely
from alias_middleware.errors import ContactError

PARIS = ZoneInfo("Europe/Paris")


def found(text: str, *, at: str, until: str) -> list[str]:
    moments = {
        name: datetime.fromisoformat(moment).replace(tzinfo=PARIS)
        for name, moment in (("at", at), ("until", until))
    }
    return [phrase.phrase for phrase in untimely(text, **moments, zone=PARIS)]


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        pytest.param("Promo ce soir !", ["ce soir"], id="ce soir"),
        pytest.param("CE SOIR seulement", ["CE SOIR"], id="in capitals"),
        pytest.param("Aujourd'hui", ["Aujourd'hui"], id="aujourd'hui"),
        pytest.param("aujourd’hui", ["aujourd’hui"], id="with a curly apostrophe"),
        pytest.param("Demain, soldes", ["Demain"], id="demain"),
        pytest.param("cet après-midi ou cette nuit", ["cet après-midi", "cette nuit"], id="parts of the day"),
        pytest.param("lendemain, un demain-matin", ["demain"], id="only whole words"),
        pytest.param("soir, jour, nuit", [], id="no day in particular"),
        pytest.param("dès 23h", ["23h"], id="an hour of the night"),
        pytest.param("dès 23h30", ["23h30"], id="with minutes"),
        pytest.param("dès 23:30.", ["23:30"], id="with a colon"),
        pytest.param("dès 23 heures", ["23 heures"], id="in words"),
        pytest.param("à minuit", ["minuit"], id="midnight"),
        pytest.param("7h59", ["7h59"], id="a minute before it arrives"),
        pytest.param("8h", [], id="the hour it arrives"),
        pytest.param("jusqu'à 21h", [], id="an hour of the day it arrives"),
        pytest.param("à midi", [], id="noon of the day it arrives"),
        pytest.param("22h30", [], id="the minute it was held: the next is tonight"),
        pytest.param("22h31", ["22h31"], id="this very minute"),
        pytest.param("24h/24, 7j/7, 24h, 48h, 99h", [], id="durations"),
        pytest.param("12,23h 0.23h", [], id="the end of a longer number"),
        pytest.param("3 h 20 et 2hommes", ["3 h 20"], id="a word that begins with h"),
        pytest.param("ce soir 23h, demain 9h", ["ce soir", "23h", "demain"], id="in the order of the text"),
    ],
)
def test_held_for_a_night(text: str, phrases: list[str]) -> None:
    """From Thursday 22:31 until Friday 08:00."""
    assert found(text, at="2026-03-05T22:31", until="2026-03-06T08:00") == phrases


def test_why() -> None:
    """Each phrase comes with what is wrong with it."""
    at, until = (datetime(2026, 3, day, 22 - 14 * (day - 5), tzinfo=PARIS) for day in (5, 6))
    assert untimely("ce soir à 23h", at=at, until=until, zone=PARIS) == (
        Untimely("ce soir", "another_day"),
        Untimely("23h", "past_hour"),
    )


def test_held_over_a_weekend_every_hour_has_passed() -> None:
    """From Saturday night until Tuesday every hour came by meanwhile."""
    assert found("à 9h ou à midi, 14:00", at="2026-04-04T22:30", until="2026-04-07T08:00") == [
        "9h",
        "midi",
        "14:00",
    ]


def test_a_part_of_the_day_is_no_hour() -> None:
    """Noon is in "ce midi" and "après-midi" and is not meant as an hour there."""
    phrases = found("ce midi, l'après-midi, midi", at="2026-04-04T22:30", until="2026-04-07T08:00")
    assert phrases == ["ce midi", "midi"]


def test_held_within_a_day() -> None:
    """From six until eight in the morning the day is still the same; only seven o'clock has passed."""
    assert found("aujourd'hui ce soir 7h 9h", at="2026-03-05T06:00", until="2026-03-05T08:00") == ["7h"]


def test_not_held_at_all() -> None:
    """A message that goes out at once is true."""
    assert found("ce soir 23h", at="2026-03-05T12:00", until="2026-03-05T12:00") == []


def test_the_day_is_the_local_one() -> None:
    """An hour before midnight in Paris is another day than an hour after, whatever UTC says."""
    assert found("ce soir", at="2026-07-01T23:30", until="2026-07-02T00:30") == ["ce soir"]


def test_a_naive_moment_is_refused() -> None:
    """A datetime without a zone names no instant."""
    with pytest.raises(ContactError, match="names no instant"):
        untimely("x", at=datetime(2026, 3, 5), until=datetime(2026, 3, 5), zone=PARIS)  # noqa: DTZ001
