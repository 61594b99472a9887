"""What is viewed and bought most: pages, categories and products of an interval."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from alias_middleware.money import from_millionths
from alias_middleware.rollups.model import Rollup, add_money, united
from alias_middleware.statistics.ratios import ratio
from alias_middleware.statistics.summary import Result

Revenue = dict[str, Decimal]


class RankedPage(msgspec.Struct, frozen=True):
    """One path with its figures."""

    path: str
    title: str | None
    page_views: int
    visitors: int
    buyers: int
    share: Decimal | None


class RankedCategory(msgspec.Struct, frozen=True):
    """One category with its figures."""

    category: str
    page_views: int
    visitors: int
    buyers: int
    revenue: Revenue
    share: Decimal | None


class RankedProduct(msgspec.Struct, frozen=True):
    """One product with its figures."""

    sku: str
    name: str
    quantity: int
    orders: int
    buyers: int
    revenue: Revenue
    share: dict[str, Decimal]


class Pages(Result, frozen=True, kw_only=True):
    """The pages with most views."""

    rows: list[RankedPage]


class Categories(Result, frozen=True, kw_only=True):
    """The categories with most page views; those that were only bought from come last."""

    rows: list[RankedCategory]


class Products(Result, frozen=True, kw_only=True):
    """The products of which most were sold."""

    rows: list[RankedProduct]


def _checked(top: int | None) -> int | None:
    """Check how many are asked for.

    Raises:
        ValueError: it is no such number.
    """
    if top is not None and (isinstance(top, bool) or not isinstance(top, int) or top < 1):
        raise ValueError("top is a whole number from 1 up, or None for all")
    return top


def rank_pages(rollup: Rollup, top: int | None) -> list[RankedPage]:
    """Rank paths by page views, equal ones by path."""
    ranked = sorted(rollup.pages.paths.items(), key=lambda named: (-named[1].page_views, named[0]))
    clients = rollup.money.clients()
    return [
        RankedPage(
            path,
            page.titled[1] if page.titled else None,
            page.page_views,
            len(visitors),
            visitors.intersection_cardinality(clients),
            ratio(page.page_views, rollup.presence.page_views),
        )
        for path, page in ranked[: _checked(top)]
        for visitors in [united(page.visitors)]
    ]


def rank_categories(rollup: Rollup, top: int | None) -> list[RankedCategory]:
    """Rank categories by page views, equal ones by name."""
    ranked = sorted(rollup.categories.names.items(), key=lambda named: (-named[1].page_views, named[0]))
    return [
        RankedCategory(
            name,
            category.page_views,
            len(category.visitors),
            len(category.buyers),
            _units(category.revenue),
            ratio(category.page_views, rollup.presence.page_views),
        )
        for name, category in ranked[: _checked(top)]
    ]


def rank_products(rollup: Rollup, top: int | None) -> list[RankedProduct]:
    """Rank products by quantity, equal ones by sku."""
    products = rollup.products.skus
    whole: dict[str, int] = {}
    for product in products.values():
        add_money(whole, product.revenue)
    ranked = sorted(products.items(), key=lambda named: (-named[1].quantity, named[0]))
    return [
        RankedProduct(
            sku,
            product.named[1],
            product.quantity,
            product.orders,
            len(united(product.buyers)),
            _units(product.revenue),
            {
                currency: share
                for currency, amount in sorted(product.revenue.items())
                if (share := ratio(amount, whole[currency])) is not None
            },
        )
        for sku, product in ranked[: _checked(top)]
    ]


def _units(amounts: Mapping[str, int]) -> Revenue:
    return {currency: from_millionths(amount) for currency, amount in sorted(amounts.items())}
