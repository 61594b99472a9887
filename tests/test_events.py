"""What may be recorded: page views by the rules, money exactly, orders checked, everything else cut to size."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alias_middleware.errors import EventError
from alias_middleware.events import (
    PAGE_TYPES,
    AnyEvent,
    Item,
    Message,
    PageView,
    Purchase,
    Refund,
    TrackedEvent,
    Unsubscription,
    body_of,
    check_order,
    check_order_id,
    check_refund,
    clean_optional,
    clean_properties,
    clean_text,
    is_page_view,
    is_prefetch,
    kind_of,
    media_type,
    names_page,
    restore,
)
from alias_middleware.money import from_millionths, to_millionths
from alias_middleware.records import Identified, decode_record, encode_record

BROWSER = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("request_and_answer", "counts"),
    [
        pytest.param({}, True, id="a page"),
        pytest.param({"content_type": "application/xhtml+xml"}, True, id="XHTML"),
        pytest.param({"content_type": "application/vnd.wap.xhtml+xml"}, True, id="XHTML mobile profile"),
        pytest.param({"content_type": "text/vnd.wap.wml"}, True, id="WML"),
        pytest.param({"content_type": "Text/HTML ; charset=utf-8"}, True, id="case and parameters"),
        pytest.param({"content_type": "text/htmlx"}, False, id="another type"),
        pytest.param({"content_type": ""}, False, id="no type"),
        pytest.param({"content_type": "application/json"}, False, id="JSON"),
        pytest.param({"content_type": "image/vnd.wap.wbmp"}, False, id="an image"),
        pytest.param({"content_type": "application/json", "annotated": True}, False, id="annotated JSON"),
        pytest.param({"method": "HEAD"}, False, id="HEAD"),
        pytest.param({"method": "OPTIONS"}, False, id="OPTIONS"),
        pytest.param({"method": "POST"}, False, id="POST"),
        pytest.param({"method": "get"}, False, id="methods are case-sensitive"),
        pytest.param({"status": 299}, True, id="any 2xx"),
        pytest.param({"status": 199}, False, id="1xx"),
        pytest.param({"status": 300}, False, id="300"),
        pytest.param({"status": 302}, False, id="a redirect"),
        pytest.param({"status": 404}, False, id="not found"),
        pytest.param({"status": 500}, False, id="an error"),
        pytest.param({"status": 304, "content_type": ""}, True, id="304, Accept names a page type"),
        pytest.param({"status": 304, "content_type": "", "accept": "*/*"}, False, id="304, any type accepted"),
        pytest.param({"status": 304, "content_type": "", "accept": ""}, False, id="304, no Accept"),
        pytest.param(
            {"status": 304, "content_type": "", "accept": "image/png, text/vnd.wap.wml;q=0.5"},
            True,
            id="304, WML among others",
        ),
        pytest.param({"status": 304, "accept": "", "annotated": True}, True, id="304, annotated by the app"),
        pytest.param(
            {"status": 304, "method": "HEAD", "annotated": True}, False, id="304 to HEAD, annotated by the app"
        ),
    ],
)
def test_what_counts_as_a_page_view(request_and_answer: dict[str, Any], counts: bool) -> None:
    """A GET answered 2xx with a page type, or 304 where something says that it was a page."""
    usual: dict[str, Any] = {
        "method": "GET",
        "status": 200,
        "content_type": "text/html",
        "accept": BROWSER,
        "annotated": False,
    }
    asked = usual | request_and_answer
    named = asked.pop("annotated") | names_page(asked.pop("accept"), PAGE_TYPES)
    assert is_page_view(**asked, named=named, page_types=PAGE_TYPES) is counts


def test_page_types_are_a_setting() -> None:
    """Other types than the usual ones can be pages."""
    asked: dict[str, Any] = {"method": "GET", "status": 200, "named": False}
    types = frozenset({"application/pdf"})
    assert is_page_view(**asked, content_type="application/pdf", page_types=types)
    assert not is_page_view(**asked, content_type="text/html", page_types=types)


@pytest.mark.parametrize(
    ("value", "answer"),
    [(b"prefetch", True), (b"Prefetch;anonymous-client-ip", True), (b"preview", False), (b"", False)],
)
def test_prefetch(value: bytes, answer: bool) -> None:
    """Nobody looks at what is fetched ahead."""
    assert is_prefetch(value) is answer


def test_media_type() -> None:
    """Parameters and case do not make another type."""
    assert media_type(" Text/HTML ; charset=UTF-8") == "text/html"


amounts = st.integers(-(10**15), 10**15)


@given(amounts)
def test_money_comes_back_exactly(amount: int) -> None:
    """Every amount is a Decimal of at least two places and back, without loss."""
    value = from_millionths(amount)
    assert to_millionths(value, field="x") == amount
    assert value * 1_000_000 == amount
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    assert -6 <= exponent <= -2
    assert exponent == -2 or value.as_tuple().digits[-1] != 0


@given(amounts)
def test_money_ignores_the_apps_decimal_context(amount: int) -> None:
    """An app may round its own arithmetic to two digits and trap what is inexact."""
    exact = from_millionths(amount)
    with decimal.localcontext(prec=2) as context:
        context.traps[decimal.Inexact] = context.traps[decimal.Rounded] = True
        assert from_millionths(amount).compare_total(exact) == 0
        assert to_millionths(exact, field="x") == amount


@given(st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False))
def test_money_is_exact_or_refused(value: Decimal) -> None:
    """Nothing is rounded: what a millionth cannot hold is an error."""
    try:
        millionths = to_millionths(value, field="price")
    except EventError:
        numerator, denominator = value.as_integer_ratio()
        assert (numerator * 1_000_000) % denominator != 0
    else:
        assert Decimal(millionths) == value.scaleb(6, decimal.Context(prec=60))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(1.5, id="float"),
        pytest.param("1.50", id="text"),
        pytest.param(True, id="bool"),
        pytest.param(None, id="None"),
        pytest.param(Decimal("NaN"), id="not a number"),
        pytest.param(Decimal("sNaN"), id="signalling"),
        pytest.param(Decimal("-Infinity"), id="infinity"),
        pytest.param(Decimal("0.0000001"), id="finer than a millionth"),
        pytest.param(Decimal("1e-999999"), id="tiny, at no cost"),
        pytest.param(Decimal("1e999999"), id="huge, at no cost"),
        pytest.param(Decimal("1000000000.000001"), id="past a thousand million"),
        pytest.param(10**9 + 1, id="an int past a thousand million"),
    ],
)
def test_unusable_money(value: Any) -> None:
    """The error names the field."""
    with pytest.raises(EventError) as raised:
        to_millionths(value, field="price")
    assert raised.value.field == "price"


@pytest.mark.parametrize("value", [0, Decimal("0e-99"), Decimal("-0.00"), Decimal("0e99")])
def test_zero_is_zero(value: Decimal | int) -> None:
    """However it is written."""
    assert to_millionths(value, field="x") == 0


def test_the_amount_of_an_order() -> None:
    """Prices times quantities, discounts as lines below zero."""
    lines = (Item("a", "A", price=Decimal("1.25"), quantity=3), Item("d", "Discount", price=Decimal("-0.5")))
    order = Purchase("k", 0, 0, 1, "web", "O", "EUR", lines)
    assert [line.amount for line in lines] == [3_750_000, -500_000]
    assert (order.amount, order.total) == (3_250_000, Decimal("3.25"))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        pytest.param({"sku": ""}, "sku", id="no sku"),
        pytest.param({"sku": 42}, "sku", id="a number as sku"),
        pytest.param({"quantity": 0}, "quantity", id="none of it"),
        pytest.param({"quantity": True}, "quantity", id="a bool as quantity"),
        pytest.param({"quantity": 1.0}, "quantity", id="a float as quantity"),
        pytest.param({"price": 3.0}, "price", id="a float as price"),
    ],
)
def test_unusable_items(arguments: dict[str, Any], field: str) -> None:
    """The line is refused where it is made, with the field's name."""
    usable: dict[str, Any] = {"sku": "a", "name": "A", "price": Decimal(1)}
    with pytest.raises(EventError) as raised:
        Item(**(usable | arguments))
    assert raised.value.field == field


