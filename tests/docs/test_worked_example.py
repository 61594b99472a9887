"""The worked example's numbers are those of the API, for the events that the page itself lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from alias_middleware import Item, Visitor
from tests.support.pages import DOCS
from tests.support.site import Given, Seen, Site, page

PAGE = (DOCS / "explanation/worked-example.md").read_text(encoding="utf-8")
PARIS = ZoneInfo("Europe/Paris")
ALIASES = {"A": "314522927347", "B": "271828182845", "C": "161803398874", "a stranger": None}
_TABLE = re.compile(r"(?:## (?P<title>[^\n]*)\n+[^#]*?)?<!-- (?P<mark>[^\n]*) -->\n\n(?P<table>(?:\|[^\n]*\n)+)")


def tables(kind: str) -> list[tuple[str, list[list[str]]]]:
    """Give the page's tables of a kind: the dates that its mark or its heading names, and its rows."""
    found = []
    for match in _TABLE.finditer(PAGE):
        if match["mark"].partition(" ")[0] == kind:
            rows = [
                [cell.strip() for cell in line.strip("|").split("|")] for line in match["table"].splitlines()[2:]
            ]
            found.append((f"{match['mark']} {match['title']}", rows))
    assert found, kind
    return found


def interval(text: str) -> tuple[date, date]:
    since, until = re.findall(r"\d{4}-\d\d-\d\d", text)[:2]
    return date.fromisoformat(since), date.fromisoformat(until)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site on which happened what the page says."""
    made = Site("wsgi", "sqlite", tmp_path_factory.mktemp("example"))
    ((_, events),) = tables("events")
    for moment, who, what in events:
        made.clock.now = datetime.fromisoformat(moment).replace(tzinfo=PARIS)
        happen(made, ALIASES[who], what.split())
    made.flush()
    yield made
    made.close()


def happen(site: Site, alias: str | None, words: list[str]) -> None:
    """Let one event of the page happen, in a request of its own."""

    def act(visitor: Visitor, request: Seen) -> Given:
        match words:
            case ["page", path]:
                visitor.page(category=path.strip("/"))
            case ["order", order, "of", price, currency]:
                visitor.purchase(
                    order, [Item("rt-1", "Tone", category="music", price=Decimal(price))], currency=currency
                )
            case ["refund", order, "by", amount, _]:
                visitor.refund(order, amount=Decimal(amount))
            case ["refund", order]:
                visitor.refund(order)
            case _:
                pytest.fail(f"nobody knows what to do at {words}")
        return page(visitor, request)

    site.handler = act
    is_page = words[0] == "page"
    site.get(words[1] if is_page else "/act", alias, method="GET" if is_page else "POST")


def value(text: str) -> Any:
    """Read a value as the page writes it."""
    amount, _, currency = text.partition(" ")
    if currency:
        return {currency: Decimal(amount)}
    return {} if amount == "-" else Decimal(amount)


@pytest.mark.parametrize(("title", "rows"), tables("summary"))
def test_summary(site: Site, title: str, rows: list[list[str]]) -> None:
    """Every figure of a summary is what a person counts."""
    summary = site.tracker.statistics.summary(*interval(title))
    written = {name.strip("`"): value(said) for name, said, _ in rows}
    assert {name: getattr(summary, name) for name in written} == written


def test_frequency(site: Site) -> None:
    """Visitors by their number of visits, a visit that continued among them."""
    ((title, rows),) = tables("frequency")
    found = site.tracker.statistics.frequency(*interval(title)).rows
    assert [(row.visits, row.visitors) for row in found if row.visitors] == [(a, int(b)) for a, b, _ in rows]


def test_categories(site: Site) -> None:
    """Views, visitors, buyers and revenue by category."""
    ((title, rows),) = tables("categories")
    found = site.tracker.statistics.categories(*interval(title)).rows
    assert [[row.category, row.page_views, row.visitors, row.buyers, row.revenue, row.share] for row in found] == [
        [name, *map(value, cells)] for name, *cells in rows
    ]
