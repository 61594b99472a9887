"""Instants and local days, against zoneinfo itself."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware.local_time import LocalDays, clock_change, first_instant, from_micros, to_micros

PARIS = ZoneInfo("Europe/Paris")
ZONES = [
    PARIS,
    ZoneInfo("America/Sao_Paulo"),
    ZoneInfo("Asia/Beirut"),
    ZoneInfo("Pacific/Apia"),
    ZoneInfo("America/Havana"),
    ZoneInfo("Indian/Mayotte"),
    ZoneInfo("Australia/Lord_Howe"),
    UTC,
]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR_US = 3600 * 1_000_000
moments = st.integers(0, 130 * 366 * 24).map(lambda hours: _EPOCH + timedelta(hours=hours)) | st.integers(
    0, 2**52
).map(lambda micros: _EPOCH + timedelta(microseconds=micros))


@given(moments)
def test_micros_come_back(moment: datetime) -> None:
    """An instant is exact to the microsecond, before and after the conversion."""
    assert from_micros(to_micros(moment)) == moment
    assert to_micros(moment.astimezone(PARIS)) == to_micros(moment)


def test_a_naive_datetime_names_no_instant() -> None:
    """Guessing a zone would be wrong twice a year."""
    with pytest.raises(ValueError, match="names no instant"):
        to_micros(datetime(2026, 3, 2))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        pytest.param("Europe/Paris", date(2026, 3, 29), 23, id="clocks go forward"),
        pytest.param("Europe/Paris", date(2026, 10, 25), 25, id="clocks go back"),
        pytest.param("Europe/Paris", date(2026, 3, 30), 24, id="the day after"),
        pytest.param("Australia/Lord_Howe", date(2026, 10, 4), 23.5, id="half an hour forward"),
        pytest.param("America/Sao_Paulo", date(2018, 11, 4), 23, id="midnight does not exist"),
        pytest.param("Asia/Beirut", date(2022, 3, 27), 23, id="midnight does not exist, Beirut"),
        pytest.param("America/Sao_Paulo", date(2018, 2, 17), 25, id="the last hour comes twice"),
        pytest.param("Pacific/Apia", date(2011, 12, 29), 24, id="before a day that does not exist"),
    ],
)
def test_the_length_of_a_day(zone: str, day: date, hours: float) -> None:
    """Every instant from the first to the last of a local day belongs to it, and to no other."""
    first = _first_instant(ZoneInfo(zone), day)
    last = first + int(hours * HOUR_US) - 1
    days = LocalDays(ZoneInfo(zone))
    for asked in (first, last, first - 1, last + 1, last, first):
        expected = from_micros(asked).astimezone(ZoneInfo(zone)).date().toordinal()
        assert days.day(asked) == expected
    assert (days.day(first), days.day(last)) == (day.toordinal(), day.toordinal())
    assert days.day(first - 1) < day.toordinal() < days.day(last + 1)
    assert days.start(day) == first


def _first_instant(zone: ZoneInfo, day: date) -> int:
    """The first instant that zoneinfo puts on a local day, found by looking at every half hour."""
    probe = to_micros(datetime(day.year, day.month, day.day, tzinfo=UTC)) - 26 * HOUR_US
    while from_micros(probe).astimezone(zone).date() < day:
        probe += HOUR_US // 2
    return probe


@given(
    st.sampled_from(ZONES),
    st.lists(moments, min_size=1, max_size=8),
    st.lists(st.integers(-3 * HOUR_US, 3 * HOUR_US), min_size=1, max_size=4),
)
def test_days_as_zoneinfo_has_them(zone: ZoneInfo, asked: list[datetime], nearby: list[int]) -> None:
    """The remembered bounds never change an answer, whatever was asked before."""
    days = LocalDays(zone)
    for moment in asked:
        for offset in (0, *nearby):
            micros = to_micros(moment) + offset
            assert days.day(micros) == from_micros(micros).astimezone(zone).date().toordinal()


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_days_around_every_change_of_clocks(zone: ZoneInfo) -> None:
    """Hour by hour through a year, forwards and backwards, one calendar object is always right."""
    days = LocalDays(zone)
    start = to_micros(datetime(2018, 1, 1, tzinfo=UTC)) - 1
    instants = [start + hour * HOUR_US for hour in range(366 * 24)]
    expected = [from_micros(each).astimezone(zone).date().toordinal() for each in instants]
    assert [days.day(each) for each in instants] == expected
    assert [days.day(each) for each in reversed(instants)] == expected[::-1]


def test_an_interval_of_days_has_no_holes() -> None:
    """One day ends where the next begins."""
    days = LocalDays(PARIS)
    starts = [days.start(date(2026, 1, 1) + timedelta(days=number)) for number in range(365)]
    assert starts == sorted(set(starts))
    assert starts[-1] - starts[0] == 364 * 24 * HOUR_US


@pytest.mark.parametrize(
    ("zone", "wall", "instant"),
    [
        pytest.param("Europe/Paris", "2026-03-02T12:00", "2026-03-02T12:00+01:00", id="once"),
        pytest.param("Europe/Paris", "2026-03-29T01:59", "2026-03-29T01:59+01:00", id="before the jump"),
        pytest.param("Europe/Paris", "2026-03-29T02:00", "2026-03-29T03:00+02:00", id="the jump"),
        pytest.param("Europe/Paris", "2026-03-29T02:59", "2026-03-29T03:00+02:00", id="within the jump"),
        pytest.param("Europe/Paris", "2026-03-29T03:00", "2026-03-29T03:00+02:00", id="after the jump"),
        pytest.param("Europe/Paris", "2026-10-25T02:30", "2026-10-25T02:30+02:00", id="twice"),
        pytest.param("Europe/Paris", "2026-10-25T03:00", "2026-10-25T03:00+01:00", id="after the second"),
        pytest.param("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-04T02:30+11:00", id="half an hour"),
        pytest.param("America/Sao_Paulo", "2018-11-04T00:30", "2018-11-04T01:00-02:00", id="midnight jumped over"),
        pytest.param("Pacific/Apia", "2011-12-30T12:00", "2011-12-31T00:00+14:00", id="a day jumped over"),
        pytest.param("UTC", "2026-03-29T02:30", "2026-03-29T02:30+00:00", id="no change of clocks"),
    ],
)
def test_the_first_instant_of_a_time_on_the_wall(zone: str, wall: str, instant: str) -> None:
    """A time that comes twice means its first coming, one that never comes the jump."""
    expected = to_micros(datetime.fromisoformat(instant))
    assert first_instant(datetime.fromisoformat(wall), ZoneInfo(zone)) == expected


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_the_first_instant_is_the_first(zone: ZoneInfo) -> None:
    """At every quarter of an hour of ten years: the wall shows it, or the next it can, and did not before."""
    for quarter in range(0, 10 * 365 * 96, 37):
        wall = datetime(2010, 1, 1) + timedelta(minutes=15 * quarter)  # noqa: DTZ001 - on the wall
        instant = first_instant(wall, zone)
        shown, before = (
            from_micros(each).astimezone(zone).replace(tzinfo=None, fold=0) for each in (instant, instant - 1)
        )
        assert before < wall <= shown


@pytest.mark.parametrize(
    ("start", "end", "change"),
    [
        pytest.param("2026-03-29T00:00", "2026-03-30T00:00", "2026-03-29T01:00", id="spring"),
        pytest.param("2026-10-24T00:00", "2026-10-26T00:00", "2026-10-25T01:00", id="autumn"),
        pytest.param("2026-03-29T00:00", "2026-03-29T01:00", "2026-03-29T01:00", id="the end is included"),
        pytest.param("2026-03-29T01:00", "2026-03-30T01:00", None, id="the start is not"),
        pytest.param("2026-03-30T00:00", "2026-03-31T00:00", None, id="none"),
    ],
)
def test_the_change_of_clocks(start: str, end: str, change: str | None) -> None:
    """It is found to the microsecond."""
    first, last = (to_micros(datetime.fromisoformat(f"{each}+00:00")) for each in (start, end))
    expected = None if change is None else to_micros(datetime.fromisoformat(f"{change}+00:00"))
    assert clock_change(first, last, PARIS) == expected