ITEM = Item("a", "A", price=Decimal(1))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        pytest.param({"order_id": ""}, "order_id", id="no order id"),
        pytest.param({"order_id": 7}, "order_id", id="a number as order id"),
        pytest.param({"order_id": "x" * 129}, "order_id", id="too long an order id, never cut"),
        pytest.param({"order_id": "a\ud800"}, "order_id", id="an order id that is no UTF-8"),
        pytest.param({"currency": "eur"}, "currency", id="lower case"),
        pytest.param({"currency": "EUR\n"}, "currency", id="a line end"),
        pytest.param({"currency": "EURO"}, "currency", id="four letters"),
        pytest.param({"currency": None}, "currency", id="no currency"),
        pytest.param({"items": []}, "items", id="no line"),
        pytest.param({"items": [("a", 1)]}, "items", id="a line that is no Item"),
        pytest.param({"items": [ITEM] * 1001}, "items", id="too many lines"),
        pytest.param({"items": [Item("a", "A", price=Decimal(-1))]}, "items", id="below zero in all"),
        pytest.param({"items": [Item("a", "A", price=Decimal(10**9), quantity=2)]}, "items", id="too much in all"),
    ],
)
def test_unusable_orders(arguments: dict[str, Any], field: str) -> None:
    """The error names the argument."""
    usable: dict[str, Any] = {"order_id": "O", "items": [ITEM], "currency": "EUR"}
    with pytest.raises(EventError) as raised:
        check_order(**(usable | arguments))
    assert raised.value.field == field


