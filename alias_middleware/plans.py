"""What a campaign is planned as, and what is told of it before, while and after it runs: plain data."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec

from alias_middleware.audience import Audience
from alias_middleware.contact import FrequencyCap, Kind, Untimely, Verdict
from alias_middleware.storage.outbox import Standing, State


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign says to whom, as it is stored. `text` is final; times in microseconds, rate per second.

    Nothing goes before `starts_us`; what has not gone by `expires_us` does not go any more.
    """

    offer: str
    kind: Kind
    sender: str
    text: str
    segments: int
    audience: Audience
    expires_us: int | None = None
    rate: float | None = None
    cap: FrequencyCap | None = None
    starts_us: int | None = None


encode_plan = msgspec.json.Encoder().encode
decode_plan = msgspec.json.Decoder(Plan).decode


class Judgement(NamedTuple):
    """What would become of one visitor's message; without an address it is refused in the end."""

    key: str
    verdict: Verdict
    has_address: bool = True

    def __repr__(self) -> str:  # the key may be the alias
        return f"<Judgement {self.verdict.decision}>"


class Preview(msgspec.Struct, frozen=True):
    """A campaign as it would go if it were sent at `at`: nothing was sent, nobody was queued.

    `selected` = `send` + `hold` + `refuse`, those among the refused that would come after the campaign expires.
    `reasons` counts why each held or refused message is, as a run would say it;
    `until` is the first moment at which a held one goes. `segments` is what all that would be sent would cost.
    `warnings`: phrases that will be wrong when a held message arrives.
    """

    at: datetime
    selected: int
    send: int
    hold: int
    refuse: int
    reasons: dict[str, int]
    until: datetime | None
    text: str
    segments: int
    warnings: tuple[Untimely, ...]


class Progress(msgspec.Struct, frozen=True):
    """Where a campaign stands: its messages by state, and those that have a reason by reason."""

    name: str
    standing: Standing
    states: dict[State, int]
    reasons: dict[str, int]
