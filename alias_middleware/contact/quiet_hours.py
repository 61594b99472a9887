"""When a marketing message may arrive: policies as data, and the first allowed moment.

Hours are those on the clocks of the policy's zone: an hour that comes twice is allowed or quiet both times, and
where clocks jump over the opening it is the moment of the jump.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from alias_middleware.contact.holidays import holidays_of, territory_named
from alias_middleware.errors import ContactError, SettingsError
from alias_middleware.local_time import clock_change, first_instant, from_micros, to_micros

RenewOn = Literal["first", "mo", "paid_mo"]
"""Which SMS-MO starts an open window anew: none until it closed, every one, or every paid one."""

_DAY: Final = timedelta(days=1)
_MIDNIGHT: Final = time.min
_MONDAY_TO_SATURDAY: Final = frozenset(range(1, 7))
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The rules that differ between publishers; change one with `msgspec.structs.replace`.

    Marketing arrives in [``start``, ``end``) local time of ``zone``, on ``weekdays`` (ISO numbers, Monday is 1)
    that are no public holiday of ``territory``; an ``end`` of 00:00 is the midnight that ends the day. ``source``
    says whose hours these are. A reply answers a message less than ``reply_within`` old. ``renew_on`` and
    ``stop_suppresses_recontact`` (does the STOP that ends a subscription forbid its re-contact, too?) are the
    publisher's reading of the operator's offers.

    Raises:
        SettingsError: hours, weekdays or territory with which no message could ever be judged.
    """

    name: str
    source: str
    territory: str
    zone: ZoneInfo
    start: time
    end: time
    weekdays: frozenset[int] = _MONDAY_TO_SATURDAY
    reply_within: timedelta = timedelta(hours=24)
    renew_on: RenewOn = "first"
    stop_suppresses_recontact: bool = False

    def __post_init__(self) -> None:
        territory_named(self.territory)
        if self.start.tzinfo or self.end.tzinfo or not (self.end == _MIDNIGHT or self.start < self.end):
            raise SettingsError("start comes before end, both on the local clock", setting="policy")
        if not self.weekdays or not self.weekdays <= set(range(1, 8)):
            raise SettingsError("weekdays are numbers from 1, Monday, to 7", setting="policy")
        if self.reply_within <= timedelta(0):
            raise SettingsError("reply_within is a time above zero", setting="policy")

    def quiet(self, local: datetime) -> str | None:
        """Say why nothing may arrive at a moment of the policy's zone; None when it may."""
        holiday = holidays_of(local.year, self.territory).get(local.date())
        if holiday is not None:
            return holiday
        if local.isoweekday() not in self.weekdays:
            return _WEEKDAYS[local.weekday()]
        if self.start <= local.time() and (local.time() < self.end or self.end == _MIDNIGHT):
            return None
        return f"{local.hour:02}:{local.minute:02}, outside {_hours(self.start, self.end)}"


@lru_cache(maxsize=64)
def _hours(start: time, end: time) -> str:
    return f"{start:%H:%M} to {end:%H:%M}"


class _Preset(NamedTuple):
    start: time
    end: time
    source: str


_OPERATOR: Final = "S2; operators' charter (AF2M, 2024-09-01)"
PRESETS: Final[Mapping[str, _Preset]] = MappingProxyType(
    {
        "fr-operator": _Preset(time(8), time(22), _OPERATOR),
        "fr-strict": _Preset(time(8), time(20), f"stricter than {_OPERATOR}"),
    }
)
"""The hours of each named policy."""


def policy(name: str, *, territory: str = "metropole", zone: str | None = None) -> Policy:
    """Give a named policy for a territory, whose time zone holds unless ``zone`` names another.

    Args:
        name: ``"fr-operator"``, from 08:00 until 22:00, or ``"fr-strict"``, until 20:00; both Monday to Saturday
            and not on public holidays.
        territory: one of `alias_middleware.contact.TERRITORIES`.
        zone: the name of a time zone, as ``"Europe/Paris"``.

    Raises:
        SettingsError: a name is unknown; the message lists those there are.
    """
    if name not in PRESETS:
        raise SettingsError(f"one of {', '.join(PRESETS)}; found: {name!r}", setting="policy")
    preset = PRESETS[name]
    zone_name = territory_named(territory).zone if zone is None else zone
    known = zone_named(zone_name)
    if known is None:
        raise SettingsError(f"the name of a time zone, as Europe/Paris; found: {zone_name!r}", setting="zone")
    return Policy(
        name=name, source=preset.source, territory=territory, zone=known, start=preset.start, end=preset.end
    )


@lru_cache(maxsize=64)  # bounded: the name may come from anywhere
def zone_named(name: str | None) -> ZoneInfo | None:
    """Give a time zone by its name, None when there is no such zone."""
    try:
        return ZoneInfo(name) if isinstance(name, str) else None
    except (KeyError, ValueError, OSError):
        return None


def next_allowed(at: datetime, policy: Policy) -> datetime:
    """Give the first moment not before ``at`` at which a marketing message may arrive.

    ``at`` itself when it is allowed, else an aware datetime in the policy's zone.

    Raises:
        ContactError: ``at`` is naive, so it names no instant.
        ValueError: a year outside 1984 to 9998.
    """
    local = local_moment(at, policy.zone)
    return at if policy.quiet(local) is None else opening_after(local, policy)


def local_moment(at: datetime, zone: ZoneInfo) -> datetime:
    """Give a moment on the clocks of a zone; a `ContactError` when it is naive."""
    if not isinstance(at, datetime) or at.utcoffset() is None:
        raise ContactError("an aware datetime is needed: one without a zone names no instant", field="at")
    try:
        return at.astimezone(zone)
    except OverflowError as error:
        raise ContactError(f"no moment of the years {date.min.year} to {date.max.year}", field="at") from error


def opening_after(local: datetime, policy: Policy) -> datetime:
    """Give the first allowed moment after a quiet one of the policy's zone."""
    now, day = to_micros(local), local.date()
    while True:
        for opening in _openings(policy, day):
            if opening > now:
                return from_micros(opening).astimezone(policy.zone)
        day += _DAY


@lru_cache(maxsize=256)  # everybody who is held in one night waits for the same morning
def _openings(policy: Policy, day: date) -> tuple[int, ...]:
    """Where silence can end on a local day, in microseconds: only at these moments does the clock enter the hours.

    They are the start, each time it comes, and a change of clocks, the one that ends the day included.
    """
    midnight, next_midnight = (
        first_instant(datetime.combine(each, _MIDNIGHT), policy.zone) for each in (day, day + _DAY)
    )
    starts = (to_micros(datetime.combine(day, policy.start.replace(fold=fold), policy.zone)) for fold in (0, 1))
    change = clock_change(midnight, next_midnight, policy.zone)
    moments = {*starts, *(() if change is None else (change,))}
    return tuple(
        moment for moment in sorted(moments) if policy.quiet(from_micros(moment).astimezone(policy.zone)) is None
    )
