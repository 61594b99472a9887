"""What a page is asked about: the days, the channel, the service; read from and written to a query string."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple, cast
from urllib.parse import urlencode

from alias_middleware.dashboard.nonsense import NonsenseError
from alias_middleware.events import Channel
from alias_middleware.statistics.intervals import By

PRESETS = (7, 30, 90, 365)
"""Numbers of days up to today that are one link away."""

_DEFAULT_DAYS = 30
_MOST_DAYS = 3_660
_BY_DAY = 62
_BY_WEEK = 400
_DAY = timedelta(days=1)


class Period(NamedTuple):
    """Local days from `since` to the one before `until`; one channel or both; one service or "*" for all."""

    since: date
    until: date
    channel: Channel | None
    service: str

    @property
    def last(self) -> date:
        """The last of the days."""
        return self.until - _DAY

    @property
    def days(self) -> int:
        """How many days there are."""
        return (self.until - self.since).days

    @property
    def before(self) -> Period:
        """As many days just before."""
        return self._replace(since=self.since - (self.until - self.since), until=self.since)

    @property
    def by(self) -> By:
        """What charts divide it into."""
        if self.days <= _BY_DAY:
            return "day"
        return "week" if self.days <= _BY_WEEK else "month"

    def query(self, **others: str) -> str:
        """Write it as a query string, with other parameters."""
        named = {"first": str(self.since), "last": str(self.last), "service": self.service}
        return urlencode({**named, **({"channel": self.channel} if self.channel else {}), **others})


def latest(days: int, today: date, service: str, channel: Channel | None = None) -> Period:
    """Give the period of so many days that ends with today."""
    return Period(today - (days - 1) * _DAY, today + _DAY, channel, service)


def read_period(query: Mapping[str, str], *, today: date, services: Sequence[str]) -> Period:
    """Read what is asked for; the last 30 days of the first service where nothing is said.

    Raises:
        NonsenseError: no dates, the last before the first, more than ten years, or a service that is not shown.
    """
    service = query.get("service") or services[0]
    if service not in services:
        raise NonsenseError("service")
    channel = query.get("channel") or None
    if channel not in (None, "web", "sms"):
        raise NonsenseError("channel")
    default = latest(_DEFAULT_DAYS, today, service)
    last = _date(query.get("last"), default.last)
    first = _date(query.get("first"), min(default.since, last))
    days = (last - first).days + 1
    if not 0 < days <= _MOST_DAYS or first.toordinal() <= days or last == date.max:
        raise NonsenseError("period")
    return Period(first, last + _DAY, cast("Channel | None", channel), service)


def _date(text: str | None, default: date) -> date:
    try:
        return date.fromisoformat(text) if text else default
    except ValueError:
        raise NonsenseError("period") from None
