"""Pictures of figures as Vega-Lite specifications. No figure is computed here, and nothing drawn.

Colours are custom properties of the style sheet, so that light, dark and print need no other picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

Row = Mapping[str, Any]
Locale = Literal["en-GB", "fr-FR"]

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_LOCALES: Mapping[str, Locale] = {"en": "en-GB", "fr": "fr-FR"}
_WIDTH = 420
_HEIGHT = 150
_DATE = "%-d %b"
_PALEST = 20  # per cent

_INK, _LINE, _QUIET = "var(--ink-2)", "var(--line)", "var(--quiet)"
_NOW, _BEFORE = "var(--chart-1)", "var(--chart-2)"
_CONFIG = {
    "background": None,
    "font": "inherit",
    "aria": False,
    "view": {"stroke": None},
    "axis": {
        "labelColor": _INK,
        "titleColor": _INK,
        "gridColor": _LINE,
        "domainColor": _LINE,
        "tickColor": _LINE,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "legend": {
        "labelColor": _INK,
        "labelFontSize": 12,
        "labelLimit": 0,
        "orient": "top",
        "title": None,
        "symbolStrokeWidth": 3,
    },
}

_FIT = {"type": "fit-x", "contains": "padding"}
"""Every picture is as wide as the others, so that their texts are as large."""


class Chart(NamedTuple):
    """A picture to be drawn: its Vega-Lite specification as JSON, and whose numbers and dates it shows."""

    specification: bytes
    locale: Locale


def trend(rows: Iterable[Row], *, now: str, before: str, language: str) -> Chart:
    """Draw a figure over time, and what it is compared with, dashed.

    Rows have `day` (ISO), `value`, and `kind`, which is `now` or `before`.
    """
    kind = {"field": "kind", "type": "nominal", "title": None}
    domain = [now, before]
    return _chart(
        {
            "data": {"values": list(rows)},
            "width": _WIDTH,
            "height": _HEIGHT,
            "mark": {"type": "line", "strokeWidth": 2.5, "point": {"size": 22}},
            "encoding": {
                "x": {
                    "field": "day",
                    "type": "temporal",
                    "title": None,
                    "axis": {"grid": False, "tickCount": 5, "format": _DATE},
                },
                "y": {"field": "value", "type": "quantitative", "title": None, "axis": {"tickCount": 5}},
                "color": {
                    **kind,
                    "scale": {"domain": domain, "range": [_NOW, _BEFORE]},
                    "legend": {"symbolType": "stroke"},
                },
                "strokeDash": {**kind, "scale": {"domain": domain, "range": [[1, 0], [5, 4]]}},
            },
        },
        language,
    )


def ranking(rows: Sequence[Row], *, language: str) -> Chart:
    """Draw bars, the longest first. Rows have `name` and `value`."""
    return _chart(
        {
            "data": {"values": list(rows)},
            "width": _WIDTH,
            "height": {"step": 22},
            "mark": {"type": "bar", "color": _NOW, "cornerRadiusEnd": 2},
            "encoding": {
                "y": {
                    "field": "name",
                    "type": "nominal",
                    "sort": None,
                    "title": None,
                    "axis": {"labelLimit": 150},
                },
                "x": {"field": "value", "type": "quantitative", "title": None, "axis": {"tickCount": 4}},
            },
        },
        language,
    )


def histogram(rows: Sequence[Row], *, x: str, y: str, language: str) -> Chart:
    """Draw the bars of a distribution, in its own order. Rows have `name` and `value`; `x` and `y` are titles."""
    return _chart(
        {
            "data": {"values": list(rows)},
            "width": _WIDTH,
            "height": _HEIGHT,
            "mark": {"type": "bar", "color": _NOW, "cornerRadiusEnd": 2},
            "encoding": {
                "x": {
                    "field": "name",
                    "type": "nominal",
                    "sort": None,
                    "title": x,
                    "axis": {"labelAngle": -40, "labelOverlap": False},
                },
                "y": {"field": "value", "type": "quantitative", "title": y, "axis": {"tickCount": 5}},
            },
        },
        language,
    )


def week(rows: Sequence[Row], *, days: Sequence[str], x: str, language: str) -> Chart:
    """Draw the hours of the week, the more visits the darker; quiet hours are hatched by a frame and a tint.

    Rows have `day` (one of `days`), `hour`, `value` and `quiet`.
    """
    place = {
        "x": {
            "field": "hour",
            "type": "ordinal",
            "title": x,
            "axis": {"labelAngle": 0, "values": [0, 4, 8, 12, 16, 20]},
        },
        "y": {"field": "day", "type": "ordinal", "sort": list(days), "title": None},
    }
    amount = {"field": "value", "type": "quantitative", "scale": {"range": [0.06, 1]}, "legend": None}
    only_quiet = [{"filter": "datum.quiet"}]
    return _chart(
        {
            "data": {"values": list(rows)},
            "width": _WIDTH,
            "height": {"step": 20},
            "layer": [
                {"transform": only_quiet, "mark": {"type": "rect", "color": _QUIET}, "encoding": place},
                {
                    "mark": {"type": "rect", "color": _NOW, "width": {"band": 0.72}, "height": {"band": 0.72}},
                    "encoding": {**place, "opacity": amount},
                },
            ],
        },
        language,
    )


def steps(rows: Sequence[Row], *, order: Sequence[str], language: str) -> Chart:
    """Draw a group of bars for each campaign. Rows have `campaign`, `step` (one of `order`) and `value`."""
    return _chart(
        {
            "data": {"values": list(rows)},
            "width": _WIDTH,
            "height": {"step": 11},
            "mark": {"type": "bar", "cornerRadiusEnd": 2},
            "encoding": {
                "y": {
                    "field": "campaign",
                    "type": "nominal",
                    "sort": None,
                    "title": None,
                    "axis": {"labelLimit": 150},
                },
                "yOffset": {"field": "step", "sort": list(order)},
                "x": {"field": "value", "type": "quantitative", "title": None, "axis": {"tickCount": 5}},
                "color": {
                    "field": "step",
                    "type": "nominal",
                    "sort": list(order),
                    "scale": {"type": "ordinal", "domain": list(order), "range": list(_shades(len(order)))},
                    "legend": {"columns": 4, "symbolStrokeWidth": 0},
                },
            },
        },
        language,
    )


def _shades(number: int) -> Iterator[str]:
    """Give so many shades of one colour, the last one its own; they hide the grid behind them."""
    for place in range(1, number + 1):
        part = _PALEST + (100 - _PALEST) * place // number
        yield f"color-mix(in srgb, {_NOW} {part}%, var(--paper))"


def samples() -> list[Chart]:
    """Give a small picture in each language: drawing them gets a process ready for others."""
    return [histogram([{"name": "", "value": 0}], x="", y="", language=language) for language in _LOCALES]


def _chart(specification: dict[str, Any], language: str) -> Chart:
    whole = {"$schema": _SCHEMA, "config": _CONFIG, "padding": 4, "autosize": _FIT, **specification}
    return Chart(msgspec.json.encode(whole), _LOCALES[language])
