"""Offers and their windows: calendar days of the service's zone, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_middleware.contact import OFFERS, Mo, Offer
from alias_middleware.contact.offers import Window, _window_by_clock, openings, window_from
from alias_middleware.contact.quiet_hours import RenewOn
from alias_middleware.local_time import from_micros, to_micros

PARIS = ZoneInfo("Europe/Paris")
DAY_US = 24 * 3600 * 1_000_000


def micros(text: str) -> int:
    """A moment of Paris, or of the offset that is written behind it."""
    moment = datetime.fromisoformat(text)
    return to_micros(moment if moment.tzinfo else moment.replace(tzinfo=PARIS))


def test_the_table_of_the_operator() -> None:
    """Six offers, their windows, and with which the option identifiant commun is sold."""
    assert dict(OFFERS) == {
        "premium_express": Offer("mo", 60, "unavailable"),
        "premium_tribu": Offer("mo", 60, "unavailable"),
        "premium_transaction": Offer("mo", 60, "available"),
        "light_pull": Offer("mo", 60, "unavailable"),
        "premium_push": Offer("unsubscription", 31, "available"),
        "light_gallery": Offer("gallery", None, "required"),
    }


@pytest.mark.parametrize(
    ("opens", "days", "closes"),
    [
        pytest.param("2026-05-04T12:00", 60, "2026-07-03T12:00+02:00", id="60 days of summer"),
        pytest.param("2026-05-04T12:00", 31, "2026-06-04T12:00+02:00", id="31 days"),
        pytest.param("2026-02-10T12:00", 60, "2026-04-11T12:00+02:00", id="clocks go forward in between"),
        pytest.param("2026-09-10T12:00", 60, "2026-11-09T12:00+01:00", id="clocks go back in between"),
        pytest.param("2026-02-26T02:30", 31, "2026-03-29T03:00+02:00", id="the closing hour never comes"),
        pytest.param("2026-02-26T02:00", 31, "2026-03-29T03:00+02:00", id="the jump itself"),
        pytest.param("2026-02-26T03:00", 31, "2026-03-29T03:00+02:00", id="the first hour after the jump"),
        pytest.param("2026-02-26T01:59:59", 31, "2026-03-29T01:59:59+01:00", id="the last second before"),
        pytest.param("2026-09-24T02:30", 31, "2026-10-25T02:30+02:00", id="the closing hour comes twice"),
        pytest.param("2026-10-25T02:30+02:00", 60, "2026-12-24T02:30+01:00", id="opens in the first coming"),
        pytest.param("2026-10-25T02:30+01:00", 60, "2026-12-24T02:30+01:00", id="opens in the second coming"),
        pytest.param("2026-10-25T02:30+01:00", 154, "2027-03-28T03:00+02:00", id="second coming to a jump"),
        pytest.param("2026-10-25T02:30+01:00", 371, "2027-10-31T02:30+02:00", id="second coming to a first"),
        pytest.param("2028-01-30T12:00", 31, "2028-03-01T12:00+01:00", id="over 29 February"),
        pytest.param("2028-01-29T12:00", 31, "2028-02-29T12:00+01:00", id="until 29 February"),
        pytest.param("2028-02-29T12:00", 60, "2028-04-29T12:00+02:00", id="from 29 February"),
        pytest.param("2027-01-29T12:00", 31, "2027-03-01T12:00+01:00", id="no 29 February"),
        pytest.param("2026-12-31T23:59", 31, "2027-01-31T23:59+01:00", id="over the year"),
    ],
)
def test_a_window_closes_at_its_own_hour(opens: str, days: int, closes: str) -> None:
    """So many days later on the calendar, at the same time on the wall."""
    assert window_from(micros(opens), days, PARIS) == Window(micros(opens), micros(closes))


@given(
    st.integers(to_micros(datetime(2025, 1, 1, tzinfo=UTC)), to_micros(datetime(2035, 1, 1, tzinfo=UTC))),
    st.integers(1, 400),
)
def test_a_window_in_local_days(opens_us: int, days: int) -> None:
    """At its end the wall shows the opening's time again, or jumps over it; days have 24 h but for one change."""
    window = window_from(opens_us, days, PARIS)
    assert window.opens_us == opens_us
    assert abs(window.closes_us - opens_us - days * DAY_US) <= DAY_US // 24
    wall = from_micros(opens_us).astimezone(PARIS).replace(tzinfo=None, fold=0) + timedelta(days=days)
    shown = from_micros(window.closes_us).astimezone(PARIS)
    before = from_micros(window.closes_us - 1).astimezone(PARIS)
    assert shown.replace(tzinfo=None) == wall or before.replace(tzinfo=None) < wall < shown.replace(tzinfo=None)
    assert shown.fold == 0


