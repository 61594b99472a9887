"""Every setting and its default, and how they go together. Nothing else in the library holds a default."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from datetime import date, tzinfo
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from alias_middleware.attachment import Attachment
from alias_middleware.checks import CHECKS
from alias_middleware.contact import COMMANDS, TERRITORIES, FrequencyCap, Policy, ShortCodes, policy
from alias_middleware.contact.keywords import Verb
from alias_middleware.errors import SettingsError
from alias_middleware.events import PAGE_TYPES
from alias_middleware.history import VISIT_GAP_SECONDS
from alias_middleware.identity import Source, WapNetworkInfo
from alias_middleware.storage.base import Storage
from alias_middleware.trust import Trust, require_gateways

Durability = Literal["process", "power"]
"""What a recorded event survives: the death of its process, or also the loss of power (fdatasync)."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one tracker. Sizes in bytes, times in seconds.

    Attributes:
        service: The name of your Gallery service. Aliases, figures and purchases belong to it.
        trusted_gateways: The peers whose header is believed: addresses, CIDR ranges, "unix" for a Unix socket.
        storage: Where profiles and history live: an URL, or an instance.
        gateway_secret: A header's (name, value) that a trusted gateway must also send.
        reference: With identifiant commun, the service whose aliases this one shares; its name is the namespace.
        attached_on: The first local day on which the aliases were the reference's, as 2026-03-01; none: always.
        source: What reads the alias out of the request's headers.
        secret_keys: Keys for the continuity cookie and for the hashes of the erased, oldest first; the last signs.
        pseudonym_keys: Keys under which aliases are stored as keyed pseudonyms, oldest first; none: as they are.
        continuity: Whether an encrypted cookie stands in for a missing header, for 30 days after the last one.
        zone: The time zone of local days.
        visit_gap: The longest pause within one visit. A service's first event fixes it.
        page_types: The media types that are pages.
        excluded_paths: Patterns of paths that are no page views, such as "/health*".
        categories: The category of pages by the pattern of their path, such as {"/sport/*": "sport"}.
        spool: The folder of the spool; beside SQLite's database unless given. A server storage needs it.
        spool_limit: The most that the spool may hold.
        durability: What an event survives: the death of its process, or also the loss of power.
        purchase_durability: The same for purchases and refunds.
        writer: "thread": one elected thread drains the spool; "external": `alias-middleware drain` does.
        writer_interval: The pause between two batches; shorter where more than 200 events came in it.
        storage_timeout: How long a request waits for the storage.
        raise_errors: Whether errors of this library reach the app instead of the log: for tests and debugging.
        short_codes: What each short code stands for, by its number, or by (number, first keyword).
        sms_commands: The first words of an SMS that are commands, and what each asks for.
        policy: The hours in which marketing may arrive: a preset's name or a Policy.
        territory: Where the service's public holidays and, unless given, its time zone come from.
        light_gallery_days: The window of Light Gallery, for which the operator states none.
        frequency_cap: The most marketing messages to one visitor in a period.
        privacy_signals: What Sec-GPC and DNT mean: "statistics" only, or nothing ("ignore").
        statistics_only: Whether the site keeps no profiles at all.
        keep_raw_days: The days after which a purge takes raw events; their figures stay.
        keep_profiles_days: The days without any activity after which a purge forgets a visitor.
        desalias_quota: The conversions to phone numbers a calendar month.
        desalias_quota_scope: Whether the publisher's services share that quota, or each has its own.
    """

    service: str
    trusted_gateways: Sequence[str]
    storage: str | Storage = "sqlite:///alias.db"
    gateway_secret: tuple[str, str] | None = None
    reference: str | None = None
    attached_on: date | None = None
    source: Source = msgspec.field(default_factory=WapNetworkInfo)
    secret_keys: Sequence[bytes] = ()
    pseudonym_keys: Sequence[bytes] = ()
    continuity: bool = False
    zone: str = "Europe/Paris"
    visit_gap: float = VISIT_GAP_SECONDS
    page_types: frozenset[str] = PAGE_TYPES
    excluded_paths: Sequence[str] = ()
    categories: Mapping[str, str] = {}
    spool: Path | None = None
    spool_limit: int = 1024**3
    durability: Durability = "process"
    purchase_durability: Durability = "power"
    writer: Literal["thread", "external"] = "thread"
    writer_interval: float = 0.5
    storage_timeout: float = 0.25
    raise_errors: bool = False
    short_codes: ShortCodes = msgspec.field(default_factory=lambda: ShortCodes({}))
    sms_commands: Mapping[str, Verb] = COMMANDS
    policy: Policy | str = "fr-operator"
    territory: str = "metropole"
    light_gallery_days: int | None = None
    frequency_cap: FrequencyCap | None = None
    privacy_signals: Literal["statistics", "ignore"] = "statistics"
    statistics_only: bool = False
    keep_raw_days: int = 760
    keep_profiles_days: int = 1095
    desalias_quota: int = 100
    desalias_quota_scope: Literal["publisher", "service"] = "publisher"

    @property
    def namespace(self) -> str:
        """The service whose aliases these are: the reference, or the service itself."""
        return self.reference or self.service

    @property
    def attachment(self) -> Attachment | None:
        """When the aliases became the reference's; None where they always were, or are the service's own."""
        if self.attached_on is None or self.reference is None:
            return None
        return Attachment(self.service, self.reference, self.attached_on)

    def namespace_on(self, day: int) -> str:
        """Give the namespace of what happened on a local day (ordinal): another one before `attached_on`."""
        return self.namespace if self.attachment is None else self.attachment.namespace_on(day)

    @property
    def tzinfo(self) -> tzinfo:
        """The service's time zone."""
        return ZoneInfo(self.zone)

    @property
    def visit_gap_us(self) -> int:
        """The visit gap in microseconds."""
        return round(self.visit_gap * 1_000_000)

    def contact_policy(self) -> Policy:
        """Whose hours and readings the rules of contact follow."""
        if isinstance(self.policy, Policy):
            return self.policy
        return policy(self.policy, territory=self.territory, zone=self.zone)

    def trust(self) -> Trust:
        """Whom the header is believed from."""
        return Trust(self.trusted_gateways, self.gateway_secret)


