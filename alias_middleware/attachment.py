"""The day on which a service was attached to its reference: its aliases changed then. Pure.

Attaching a service loses its history by alias [S1]. Before that day its visitors are those of a namespace of its
own; from it on they are the reference's. Nobody is known to be the same person on both sides.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple

from alias_middleware.errors import SettingsError


class Attachment(NamedTuple):
    """Since the local day `on`, and not before, `service` has the aliases of `reference`."""

    service: str
    reference: str
    on: date

    def namespace_on(self, day: int) -> str:
        """Give the namespace of a local day (ordinal)."""
        return self.service if day < self.on.toordinal() else self.reference


def check_attached(attachment: Attachment | None, today: int) -> None:
    """Refuse to take tomorrow's aliases for today's (an ordinal): two persons may have the same one.

    Raises:
        SettingsError: the service has not been attached yet.
    """
    if attachment is not None and today < attachment.on.toordinal():
        raise SettingsError(
            f"until {attachment.on} the service has aliases of its own: set reference and attached_on then",
            setting="attached_on",
        )


def local_date(setting: str, value: object) -> date | None:
    """Read a setting that is a local date, or a text such as 2026-03-01.

    Raises:
        SettingsError: it is neither.
    """
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise SettingsError("a local date, as 2026-03-01", setting=setting) from error


def split(attached_on: date | None, since: date, until: date) -> bool:
    """Tell whether an interval of local days counts people under their old and under their new aliases."""
    return attached_on is not None and since < attached_on < until


def remarks(attached_on: date | None, since: date, until: date) -> list[str]:
    """Say what the figures of an interval cannot tell because the aliases changed; nothing where they can."""
    if attached_on is None or attached_on >= until:
        return []
    told = [f"the aliases changed on {attached_on}: who came before that day only is new since, not returning"]
    if split(attached_on, since, until):
        told.append("who came on both sides of that day is counted as two visitors, and as two clients")
    return told
