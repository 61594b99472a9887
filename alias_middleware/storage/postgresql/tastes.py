"""Everybody's sums per category in PostgreSQL, and since when services record live."""

from __future__ import annotations

from collections.abc import Mapping

from alias_middleware.interests import Sums
from alias_middleware.storage.postgresql.arrays import columns_of
from alias_middleware.storage.postgresql.pool import Connection
from alias_middleware.storage.replacing import LiveTime
from alias_middleware.storage.tastes import Tastes

_SELECT = "SELECT category, recent, whole FROM category_sums WHERE namespace = %s"
_ADD = """
    INSERT INTO category_sums (namespace, category, recent, whole)
    SELECT * FROM unnest(%s::text[], %s::bytea[], %s::double precision[], %s::bigint[])
    ON CONFLICT (namespace, category) DO UPDATE SET
        recent = category_sums.recent + excluded.recent, whole = category_sums.whole + excluded.whole
"""
_NOBODY = "DELETE FROM category_sums WHERE whole <= 0"  # what is left of the decayed sum is rounding
_BEGIN_LIVE = """
    INSERT INTO live (service, since_us, earliest_us) SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[])
    ON CONFLICT (service) DO UPDATE SET since_us = excluded.since_us
"""
LIVE = "SELECT service, since_us, coalesce(earliest_us, since_us) FROM live"
_LIVE = "SELECT since_us FROM live WHERE service = %s"


def write(connection: Connection, tastes: Tastes) -> None:
    """Add to everybody's sums."""
    rows = [(namespace, category.encode(), *sums) for (namespace, category), sums in sorted(tastes.sums.items())]
    if rows:
        connection.execute(_ADD, columns_of(rows))
    if tastes.lessens:
        connection.execute(_NOBODY)


def read(connection: Connection, namespace: str) -> dict[str, Sums]:
    """Give everybody's sums in a namespace."""
    rows = connection.execute(_SELECT, (namespace,), binary=True).fetchall()
    return {category.decode(): Sums(recent, whole) for category, recent, whole in rows}


def begin_live(connection: Connection, begun: Mapping[str, LiveTime]) -> None:
    """Keep since when services record page views live."""
    if begun:
        connection.execute(_BEGIN_LIVE, columns_of((service, *live) for service, live in sorted(begun.items())))


def live_since(connection: Connection, service: str) -> int | None:
    """Give the time of a service's first live page view."""
    row = connection.execute(_LIVE, (service,)).fetchone()
    return row[0] if row else None
