"""Orders and refunds in the history file: which copy of an order counts, and what is left of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from alias_middleware.events import Purchase, Refund, restore
from alias_middleware.history import Settlement
from alias_middleware.storage.base import Entry, Origin, Outcome
from alias_middleware.storage.chronicle import VisitorRow
from alias_middleware.storage.settling import Kept, Settled, settle_order
from alias_middleware.storage.sqlite.rows import insert_rows, replace_rows
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


class OrderBook:
    """One batch's orders and refunds, visitor by visitor."""

    def __init__(self, sql: sqlite3.Connection, touched: set[tuple[int, int]], tastes: Tastes) -> None:
        """Work in `sql`'s open transaction; a visitor is settled once, and nothing is there before `write`.

        `touched` learns of each (service, day) whose orders change, `tastes` of orders that begin or cease to
        count.
        """
        self._sql = sql
        self._touched = touched
        self._tastes = tastes
        self._orders: list[tuple[object, ...]] = []
        self._refunds: list[tuple[object, ...]] = []

    def write(self) -> None:
        """Write the orders and refunds of the batch, in the order of their keys."""
        replace_rows(self._sql, "orders", sorted(self._orders))
        insert_rows(self._sql, "refunds", sorted(self._refunds))

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
            kept = self._kept(theirs[0].origin, place)
            settled = settle_order(visitor.chronicle, kept, theirs, self._refunded(place), outcome)
            self._keep_refunds(place, theirs)
            if settled is None:
                continue
            self._keep(place, visitor, kept, settled)
            if settled.is_new:
                added.append(settled.entry)
                removed.extend([kept.entry] if kept else [])
        return added, removed

    def _refunded(self, place: tuple[int, int, str]) -> list[int | None]:
        query = "SELECT amount FROM refunds WHERE visitor = ? AND service = ? AND order_id = ?"
        return [amount for (amount,) in self._sql.execute(query, place)]

    def _keep_refunds(self, place: tuple[int, int, str], entries: list[Entry]) -> None:
        self._refunds += [
            (*place, entry.event.time_us, entry.id, entry.event.amount)
            for entry in entries
            if isinstance(entry.event, Refund)
        ]

    def _kept(self, origin: Origin, place: tuple[int, int, str]) -> Kept | None:
        row = self._sql.execute(_SELECT, place).fetchone()
        if row is None:
            return None
        time_us, id_, day, net, cancelled, channel, body = row
        event = restore("p", "", time_us=time_us, day=day, channel=channel, body=body)
        return Kept(Entry(origin, event, id_), Settlement(net, bool(cancelled)))

    def _keep(self, place: tuple[int, int, str], visitor: VisitorRow, kept: Kept | None, settled: Settled) -> None:
        """Write what is left of an order, and tell those who count orders what it was and what it is."""
        for one, sign in ((kept, -1), (settled, 1)):
            if one is not None and isinstance(one.entry.event, Purchase):
                self._touched.add((place[1], one.entry.event.day))
                if not one.settlement.cancelled:
                    self._tastes.order(visitor, one.entry.event, sign)
        order, (net, cancelled) = settled.entry.event, settled.settlement
        if not isinstance(order, Purchase):
            return
        row = (order.time_us, settled.entry.id, order.day, order.currency, order.amount, net, cancelled)
        self._orders.append((*place, *row))
