"""What retention asks of an event and of a visitor: pure, for every storage that purges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from alias_middleware.events import Refund
from alias_middleware.profile import ProfileDocument
from alias_middleware.storage.base import Entry
from alias_middleware.storage.chronicle import decode_chronicle
from alias_middleware.storage.custody import Cut
from alias_middleware.storage.visits import margin_days

TABLES = (
    "frozen_days",
    "events",
    "visitors",
    "profiles",
    "orders",
    "refunds",
    "arrivals",
    "dispatches",
    "sealed_aliases",
)
"""What a purge counts."""

_document_decoder = msgspec.json.Decoder(ProfileDocument)


def admitted(
    entries: Sequence[Entry], horizons: Mapping[str, int], day_of_order: Callable[[Entry], int | None]
) -> Sequence[Entry]:
    """Leave out what is too old: events of frozen days, and refunds of orders that belong to one.

    `horizons`: the local day before which a namespace's days are frozen. `day_of_order` gives that of the order
    that a refund is for, None where there is none.
    """
    if not horizons:
        return entries

    def is_too_old(entry: Entry) -> bool:
        frozen_before = horizons.get(entry.origin.namespace, 0)
        if entry.event.day < frozen_before:
            return True
        day = day_of_order(entry) if frozen_before and isinstance(entry.event, Refund) else None
        return day is not None and day < frozen_before

    return [entry for entry in entries if not is_too_old(entry)]


def whole_since(frozen_before: int) -> int:
    """Give the day from which on every raw event is there, also while a purge is under way.

    Before it takes any it freezes their days, and those after them into which a visit may reach: one at least.
    """
    return frozen_before - margin_days(0)


def is_idle(cut: Cut, knowledge: bytes | None, documents: tuple[bytes, ...] | None) -> bool:
    """Tell whether a visitor's last event and the last change of his profile were long enough ago.

    `knowledge`: his chronicle, None for one without history. `documents`: preferences, personal data, consents and
    stamps, None for one without profile.
    """
    last_day = decode_chronicle(knowledge).days[1] if knowledge is not None else 0
    changed_us = _last_change(documents) if documents is not None else 0
    return last_day < cut.idle_since_day and changed_us < cut.idle_since_us


def _last_change(documents: tuple[bytes, ...]) -> int:
    """Give the time of the last change of a profile's documents (microseconds)."""
    raw = b'{"preferences":%b,"personal":%b,"consents":%b,"stamps":%b}' % documents
    document = _document_decoder.decode(raw)
    said = [consent.time_us for answers in document.consents.values() for consent in answers]
    return max([*said, *(moment for stamp in document.stamps.values() for moment in stamp)], default=0)
