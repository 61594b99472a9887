"""A service's day by channel, and the sections that its tables keep of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from alias_middleware.events import Channel
from alias_middleware.rollups.coding import encode_section
from alias_middleware.rollups.model import SECTIONS, Rollup, Section

CHANNELS: tuple[Channel, ...] = ("web", "sms")
OF_THE_SERVICE = ""
"""The channel of what belongs to the service as a whole: its arrivals."""

Rolled = dict[str, Rollup]
"""A service's day by channel."""


def sections_of(channel: str) -> Iterator[Section]:
    """Give the sections that a channel has, or the service as a whole."""
    for section in SECTIONS:
        if (section == "arrivals") == (channel == OF_THE_SERVICE):
            yield section


def encoded(rolled: Mapping[str, Rollup]) -> Iterator[tuple[str, Section, bytes]]:
    """Give a day's (channel, section, body)."""
    for channel, rollup in sorted(rolled.items()):
        for section in sections_of(channel):
            yield channel, section, encode_section(rollup, section)