# Days on which messages come, the renewing rule, and the days on which windows open by it.
@pytest.mark.parametrize(
    ("days", "stops", "renew_on", "opened"),
    [
        pytest.param([0, 10, 59], [], "first", [0], id="later messages renew nothing"),
        pytest.param([0, 60], [], "first", [0, 60], id="the day it closed opens another"),
        pytest.param([0, 61, 90, 121], [], "first", [0, 61, 121], id="one after the other"),
        pytest.param([59, 0], [], "first", [0], id="whatever the order of arrival"),
        pytest.param([0, 20, 30], [10], "first", [0, 20], id="a message after STOP opens another"),
        pytest.param([0, 20], [20], "first", [0], id="at the very moment of STOP it does not"),
        pytest.param([5, 20], [0], "first", [5], id="a STOP before the window changes nothing"),
        pytest.param([0, 10, 59], [], "mo", [0, 10, 59], id="every message renews"),
        pytest.param([0, 10, 20], [], "paid_mo", [0, 20], id="every paid message renews"),
        pytest.param([1, 60], [], "paid_mo", [1, 60], id="a paid one on the day before the close"),
        pytest.param([1, 61], [], "paid_mo", [1, 61], id="an unpaid one after the close"),
        pytest.param([], [], "first", [], id="no message"),
    ],
)
def test_which_messages_open_windows(
    days: list[int], stops: list[int], renew_on: RenewOn, opened: list[int]
) -> None:
    """First, mo and paid_mo (messages of days that divide by 20 are paid); windows of 60 days."""
    noon = micros("2026-05-04T12:00")
    messages = [Mo(noon + day * DAY_US, paid=day % 20 == 0) for day in days]
    openers = openings(
        messages,
        stops_us=[noon + day * DAY_US for day in stops],
        days=60,
        zone=PARIS,
        renew_on=renew_on,
    )
    assert [(message.time_us - noon) // DAY_US for message in openers] == opened


@given(
    st.lists(st.builds(Mo, st.integers(0, 500 * DAY_US), st.booleans()), max_size=12),
    st.lists(st.integers(0, 500 * DAY_US), max_size=3),
    st.sampled_from(["first", "mo", "paid_mo"]),
)
def test_other_messages_may_be_forgotten(messages: list[Mo], stops: list[int], renew_on: RenewOn) -> None:
    """A storage may keep only the messages in the answer: they alone open the same windows."""
    openers = openings(messages, stops_us=stops, days=60, zone=PARIS, renew_on=renew_on)
    assert openings(openers, stops_us=stops, days=60, zone=PARIS, renew_on=renew_on) == openers


@given(st.integers(0, 366 * 24), st.integers(-26 * 4, 26 * 4), st.sampled_from([PARIS, ZoneInfo("Pacific/Apia")]))
def test_the_next_window_opens_when_the_last_has_closed(hour: int, quarters: int, zone: ZoneInfo) -> None:
    """Near its end and a day off, around any change of clocks: a message opens one at the close and not before."""
    first = to_micros(datetime(2011, 6, 1, tzinfo=UTC)) + hour * DAY_US // 24
    closes = window_from(first, 60, zone).closes_us
    second = closes + quarters * DAY_US // 96
    openers = openings([Mo(first), Mo(second)], stops_us=(), days=60, zone=zone, renew_on="first")
    assert len(openers) == (2 if second >= closes else 1)


@given(
    st.integers(micros("2024-01-01T00:00"), micros("2030-01-01T00:00")),
    st.sampled_from([1, 31, 60, 154]),
    st.sampled_from(
        ["Europe/Paris", "America/Martinique", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Casablanca"]
    ),
)
def test_far_from_a_change_of_clocks_they_need_not_be_asked(opens_us: int, days: int, zone: str) -> None:
    """The short way gives what the clocks of any zone do."""
    assert window_from(opens_us, days, ZoneInfo(zone)) == _window_by_clock(opens_us, days, ZoneInfo(zone))
