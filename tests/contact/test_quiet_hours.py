"""Quiet hours: known examples, a sweep against a slow oracle that shares nothing with the code, properties."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jours_feries_france import JoursFeries

from alias_middleware.contact import Policy, next_allowed, policy
from alias_middleware.errors import ContactError, SettingsError
from tests.contact.test_holidays import THEIR_NAMES

PARIS = ZoneInfo("Europe/Paris")
OPERATOR = policy("fr-operator")
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
EVERY_MINUTE = os.environ.get("ALIAS_FULL_SWEEP") == "1"
"""Ten years minute by minute take a minute or two: the suite looks at the minutes where something happens."""

Offset = Callable[[datetime], timedelta]


def paris(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS)


@pytest.mark.parametrize(
    ("asked", "answer", "territory"),
    [
        pytest.param("2026-04-04T22:30", "2026-04-07T08:00+02:00", "metropole", id="Easter Monday"),
        pytest.param("2026-10-24T23:00", "2026-10-26T08:00+01:00", "metropole", id="clocks go back on Sunday"),
        pytest.param("2026-03-28T22:00", "2026-03-30T08:00+02:00", "metropole", id="clocks go forward on Sunday"),
        pytest.param("2026-12-24T22:00", "2026-12-26T08:00+01:00", "metropole", id="Christmas"),
        pytest.param("2026-12-24T22:00", "2026-12-28T08:00+01:00", "alsace-moselle", id="Christmas in Alsace"),
        pytest.param("2026-12-31T22:00", "2027-01-02T08:00+01:00", "metropole", id="the turn of the year"),
        pytest.param("2028-02-28T23:00", "2028-02-29T08:00+01:00", "metropole", id="29 February"),
        pytest.param("2026-03-03T07:59:59.999999", "2026-03-03T08:00+01:00", "metropole", id="a moment early"),
        pytest.param("2026-03-03T08:00", "2026-03-03T08:00+01:00", "metropole", id="the opening is included"),
        pytest.param(
            "2026-03-03T21:59:59.999999", "2026-03-03T21:59:59.999999+01:00", "metropole", id="the last moment"
        ),
        pytest.param("2026-03-03T22:00", "2026-03-04T08:00+01:00", "metropole", id="the end is excluded"),
    ],
)
def test_known_moments(asked: str, answer: str, territory: str) -> None:
    """The operators' hours at the moments that matter."""
    answered = next_allowed(paris(asked), policy("fr-operator", territory=territory))
    assert answered == datetime.fromisoformat(answer)
    assert answered.utcoffset() == datetime.fromisoformat(answer).utcoffset()


def test_the_strict_policy_ends_at_eight() -> None:
    """`fr-strict` is `fr-operator` but for the evening."""
    strict = policy("fr-strict")
    assert next_allowed(paris("2026-03-03T19:59"), strict) == paris("2026-03-03T19:59")
    assert next_allowed(paris("2026-03-03T20:00"), strict) == paris("2026-03-04T08:00")


def test_a_territory_brings_its_clock() -> None:
    """Eight in the morning is eight where the service's territory is, unless a zone is named."""
    noon = datetime(2026, 3, 3, 12, tzinfo=UTC)
    assert next_allowed(noon, policy("fr-operator", territory="la-reunion")) == noon  # 16:00 there
    assert next_allowed(noon, policy("fr-operator", territory="guadeloupe")) == noon  # 08:00 there
    assert next_allowed(noon - MINUTE, policy("fr-operator", territory="guadeloupe")) == noon
    in_paris = policy("fr-operator", territory="guadeloupe", zone="Europe/Paris")
    assert next_allowed(noon - 5 * HOUR, in_paris) == noon - 5 * HOUR


# -- the sweep -------------------------------------------------------------------------------------------------


def eu_offset(moment: datetime) -> timedelta:
    """The offset of Paris by the rule of directive 2000/84/EC: summer from the last Sunday of March, 01:00 UTC."""

    def last_sunday(month: int) -> datetime:
        last = datetime(moment.year, month, 31, 1, tzinfo=UTC)
        return last - last.isoweekday() % 7 * DAY

    return 2 * HOUR if last_sunday(3) <= moment < last_sunday(10) else HOUR


def fixed(hours: int) -> Offset:
    return lambda _: hours * HOUR


def slow_hours(years: range, offset: Offset, zone_name: str, end: int) -> tuple[datetime, list[bool]]:
    """Whether each UTC hour is allowed: offsets and the policy's edges are whole hours."""
    base = datetime(years[0], 1, 1, tzinfo=UTC)
    off_days = {day for year in range(years[0] - 1, years[-1] + 2) for day in their_days(year, zone_name)}
    allowed = []
    for hour in range(int((datetime(years[-1] + 1, 1, 15, tzinfo=UTC) - base) / HOUR)):
        moment = base + hour * HOUR
        local = (moment + offset(moment)).replace(tzinfo=None)
        allowed.append(8 <= local.hour < end and local.weekday() != 6 and local.date() not in off_days)
    return base, allowed


