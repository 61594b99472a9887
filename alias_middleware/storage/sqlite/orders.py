"""Orders and refunds in the history file: which copy of an order counts, and what is left of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import NamedTuple

from alias_middleware.events import Purchase, Refund, restore
from alias_middleware.history import Settlement, settle
from alias_middleware.storage.base import Entry, Origin, Outcome
from alias_middleware.storage.chronicle import VisitorRow
from alias_middleware.storage.tastes import Tastes

Service = Callable[[Origin], tuple[int, int]]
"""Gives a service's id and visit gap."""

_SELECT = """
    SELECT o.time_us, o.id, o.day, o.net, o.cancelled, e.channel, e.body
    FROM orders o JOIN events e
        ON e.day = o.day AND e.visitor = o.visitor AND e.time_us = o.time_us AND e.id = o.id
    WHERE o.visitor = ? AND o.service = ? AND o.order_id = ?
"""

_MONEY = (Purchase, Refund)


class _Kept(NamedTuple):
    """The copy of an order that counts so far."""

    entry: Entry
    settled: Settlement


class OrderBook:
    """One batch's orders and refunds, visitor by visitor."""

    def __init__(self, sql: sqlite3.Connection, touched: set[tuple[int, int]], tastes: Tastes) -> None:
        """Work in `sql`'s open transaction.

        `touched` learns of each (service, day) whose orders change, `tastes` of orders that begin or cease to
        count.
        """
        self._sql = sql
        self._touched = touched
        self._tastes = tastes

    def settle(
        self, visitor: VisitorRow, entries: list[Entry], service: Service, outcome: Outcome
    ) -> tuple[list[Entry], list[Entry]]:
        """Settle what a visitor's entries say of orders.

        Gives the entries to store, and the stored copies of orders that earlier ones replace. Counts every
        entry's outcome.
        """
        if not any(isinstance(entry.event, _MONEY) for entry in entries):
            outcome.stored += len(entries)
            return entries, []
        added = [entry for entry in entries if not isinstance(entry.event, Purchase)]
        removed: list[Entry] = []
        outcome.stored += len(added)
        orders: dict[tuple[int, str], list[Entry]] = {}
        for entry in entries:
            if isinstance(entry.event, _MONEY):
                orders.setdefault((service(entry.origin)[0], entry.event.order_id), []).append(entry)
        for (service_id, order_id), theirs in orders.items():
            place = (visitor.id, service_id, order_id)
            self._keep_refunds(place, theirs)
            kept = self._kept(theirs[0].origin, place)
            winner = self._winner(kept, theirs, outcome)
            if winner is not None:
                added.append(winner)
                removed.extend([kept.entry] if kept else [])
            self._resettle(place, visitor, kept, winner)
        return added, removed

    def _keep_refunds(self, place: tuple[int, int, str], entries: list[Entry]) -> None:
        self._sql.executemany(
            "INSERT INTO refunds VALUES (?, ?, ?, ?, ?, ?)",
            [
                (*place, entry.event.time_us, entry.id, entry.event.amount)
                for entry in entries
                if isinstance(entry.event, Refund)
            ],
        )

    def _kept(self, origin: Origin, place: tuple[int, int, str]) -> _Kept | None:
        row = self._sql.execute(_SELECT, place).fetchone()
        if row is None:
            return None
        time_us, id_, day, net, cancelled, channel, body = row
        event = restore("p", "", time_us=time_us, day=day, channel=channel, body=body)
        return _Kept(Entry(origin, event, id_), Settlement(net, bool(cancelled)))

    def _winner(self, kept: _Kept | None, entries: list[Entry], outcome: Outcome) -> Entry | None:
        """The new copy of an order that is to count, None when there is none or the stored one stays."""
        copies = [entry for entry in entries if isinstance(entry.event, Purchase)]
        if not copies:
            return None
        least = min(copies, key=_when)
        counted = kept.entry if kept is not None else least
        outcome.stored += kept is None
        outcome.deduplicated += len(copies) - (kept is None)
        outcome.conflicts += sum(_differ(copy, counted) for copy in copies)
        return least if kept is None or _when(least) < _when(kept.entry) else None

    def _resettle(
        self, place: tuple[int, int, str], visitor: VisitorRow, kept: _Kept | None, winner: Entry | None
    ) -> None:
        """Write what is left of the order now and move knowledge from what it was to what it is."""
        knowledge = visitor.chronicle
        entry = winner or (kept.entry if kept else None)
        if entry is None or not isinstance(entry.event, Purchase):
            return
        refunds = self._sql.execute(
            "SELECT amount FROM refunds WHERE visitor = ? AND service = ? AND order_id = ?", place
        )
        order = entry.event
        settled = settle(order.amount, (amount for (amount,) in refunds))
        self._touched.add((place[1], order.day))
        if kept is not None and isinstance(kept.entry.event, Purchase):
            self._touched.add((place[1], kept.entry.event.day))
            knowledge.orders -= not kept.settled.cancelled
            knowledge.earn(kept.entry.event.currency, -kept.settled.net)
            if not kept.settled.cancelled:
                self._tastes.order(visitor, kept.entry.event, -1)
        if not settled.cancelled:
            self._tastes.order(visitor, order, 1)
        knowledge.orders += not settled.cancelled
        knowledge.earn(order.currency, settled.net)
        self._sql.execute(
            "INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *place,
                order.time_us,
                entry.id,
                order.day,
                order.currency,
                order.amount,
                settled.net,
                settled.cancelled,
            ),
        )


def _when(entry: Entry) -> tuple[int, int]:
    return entry.event.time_us, entry.id


def _differ(copy: Entry, counted: Entry) -> bool:
    one, other = copy.event, counted.event
    return isinstance(one, Purchase) and isinstance(other, Purchase) and not one.same_order(other)
