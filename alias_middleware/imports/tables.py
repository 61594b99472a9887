"""One line of a CSV file that a publisher holds: an order, or a profile, by alias.

A record is one line: a quoted cell may not go over several. The first line names the columns.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from hashlib import blake2b

from alias_middleware.errors import EventError, SettingsError
from alias_middleware.events import Item, Purchase, check_order_id, event_time
from alias_middleware.identity import Source
from alias_middleware.imports.records import OrderLine
from alias_middleware.imports.views import UNREADABLE, former_key_of
from alias_middleware.keying import keyed
from alias_middleware.local_time import LocalDays, to_micros
from alias_middleware.profile import Operation, ProfileChange
from alias_middleware.settings import Settings
from alias_middleware.storage.base import LateChange, Origin

ORDER_COLUMNS = ("alias", "order_id", "time", "currency", "amount")
"""What a table of orders must have; a line is one item, whose `sku`, `name` and `category` may be there too."""

_PERSONAL = "personal."


class _Table:
    """Reads the header and then the cells of each line."""

    def __init__(self, required: Sequence[str]) -> None:
        self._required = required
        self.columns: list[str] = []

    def cells(self, line: bytes) -> dict[str, str] | None:
        """Give a line's cells by column; None for the header and for a line that does not fit it.

        Raises:
            SettingsError: the header lacks a column.
        """
        try:
            [row] = csv.reader([line.decode("utf-8-sig")], strict=True)
        except (csv.Error, ValueError):
            return None
        if self.columns:
            return dict(zip(self.columns, row, strict=True)) if len(row) == len(self.columns) else None
        self.columns = [name.strip() for name in row]
        missing = [name for name in self._required if name not in self.columns]
        if missing or len(set(self.columns)) < len(self.columns):
            raise SettingsError(
                f"the first line must name the columns {', '.join(self._required)}", setting="file"
            )
        return None


class _Keys:
    """Makes visitor keys in the service's present namespace, and in the one it had before it was attached."""

    def __init__(self, settings: Settings, key_of: Callable[[str], str]) -> None:
        self._namespace = settings.namespace
        self._present, self._former = key_of, former_key_of(settings)

    def __call__(self, namespace: str) -> Callable[[str], str]:
        return self._present if namespace == self._namespace else self._former


class AliasReader:
    """Reads the aliases of a table's lines: opt-outs from before."""

    def __init__(self, settings: Settings) -> None:
        """Take the aliases that the service's source could have given."""
        self._accepts = settings.source.accepts
        self._table = _Table(["alias"])

    def read(self, number: int, line: bytes) -> str | None:
        """Give a line's alias; None for the header and an empty line, "" for a line that names no alias.

        Raises:
            SettingsError: the header lacks the column.
        """
        cells = self._table.cells(line)
        if cells is None:
            return None if number == 0 or not line.strip() else ""
        alias = cells["alias"].strip()
        return alias if self._accepts(alias) else ""


class OrderReader:
    """Reads the items of orders: one a line, its time with a zone."""

    def __init__(self, settings: Settings, *, key_of: Callable[[str], str]) -> None:
        """Read orders of the service that `settings` name; `key_of` gives an alias's visitor key.

        Aliases are those of the time of the order: before `attached_on` the service's own.
        """
        self._table = _Table(ORDER_COLUMNS)
        self._source: Source = settings.source
        self._keys = _Keys(settings, key_of)
        self._settings = settings
        self._day = LocalDays(settings.tzinfo).day

    def read(self, number: int, line: bytes) -> OrderLine | str:
        """Give a line's item with the order it is of, or why there is none."""
        header = not self._table.columns
        cells = self._table.cells(line)
        if cells is None:
            return "header" if header and self._table.columns else "empty" if not line else UNREADABLE
        alias, order_id = cells["alias"], cells["order_id"]
        try:
            check_order_id(order_id)
        except EventError:
            return UNREADABLE
        if not self._source.accepts(alias):
            return UNREADABLE
        try:
            return self._item(cells, line)
        except (EventError, ValueError, InvalidOperation):
            return OrderLine(alias, order_id, line)

    def _item(self, cells: dict[str, str], line: bytes) -> OrderLine:
        """Read the cells of one item.

        Raises:
            EventError, ValueError, InvalidOperation: they cannot be read.
        """
        alias, order_id = cells["alias"], cells["order_id"]
        time_us = event_time(datetime.fromisoformat(cells["time"]))
        sku = cells.get("sku") or "imported"
        item = Item(sku, cells.get("name") or sku, cells.get("category") or None, Decimal(cells["amount"]))
        day = self._day(time_us)
        settings = self._settings
        namespace = settings.namespace_on(day)
        origin = Origin(settings.service, namespace, settings.visit_gap_us, keyed(settings, namespace))
        key = self._keys(namespace)(alias)
        purchase = Purchase(key, time_us, time_us, day, "web", order_id, cells["currency"], (item,))
        return OrderLine(alias, order_id, line, origin, purchase)


class ProfileReader:
    """Makes profile changes of a table's lines: each column is a preference, `personal.name` a personal field.

    Empty cells say nothing. A value is set as of `time_us`, or of the column `time`: what the visitor changed
    since stays, and the same file again changes nothing. Aliases are those of that time: before `attached_on`
    the service's own.
    """

    def __init__(self, settings: Settings, *, key_of: Callable[[str], str], time_us: int) -> None:
        """Read profiles of the namespace that `settings` name; `key_of` gives an alias's visitor key."""
        self._table = _Table(("alias",))
        self._source: Source = settings.source
        self._settings = settings
        self._day = LocalDays(settings.tzinfo).day
        self._keys = _Keys(settings, key_of)
        self._time_us = time_us

    def read(self, number: int, line: bytes) -> LateChange | str:
        """Give a line's change, or why there is none."""
        header = not self._table.columns
        cells = self._table.cells(line)
        if cells is None:
            return "header" if header and self._table.columns else "empty" if not line else UNREADABLE
        try:
            said = cells.pop("time", "")
            time_us = to_micros(datetime.fromisoformat(said)) if said else self._time_us
        except ValueError:
            return UNREADABLE
        alias = cells.pop("alias")
        if not self._source.accepts(alias):
            return UNREADABLE
        operations = tuple(_set(name, value) for name, value in cells.items() if name and value)
        namespace = self._settings.namespace_on(self._day(time_us))
        change = ProfileChange(self._keys(namespace)(alias), time_us, time_us, operations)
        digest = blake2b(b"%d\0%b" % (number, line), digest_size=8).digest()
        return LateChange(namespace, change, int.from_bytes(digest) >> 1, keyed(self._settings, namespace))


def _set(column: str, value: str) -> Operation:
    if column.startswith(_PERSONAL):
        return Operation("set", "personal", column.removeprefix(_PERSONAL), value)
    return Operation("set", "preferences", column, value)
