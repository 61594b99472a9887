"""What the commands show, laid out as tables; the same values go out as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from alias_middleware.cli.output import Sheet
from alias_middleware.cli.tables import Table
from alias_middleware.local_time import from_micros
from alias_middleware.money import from_millionths
from alias_middleware.statistics import Summary
from alias_middleware.statistics.definitions import SUMMARY
from alias_middleware.storage.base import Difference

_EVENT_DETAILS = (
    "path",
    "title",
    "name",
    "category",
    "order_id",
    "currency",
    "short_code",
    "text",
    "offer",
    "command",
)
_EVENT_COLUMNS = (
    "time",
    "type",
    "channel",
    "path",
    "title",
    "category",
    "name",
    "properties",
    "order_id",
    "currency",
    "items",
    "refunded",
    "short_code",
    "text",
    "command",
    "paid",
    "offer",
)
_KEPT = {
    "suppressions": ("Opt-outs", ("scope", "reason", "channel")),
    "dispatches": ("Messages of campaigns", ("service", "campaign", "state", "reason")),
    "disclosures": ("Shown to", ("what", "requester", "reason")),
}
"""The lists of an export that have times: the table's title, and the members shown beside the time."""


def summary_table(summary: Summary) -> Table:
    """Lay out the figures of an interval, each with its definition."""
    title = f"{summary.service}, from {summary.since} to {summary.until} (exclusive), {summary.zone}"
    rows = [(_words(name), _figure(getattr(summary, name)), SUMMARY[name]) for name in SUMMARY]
    return Table(title, ("figure", "value", "definition"), rows, numbers=frozenset({1}))


def summary_document(summary: Summary) -> dict[str, Any]:
    """Give the figures and their definitions as plain JSON values; money as exact text."""
    document: dict[str, Any] = msgspec.to_builtins(summary)
    return {**document, "definitions": SUMMARY}


def visitor_tables(document: Mapping[str, Any], zone: ZoneInfo) -> list[Table]:
    """Lay out what is stored of a visitor; times in the service's zone."""
    knowledge = document["knowledge"]
    known = [
        ("first seen", _moment(knowledge["first_seen"], zone)),
        ("last seen", _moment(knowledge["last_seen"], zone)),
        *((_words(name), str(knowledge[name])) for name in ("visits", "page_views", "orders")),
        ("revenue", _figure({name: from_millionths(sum_) for name, sum_ in knowledge["revenue"].items()})),
    ]
    return [
        Table("Knowledge", ("what", "value"), known),
        *(
            Table(area.capitalize(), ("field", "value"), [(name, _json(value)) for name, value in fields.items()])
            for area in ("preferences", "personal")
            if (fields := document[area])
        ),
        *_consent_tables(document["consents"], zone),
        *_habit_tables(document.get("habits", {})),
        *_kept_tables(document, zone),
        *_history_tables(document["history"], zone),
    ]


def is_known(document: Mapping[str, Any]) -> bool:
    """Tell whether anything is stored of the visitor of an export; that he was asked about is nothing."""
    said = ("preferences", "personal", "consents", "history", "suppressions", "dispatches")
    return document["knowledge"]["first_seen"] is not None or any(document[name] for name in said)


def _habit_tables(habits: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """Lay out what his pages and orders add up to."""
    categories = [
        (name, str(each["pages"]), str(each["carts"]), str(each["purchases"]))
        for name, each in habits.get("categories", {}).items()
    ]
    pages = [(path, each["title"] or "-") for path, each in habits.get("pages", {}).items()]
    columns = ("category", "pages", "carts", "purchases")
    return [
        *([Table("Habits", columns, categories, numbers=frozenset({1, 2, 3}))] if categories else []),
        *([Table("Pages he goes to", ("path", "title"), pages)] if pages else []),
    ]


def _kept_tables(document: Mapping[str, Any], zone: ZoneInfo) -> list[Table]:
    """Lay out what forbids contacting him, what was sent to him, and who was shown all this."""
    tables = []
    for name, (title, members) in _KEPT.items():
        rows = [
            (_moment(each["time_us"], zone), *(str(each[member]) or "-" for member in members))
            for each in document.get(name, ())
        ]
        if rows:
            tables.append(Table(title, ("time", *members), rows))
    return tables


def _consent_tables(consents: Mapping[str, list[list[Any]]], zone: ZoneInfo) -> list[Table]:
    rows = [
        (purpose, "yes" if granted else "no", _moment(time_us, zone), source or "-")
        for purpose, said in consents.items()
        for granted, time_us, source in said
    ]
    return [Table("Consents", ("purpose", "answer", "time", "source"), rows)] if rows else []


def _history_tables(history: list[dict[str, Any]], zone: ZoneInfo) -> list[Table]:
    rows = [(_moment(event["time_us"], zone), event["type"], _details(event)) for event in history]
    return [Table("History, newest first", ("time", "event", "details"), rows)] if rows else []


def history_sheet(history: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> Sheet:
    """Lay out events, a column for whatever one of them may have; what has parts of its own is JSON."""
    rows = []
    for event in history:
        refunded = event.get("amount")
        cells = {
            **event,
            "time": from_micros(event["time_us"]).astimezone(zone),
            "refunded": None if refunded is None else from_millionths(refunded),
        }
        rows.append([_cell(cells.get(name)) for name in _EVENT_COLUMNS])
    return Sheet(_EVENT_COLUMNS, rows)


def _cell(value: object) -> object:
    return _json(value) if isinstance(value, bool | dict | list) else value


def _details(event: Mapping[str, Any]) -> str:
    details = [str(event[name]) for name in _EVENT_DETAILS if event.get(name) is not None]
    if (refunded := event.get("amount")) is not None:
        details.append(str(from_millionths(refunded)))
    details += [f"{item['quantity']} × {item['sku']} at {item['price']}" for item in event.get("items", ())]
    details += [f"{name}={_json(value)}" for name, value in event.get("properties", {}).items()]
    return "  ".join(details)


def differences_table(differences: Sequence[Difference]) -> Table:
    """Lay out what does not equal the raw events."""
    title = "Differences from the raw events" if differences else "Everything equals the raw events"
    columns, rows = differences_sheet(differences)
    return Table(title, columns, [["-" if part is None else str(part) for part in row] for row in rows])


def differences_sheet(differences: Sequence[Difference]) -> Sheet:
    """Lay out the same as exact values."""
    rows = [
        (*each[:2], None if each.day is None else date.fromordinal(each.day), *each[3:]) for each in differences
    ]
    return Sheet(Difference._fields, rows)


def counters_table(counters: Mapping[str, int | Mapping[str, int]]) -> Table:
    """Lay out the counters, those of a group under its name."""
    rows: list[tuple[str, str]] = []
    for name, count in counters.items():
        if isinstance(count, int):
            rows.append((name, str(count)))
        else:
            rows += [(f"{name}[{member}]", str(number)) for member, number in count.items()]
    return Table("Counters", ("counter", "value"), rows, numbers=frozenset({1}))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _figure(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{amount} {currency}" for currency, amount in value.items()) or "-"
    return "-" if value is None else str(value)


def _json(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _moment(micros: int | None, zone: ZoneInfo) -> str:
    moment: datetime | None = None if micros is None else from_micros(micros).astimezone(zone)
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"