def test_usable_orders() -> None:
    """Items come from any iterable; the largest order id fits; nothing may cost nothing."""
    assert check_order("x" * 128, iter([ITEM, ITEM]), "EUR") == (ITEM, ITEM)
    assert check_order("é", [Item("a", "A")], "CHF")[0].amount == 0
    assert check_order_id("CMD-1042") == "CMD-1042"


@pytest.mark.parametrize("amount", [0, -1, Decimal("-0.01"), 1.0])
def test_unusable_refunds(amount: Any) -> None:
    """A refund gives money back, exactly."""
    with pytest.raises(EventError) as raised:
        check_refund(amount)
    assert raised.value.field == "amount"


def test_usable_refunds() -> None:
    """A partial refund is kept in millionths."""
    assert check_refund(Decimal("1.5")) == 1_500_000


@given(st.text(st.characters()) | st.integers() | st.binary(), st.integers(1, 20))
def test_any_value_becomes_a_short_text(value: object, limit: int) -> None:
    """Long or odd values are cut, never an error; what is written can be read."""
    cleaned = clean_text(value, limit)
    assert len(cleaned) <= limit
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned
    assert clean_text(cleaned, limit) == cleaned


def test_a_text_may_be_missing() -> None:
    """None stays None and is not the text None."""
    assert clean_optional(None, 3) is None
    assert clean_optional("abcd", 3) == "abc"
    assert clean_text("a\ud800b", 9) == "a?b"


def test_properties_are_kept_small_and_plain() -> None:
    """Numbers, truth and None stay what they are, the rest becomes short text; at most 32."""
    odd = {"n": 1, "f": 1.5, "b": True, "o": None, "t": "x" * 300, "big": 2**70, "l": [1], "nan": float("nan")}
    kept = clean_properties({**odd, "y" * 100: 1})
    assert kept == {
        "n": 1,
        "f": 1.5,
        "b": True,
        "o": None,
        "t": "x" * 256,
        "big": str(2**70),
        "l": "[1]",
        "nan": "nan",
        "y" * 64: 1,
    }
    assert len(clean_properties({str(number): number for number in range(99)})) == 32


texts = st.text(max_size=20)
values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
items = st.builds(
    Item,
    sku=st.text(min_size=1, max_size=9),
    name=texts,
    category=st.none() | texts,
    price=st.integers(-(10**15), 10**15).map(from_millionths),
    quantity=st.integers(1, 99),
)
common = (
    texts,
    st.integers(0, 2**52),
    st.integers(0, 2**52),
    st.integers(1, 10**6),
    st.sampled_from(["web", "sms"]),
)
events: st.SearchStrategy[AnyEvent] = st.one_of(
    st.builds(PageView, *common, texts, st.none() | texts, st.none() | texts),
    st.builds(TrackedEvent, *common, texts, st.none() | texts, st.dictionaries(texts, values)),
    st.builds(Purchase, *common, texts, texts, st.lists(items, max_size=3).map(tuple)),
    st.builds(Refund, *common, texts, st.none() | st.integers(1, 2**53)),
    st.builds(Message, *common, texts, texts, st.none() | texts, st.none() | texts, st.booleans()),
    st.builds(Unsubscription, *common, texts),
)


@given(events)
def test_a_stored_event_comes_back(event: AnyEvent) -> None:
    """From its columns and its body an event is rebuilt whole, but for the beginning of its request."""
    back = restore(
        kind_of(event),
        event.key,
        time_us=event.time_us,
        day=event.day,
        channel=event.channel,
        body=body_of(event),
    )
    assert type(back) is type(event)
    assert back == replace(event, begun_us=event.time_us)


@given(events)
def test_a_spooled_event_comes_back(event: AnyEvent) -> None:
    """The spool's coding loses nothing, nor the id that an event brings along."""
    assert decode_record(encode_record(event)) == event
    identified = Identified(2**63 - 1, event)
    assert decode_record(encode_record(identified)) == identified
