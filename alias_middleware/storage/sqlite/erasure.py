"""Erasing a visitor from the two files, in steps that a crash can only delay.

First the preferences go and their tombstone notes that history is still to be erased; then history goes,
with a tombstone of its own; then the note is cleared. Whoever finds a note finishes the work.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from alias_middleware.identity import stored_part
from alias_middleware.storage.chronicle import Chronicle, decode_chronicle
from alias_middleware.storage.sqlite import tastes
from alias_middleware.storage.sqlite.frozen import retire_number, thaw_visitor
from alias_middleware.storage.sqlite.marks import ServiceDay, mark_changed
from alias_middleware.storage.sqlite.pseudonyms import forget_lasting
from alias_middleware.storage.sqlite.recollection import draw
from alias_middleware.storage.sqlite.seals import forget_seals
from alias_middleware.storage.sqlite.shelf import Renew

TOMBSTONE = "tombstone"
"""The purpose under which erased visitors are hashed."""

_CHRONICLE = """
    SELECT id, knowledge, habits FROM visitors JOIN chronicles ON visitor = id WHERE namespace = ? AND key = ?
"""


def erase_preferences(  # noqa: PLR0917 -- a step of one transaction, as those below
    sql: sqlite3.Connection, namespace: str, key: str, hashes: Sequence[bytes], time_us: int, renew: Renew
) -> dict[str, int]:
    """Delete the profile and note that history is still to be erased. `hashes`: newest first."""
    before = erased_at(sql, "preferences", namespace, hashes) or 0
    _clear(sql, "preferences", namespace, hashes)
    sql.execute(
        "INSERT INTO preferences.tombstones VALUES (?, ?, ?, ?)",
        (namespace, hashes[0], max(before, time_us), key),
    )
    stored = stored_part(key)
    renew(namespace, stored)
    forget_lasting(sql, "preferences", namespace, stored)
    cursor = sql.execute("DELETE FROM preferences.profiles WHERE namespace = ? AND key = ?", (namespace, stored))
    return {"profiles": cursor.rowcount}


def erase_history(
    sql: sqlite3.Connection, namespace: str, key: str, hashes: Sequence[bytes], time_us: int
) -> dict[str, int]:
    """Delete everything recorded of the visitor and leave a tombstone."""
    before = erased_at(sql, "main", namespace, hashes) or 0
    _clear(sql, "main", namespace, hashes)
    sql.execute("INSERT INTO main.tombstones VALUES (?, ?, ?)", (namespace, hashes[0], max(before, time_us)))
    return forget(sql, namespace, stored_part(key), from_frozen=True)


def forget(sql: sqlite3.Connection, namespace: str, key: str, *, from_frozen: bool) -> dict[str, int]:
    """Delete everything recorded of the visitor, and `from_frozen` days take him out; give the rows gone by table.

    Nobody else ever gets his number, which frozen days may still have, and whatever read the views for others.
    """
    forget_lasting(sql, "main", namespace, key)
    sealed = forget_seals(sql, namespace, key)
    row = sql.execute(_CHRONICLE, (namespace, key)).fetchone()
    if row is None:
        return {"events": 0, "orders": 0, "refunds": 0, "arrivals": 0, "visitors": 0, "sealed_aliases": sealed}
    draw(sql)
    visitor, chronicle = row[0], decode_chronicle(row[1])
    tastes.forget(sql, namespace, row[2])
    retire_number(sql, visitor)
    if from_frozen:
        thaw_visitor(sql, visitor, chronicle)
    gone = {"sealed_aliases": sealed, "events": _erase_events(sql, visitor, chronicle)}
    for table in ("orders", "refunds"):
        gone[table] = sql.execute(f"DELETE FROM {table} WHERE visitor = ?", (visitor,)).rowcount
    gone["arrivals"] = sum(
        sql.execute(
            "DELETE FROM arrivals WHERE service = ? AND day = ? AND visitor = ?",
            (service, presence.first_day, visitor),
        ).rowcount
        for service, presence in chronicle.presence.items()
    )
    sql.execute("DELETE FROM chronicles WHERE visitor = ?", (visitor,))
    gone["visitors"] = sql.execute(
        "DELETE FROM visitors WHERE namespace = ? AND key = ?", (namespace, key)
    ).rowcount
    return gone


def _erase_events(sql: sqlite3.Connection, visitor: int, chronicle: Chronicle) -> int:
    """Delete raw events day by day and mark their days as changed."""
    gone = 0
    touched: set[ServiceDay] = set()
    for day in range(chronicle.days[0], chronicle.days[1] + 1):
        place = (day, visitor)
        services = sql.execute(
            "SELECT DISTINCT service FROM events WHERE day = ? AND visitor = ?", place
        ).fetchall()
        if services:
            gone += sql.execute("DELETE FROM events WHERE day = ? AND visitor = ?", place).rowcount
            touched.update((service, day) for (service,) in services)
    mark_changed(sql, touched, 0)
    return gone


def mark_finished(sql: sqlite3.Connection, namespace: str, key: str, time_us: int) -> None:
    """Clear the note, but not that of a later erasure: nothing of the visitor's key is left."""
    sql.execute(
        "UPDATE preferences.tombstones SET unfinished_key = NULL "
        "WHERE namespace = ? AND unfinished_key = ? AND erased_us <= ?",
        (namespace, key, time_us),
    )


def unfinished(sql: sqlite3.Connection) -> list[tuple[str, str, int]]:
    """Give the (namespace, key, time) of erasures that a crash cut short."""
    rows: list[tuple[str, str, int]] = sql.execute(
        "SELECT namespace, unfinished_key, erased_us FROM preferences.tombstones WHERE unfinished_key IS NOT NULL"
    ).fetchall()
    return rows


def erased_at(sql: sqlite3.Connection, schema: str, namespace: str, hashes: Sequence[bytes]) -> int | None:
    """Give the latest erasure that one file knows of, under whichever key."""
    times = [
        row[0]
        for hash_ in hashes
        for row in sql.execute(
            f"SELECT erased_us FROM {schema}.tombstones WHERE namespace = ? AND hash = ?", (namespace, hash_)
        )
    ]
    return max(times, default=None)


def _clear(sql: sqlite3.Connection, schema: str, namespace: str, hashes: Sequence[bytes]) -> None:
    """Make room for the tombstone under the newest key."""
    sql.executemany(
        f"DELETE FROM {schema}.tombstones WHERE namespace = ? AND hash = ?",
        [(namespace, hash_) for hash_ in hashes],
    )
