"""What a visitor does: times of events, and arguments as apps really pass them."""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from alias_middleware import Item
from alias_middleware.errors import EventError
from tests.support.site import ALIAS, BEGINNING, HTML, Site

item: Any = Item
ORDER = [Item("rt-42", "Sonnerie", category="music", price=Decimal("3.00"))]


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site in memory, used from outside a request."""
    return make_site("wsgi")


def test_the_time_of_an_event(site: Site) -> None:
    """Now by default, else `at=`, in any time zone; a naive time is refused."""
    visitor = site.tracker.visitor(ALIAS)
    visitor.track("now")
    site.clock.advance(minutes=5)
    visitor.track("later")
    visitor.track("before", at=datetime(2026, 2, 1, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="without a zone"):
        visitor.track("never", at=datetime(2026, 2, 1))  # noqa: DTZ001
    site.flush()
    times = {event.name: event.time for event in visitor.history()}  # type: ignore[attr-defined]
    assert times == {
        "now": BEGINNING,
        "later": BEGINNING + timedelta(minutes=5),
        "before": datetime(2026, 2, 1, 1, tzinfo=UTC),
    }


def test_in_a_request_events_have_its_time(site: Site) -> None:
    """All events of one request happen when it began, however long it takes."""

    def handler(visitor: Any, request: Any) -> Any:
        site.clock.advance(seconds=10)
        visitor.track("slow")
        return 200, HTML, [b"x"]

    site.handler = handler
    site.get()
    assert {event["time_us"] for event in site.stored()["history"]} == {int(BEGINNING.timestamp() * 1_000_000)}


class Markup(str):
    """A text of a template engine's own kind."""

    def __getitem__(self, key: Any) -> Markup:
        return Markup(super().__getitem__(key))


class Half(float):
    """A number of a numeric library's own kind."""


class Whole(int):
    """A whole number of a numeric library's own kind."""


class Level(enum.IntEnum):
    """A number of the app's own kind."""

    HIGH = 3


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        pytest.param(Markup("<b>"), "<b>", id="a template's text"),
        pytest.param(Half(0.5), 0.5, id="a library's float"),
        pytest.param(Level.HIGH, 3, id="an enum's number"),
        pytest.param(Whole(3), 3, id="a library's integer"),
        pytest.param(True, True, id="a bool"),
        pytest.param("\ud800", "?", id="no UTF-8"),
        pytest.param("x" * 300, "x" * 256, id="a long text"),
        pytest.param(2**70, str(2**70), id="a large number"),
        pytest.param([1], "[1]", id="a list"),
    ],
)
def test_properties_are_made_to_fit(site: Site, value: object, kept: object) -> None:
    """Long or odd values are cut or written as text, never an error, and the event is not lost."""
    assert site.tracker.visitor(ALIAS).track("look", value=value)
    (event,) = site.stored()["history"]
    assert event["properties"] == {"value": kept}
    assert type(event["properties"]["value"]) is type(kept)


def test_texts_of_a_template_are_taken(site: Site) -> None:
    """Subclasses of str, as Jinja gives them, do wherever a text does."""

    def handler(visitor: Any, request: Any) -> Any:
        visitor.page(title=Markup("Home"), category=Markup("news"))
        visitor.purchase(Markup("CMD-1"), [Item(Markup("a"), Markup("b"), Markup("c"))], currency=Markup("EUR"))
        visitor.refund(Markup("CMD-1"))
        visitor.track(Markup("look"), category=Markup("news"))
        return 200, HTML, [b"x"]

    site.handler = handler
    site.get()
    assert len(site.stored()["history"]) == 4
    assert site.counters()["dropped"] == {}


@pytest.mark.parametrize(
    ("call", "field"),
    [
        pytest.param(lambda visitor: visitor.purchase("", ORDER, currency="EUR"), "order_id", id="no order id"),
        pytest.param(lambda visitor: visitor.purchase("1", [], currency="EUR"), "items", id="no items"),
        pytest.param(lambda visitor: visitor.purchase("1", ORDER, currency="euro"), "currency", id="no currency"),
        pytest.param(lambda visitor: visitor.refund("1", amount=1.5), "amount", id="a float"),
        pytest.param(lambda visitor: item("a", None), "name", id="an item without a name"),
        pytest.param(lambda visitor: item("a", "b", category=1), "category", id="a category that is no text"),
    ],
)
def test_what_cannot_be_recorded_is_refused(site: Site, call: Callable[[Any], object], field: str) -> None:
    """The error names the argument; nothing is recorded."""
    with pytest.raises(EventError) as refused:
        call(site.tracker.visitor(ALIAS))
    assert refused.value.field == field
    assert site.counters()["seen"] == 0


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(datetime(2026, 3, 2), id="no zone"),  # noqa: DTZ001 -- what is refused
        pytest.param(datetime.min.replace(tzinfo=UTC), id="before there was an epoch"),
        pytest.param(datetime.max.replace(tzinfo=UTC), id="after the last year"),
    ],
)
def test_a_time_that_names_no_usable_instant_is_refused(make_site: Any, at: datetime) -> None:
    """`at` is an argument of the app's: a clear error, and nothing recorded."""
    visitor = make_site().tracker.visitor(ALIAS)
    with pytest.raises(EventError) as caught:
        visitor.track("download", at=at)
    assert caught.value.field == "at"