def their_days(year: int, zone_name: str) -> Iterator[date]:
    yield from JoursFeries.for_year(year, zone_name).values()


def next_hours(allowed: Sequence[bool]) -> list[int]:
    """For each hour the first allowed one not before it."""
    answers, following = [0] * len(allowed), len(allowed)
    for hour in reversed(range(len(allowed))):
        if allowed[hour]:
            following = hour
        answers[hour] = following
    return answers


def minutes_to_ask(answers: Sequence[int], hour: int) -> range | tuple[int, ...]:
    """Every minute of an hour with a change in it or beside it, else its edges."""
    changing = any(answers[near] != answers[hour] for near in (hour - 1, hour + 1)) and answers[hour] != hour
    return range(60) if EVERY_MINUTE or changing else (0, 59)


@pytest.mark.parametrize(
    ("preset", "territory", "offset", "years"),
    [
        pytest.param("fr-operator", "metropole", eu_offset, range(2026, 2036), id="ten years of metropole"),
        pytest.param("fr-strict", "metropole", eu_offset, range(2026, 2027), id="strict"),
        pytest.param("fr-operator", "alsace-moselle", eu_offset, range(2026, 2027), id="Alsace-Moselle"),
        pytest.param("fr-operator", "guadeloupe", fixed(-4), range(2027, 2028), id="Guadeloupe"),
        pytest.param("fr-operator", "martinique", fixed(-4), range(2028, 2029), id="Martinique"),
        pytest.param("fr-operator", "guyane", fixed(-3), range(2029, 2030), id="Guyane"),
        pytest.param("fr-operator", "la-reunion", fixed(4), range(2030, 2031), id="La Réunion"),
        pytest.param("fr-operator", "mayotte", fixed(3), range(2031, 2032), id="Mayotte"),
    ],
)
def test_the_sweep(preset: str, territory: str, offset: Offset, years: range) -> None:
    """Minute by minute the answer is the oracle's, which knows neither zoneinfo nor the package's holidays."""
    judged = policy(preset, territory=territory)
    base, allowed = slow_hours(years, offset, THEIR_NAMES[territory], 22 if preset == "fr-operator" else 20)
    answers = next_hours(allowed)
    asked = 0
    for hour in range(1, int((datetime(years[-1] + 1, 1, 1, tzinfo=UTC) - base) / HOUR)):
        start, opens = base + hour * HOUR, base + answers[hour] * HOUR
        for minute in minutes_to_ask(answers, hour):
            at = start + minute * MINUTE
            assert next_allowed(at, judged) == (at if allowed[hour] else opens), at
            asked += 1
    assert asked >= len(years) * 365 * 24 * 2


# -- properties ------------------------------------------------------------------------------------------------

CHANGES = [
    pytest.param("Europe/Paris", "2026-03-29T01:00", id="clocks go forward"),
    pytest.param("Europe/Paris", "2026-10-25T01:00", id="clocks go back"),
    pytest.param("America/Sao_Paulo", "2018-11-04T03:00", id="midnight does not exist"),
    pytest.param("America/Sao_Paulo", "2018-02-18T02:00", id="the hour before midnight comes twice"),
    pytest.param("America/Havana", "2026-11-01T05:00", id="the hour after midnight comes twice"),
    pytest.param("America/Goose_Bay", "2010-11-07T03:01", id="back over midnight, into the day before"),
    pytest.param("Australia/Lord_Howe", "2026-10-03T15:30", id="half an hour forward"),
    pytest.param("Pacific/Apia", "2011-12-30T10:00", id="a day is left out"),
]
HOURS = [
    pytest.param(time(8), time(22), id="by day"),
    pytest.param(time(0), time(0), id="all day"),
    pytest.param(time(0, 30), time(23, 30), id="nearly all day"),
    pytest.param(time(2, 15), time(2, 45), id="within the change"),
    pytest.param(time(23, 15), time(0), id="before midnight"),
    pytest.param(time(0), time(0, 20), id="after midnight"),
]


def is_allowed(at: datetime, judged: Policy) -> bool:
    """The definition, written out again: the wall clock within the hours on a day that is not off."""
    local = at.astimezone(judged.zone)
    minutes = 60 * local.hour + local.minute
    begun = minutes >= 60 * judged.start.hour + judged.start.minute
    over = judged.end != time(0) and minutes >= 60 * judged.end.hour + judged.end.minute
    if not begun or over or local.isoweekday() not in judged.weekdays:
        return False
    return not JoursFeries.is_bank_holiday(local.date(), THEIR_NAMES[judged.territory])


def first_minute(at: datetime, judged: Policy) -> datetime:
    while not is_allowed(at, judged):
        at += MINUTE
    return at