def make_settings(given: dict[str, Any]) -> Settings:
    """Check settings as a developer gives them, by name.

    Raises:
        SettingsError: a name is unknown, a required one is missing, or a value is no use; the message says
            what to write.
    """
    names = Settings.__struct_fields__
    for name in given:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(names)}"
            raise SettingsError(f"no such setting{hint}", setting=name)
    if not given.get("service"):
        raise SettingsError("the name of your Gallery service is needed, as 'sonneries'", setting="service")
    checked = {**given, "trusted_gateways": require_gateways(given.get("trusted_gateways"))}
    for name, check in CHECKS.items():
        if name in checked:
            checked[name] = check(name, checked[name])
    if "territory" in checked:
        checked.setdefault("zone", TERRITORIES[checked["territory"]].zone)
    settings = Settings(**checked)
    settings.trust()
    settings.contact_policy()
    for entry in settings.short_codes.values():
        if entry.service != settings.service:
            raise SettingsError(
                f"a tracker receives for its own service, {settings.service!r}; those of {entry.service!r} "
                "belong to that service's tracker",
                setting="short_codes",
            )
    if settings.attached_on is not None and settings.reference in (None, settings.service):
        raise SettingsError("it goes with the reference that the service was attached to", setting="attached_on")
    if settings.continuity and not settings.secret_keys:
        raise SettingsError(
            "continuity=True encrypts a cookie: give secret_keys=[...], made by `alias-middleware keys`",
            setting="secret_keys",
        )
    return settings
