"""The page on exports names every part of a real one, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from alias_middleware import Item, Tracker
from alias_middleware.contact.senders import ShortCode
from alias_middleware.storage.outbox import CampaignId, StoredCampaign
from tests.support.site import ALIAS, BEGINNING, Clock

PAGE = (Path(__file__).parents[2] / "docs/reference/export.md").read_text(encoding="utf-8")
OPEN = {
    "preferences",
    "personal",
    "consents",
    "knowledge.revenue",
    "habits.categories",
    "habits.pages",
    "history[].properties",
}
"""Where the names are the app's or the visitor's own."""


def paths(value: Any, path: str = "") -> Iterator[str]:
    """Every place of a JSON value; `*` stands for any name, `[]` for any item."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            below = f"{path}.*" if path in OPEN else f"{path}.{name}".lstrip(".")
            yield from paths(inner, below)
    elif isinstance(value, list) and value and path != "consents.*":
        for inner in value:
            yield from paths(inner, f"{path}[]")
    else:
        yield path


def live(tracker: Tracker) -> None:
    """Leave something of every kind."""
    with tracker.visitor(ALIAS) as visitor:
        visitor.profile["font"] = "large"
        visitor.profile.personal["name"] = "Ada"
        visitor.consent("contact", True, source="settings page")
        visitor.page(category="music", title="Home")
        visitor.show("/")
        visitor.track("look", category="music", sku="rt-42")
        visitor.purchase("CMD-1", [Item("rt-42", "Sonnerie", "music", Decimal(3))], currency="EUR")
        visitor.refund("CMD-1", amount=1)
    tracker.receive_sms(ALIAS, "36123", "STOP", at=BEGINNING, message_id="1")
    tracker.unsubscribed(ALIAS, "premium_push", at=BEGINNING + timedelta(minutes=1))
    tracker.flush()
    campaign = CampaignId("sonneries", "sonneries", "spring")
    tracker.storage.outbox().save(StoredCampaign(campaign, "running", b"{}", 0))
    tracker.storage.outbox().enqueue(campaign, [ALIAS], 0)


def test_the_page_names_every_part(tmp_path: Path) -> None:
    """What the table's first column has is what an export has."""
    tracker = Tracker(
        service="sonneries",
        storage=f"sqlite:///{tmp_path}/alias.db",
        trusted_gateways=[],
        short_codes={"36123": ShortCode(service="sonneries", offer="premium_push")},
        raise_errors=True,
        clock=Clock(),
    )
    live(tracker)
    tracker.flush()
    document = tracker.privacy.export(ALIAS, requester="Ada", reason="by letter")
    tracker.close()
    named = set(re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE))
    assert set(paths(document)) == named