@pytest.mark.parametrize(("zone", "change"), CHANGES)
@pytest.mark.parametrize(("start", "end"), HOURS)
@pytest.mark.parametrize("weekdays", [frozenset(range(1, 8)), frozenset({1, 3, 5}), frozenset({6})], ids=str)
def test_around_a_change_of_clocks(
    zone: str, change: str, start: time, end: time, weekdays: frozenset[int]
) -> None:
    """Whatever the hours and the jump, the answer is the first allowed minute, found by looking at each."""
    judged = msgspec.structs.replace(
        OPERATOR, zone=ZoneInfo(zone), start=start, end=end, weekdays=weekdays, territory="metropole"
    )
    middle = datetime.fromisoformat(change).replace(tzinfo=UTC)
    expected: datetime | None = None
    for minutes in range(200, -200, -10):
        at = middle + minutes * MINUTE
        if expected is None or any(is_allowed(at + step * MINUTE, judged) for step in range(10)):
            expected = first_minute(at, judged)
        answer = next_allowed(at, judged)
        assert answer.astimezone(UTC) == expected, at


@given(
    at=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    preset=st.sampled_from(["fr-operator", "fr-strict"]),
    territory=st.sampled_from(sorted(THEIR_NAMES)),
)
def test_the_answer_is_the_first_allowed_moment(at: datetime, preset: str, territory: str) -> None:
    """The answer is allowed, asking again changes nothing, and no minute before it is allowed."""
    judged = policy(preset, territory=territory)
    answer = next_allowed(at, judged)
    assert answer >= at
    assert is_allowed(answer, judged)
    assert next_allowed(answer, judged) == answer
    step = at
    while step < answer:
        assert not is_allowed(step, judged)
        step += MINUTE
    assert answer == at or not is_allowed(answer - timedelta(microseconds=1), judged)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2036, 1, 1), timezones=st.just(PARIS)))  # noqa: DTZ001
def test_the_zone_of_the_question_does_not_matter(at: datetime) -> None:
    """An instant has one answer, on whatever clock it is asked."""
    elsewhere = at.astimezone(ZoneInfo("Asia/Tokyo"))
    assert next_allowed(elsewhere, OPERATOR).astimezone(UTC) == next_allowed(at, OPERATOR).astimezone(UTC)


def test_an_allowed_moment_is_given_back() -> None:
    """Its own time zone and all; a held one is told on the policy's clock."""
    at = datetime(2026, 3, 3, 12, tzinfo=UTC)
    assert next_allowed(at, OPERATOR) is at
    assert next_allowed(at + 12 * HOUR, OPERATOR).tzinfo is PARIS


# -- what is refused -------------------------------------------------------------------------------------------


def test_a_naive_moment_is_refused() -> None:
    """A datetime without a zone names no instant."""
    with pytest.raises(ContactError, match="names no instant") as refused:
        next_allowed(datetime(2026, 3, 3, 12), OPERATOR)  # noqa: DTZ001 - that is the point
    assert refused.value.field == "at"


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(datetime.max.replace(tzinfo=UTC), id="past the last year of the local clock"),
        pytest.param(datetime(9998, 12, 31, 22, tzinfo=PARIS), id="held into a year without a calendar"),
        pytest.param(datetime(1983, 6, 1, 12, tzinfo=PARIS), id="before the list of holidays was law"),
    ],
)
def test_a_moment_beyond_the_calendar_is_refused(at: datetime) -> None:
    """No loop runs away and nothing overflows: it is a ValueError that says which years there are."""
    with pytest.raises(ValueError, match=r"the years|from 1984 to 9998"):
        next_allowed(at, OPERATOR)


@pytest.mark.parametrize(
    ("arguments", "setting"),
    [
        pytest.param({"name": "fr"}, "policy", id="policy"),
        pytest.param({"name": "fr-operator", "territory": "corse"}, "territory", id="territory"),
        pytest.param({"name": "fr-operator", "zone": "Mars/Olympus"}, "zone", id="zone"),
        pytest.param({"name": "fr-operator", "zone": "../../etc/passwd"}, "zone", id="a path"),
        pytest.param({"name": "fr-operator", "zone": ""}, "zone", id="an empty zone"),
    ],
)
def test_unknown_names_are_refused(arguments: dict[str, str], setting: str) -> None:
    """A misspelt policy must not become another one; the error names the setting."""
    with pytest.raises(SettingsError) as refused:
        policy(**arguments)
    assert refused.value.setting == setting


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"start": time(22), "end": time(8)}, id="the end before the start"),
        pytest.param({"start": time(8, tzinfo=UTC)}, id="hours of another clock"),
        pytest.param({"weekdays": frozenset()}, id="no day at all"),
        pytest.param({"weekdays": frozenset({0})}, id="no such weekday"),
        pytest.param({"reply_within": timedelta(0)}, id="no time to reply"),
        pytest.param({"territory": "corse"}, id="an unknown territory"),
    ],
)
def test_a_policy_under_which_nothing_could_be_sent_is_refused(change: dict[str, object]) -> None:
    """A policy is checked when it is made, also from another one."""
    with pytest.raises(SettingsError):
        msgspec.structs.replace(OPERATOR, **change)
