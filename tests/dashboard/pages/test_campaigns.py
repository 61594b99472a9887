"""What became of campaigns: who came back, and who bought."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alias_middleware import Item
from alias_middleware.dashboard.pages import campaigns
from tests.support.postgresql import EVERY_STORAGE, url_of
from tests.support.site import ALIAS, OTHER_ALIAS
from tests.support.sms import Shop


def row_of(shop: Shop) -> dict[str, Any]:
    """The one campaign's row by column."""
    table = campaigns.gather(shop.tracker).table
    (row,) = table.rows
    return {column.name: value for column, value in zip(table.columns, row, strict=True)}


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
    found = row_of(shop)
    assert (found["delivered"], found["came_back"], found["bought"]) == (2, 1, 1)
    shop.tracker.close()


@pytest.mark.parametrize("storage", EVERY_STORAGE)
@pytest.mark.parametrize(
    ("refunds", "bought"),
    [
        pytest.param([None], 0, id="in full"),
        pytest.param([1, 2], 0, id="in full by parts"),
        pytest.param([1], 1, id="in part"),
        pytest.param([], 1, id="not at all"),
    ],
)
@pytest.mark.parametrize("first", ["order", "refund"])
def test_who_got_everything_back_did_not_buy(
    storage: str,
    refunds: list[int | None],
    bought: int,
    first: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """An order refunded in full is cancelled, whichever came first; whoever made it came back all the same."""
    shop = Shop(url_of(storage, tmp_path, request), tmp_path)
    shop.write(ALIAS, "MENU")
    shop.buy(ALIAS)
    shop.tracker.contact.declare_no_prior_optouts()
    shop.clock.advance(minutes=1)
    shop.campaign("noel").run(shop.gateway)
    for what in ("order", "refund") if first == "order" else ("refund", "order"):
        shop.clock.advance(minutes=1)
        with shop.tracker.visitor(ALIAS) as visitor:
            if what == "order":
                visitor.purchase("CMD-after", [Item("rt-42", "Sonnerie", price=Decimal(3))], currency="EUR")
            for amount in refunds if what == "refund" else []:
                visitor.refund("CMD-after", amount=amount)
        shop.tracker.flush()
    found = row_of(shop)
    assert (found["came_back"], found["bought"]) == (1, bought)
    shop.tracker.close()
