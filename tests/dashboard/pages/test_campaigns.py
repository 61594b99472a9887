"""What became of campaigns: who came back, and who bought."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from alias_middleware import Item
from alias_middleware.dashboard.pages import campaigns
from tests.support.site import ALIAS, OTHER_ALIAS
from tests.support.sms import Shop


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_a_late_report_hides_nobody_who_came_back(storage: str, tmp_path: Path) -> None:
    """Who acts on a message acts after its sending, whenever the gateway tells of its delivery."""
    shop = Shop(storage, tmp_path)
    for alias in (ALIAS, OTHER_ALIAS):
        shop.write(alias, "MENU")
    shop.buy(ALIAS, OTHER_ALIAS)
    shop.tracker.contact.declare_no_prior_optouts()
    shop.clock.advance(minutes=1)
    shop.campaign("noel").run(shop.gateway)
    shop.clock.advance(minutes=1)
    with shop.tracker.visitor(ALIAS) as visitor:
        visitor.purchase("CMD-after", [Item("rt-42", "Sonnerie", price=Decimal(3))], currency="EUR")
    shop.tracker.flush()
    shop.clock.advance(minutes=1)
    for message in shop.gateway.sent:
        assert shop.tracker.contact.reported(message.message_id, "delivered")
    table = campaigns.gather(shop.tracker).table
    (row,) = table.rows
    found = {column.name: value for column, value in zip(table.columns, row, strict=True)}
    assert (found["delivered"], found["came_back"], found["bought"]) == (2, 1, 1)
    shop.tracker.close()
