"""The server's advisory locks by which processes of all machines take turns, each known by a number of its name.

They are the schema's own: another site's in the same database has others.
"""

from __future__ import annotations

from alias_middleware.storage.postgresql.pool import Connection

_NUMBER = "hashtextextended(concat_ws(' ', current_schema(), '{}'{}), 0)"
_OF_TWO = ", %s::text, %s::text"

_HISTORY = f"SELECT pg_advisory_xact_lock({_NUMBER.format('history', '')})"
_TURN = "INSERT INTO moves VALUES ('turn', '') ON CONFLICT (name) DO UPDATE SET value = excluded.value"


def take_turn(connection: Connection) -> None:
    """Be the only one to change history until the transaction ends: it is read before it is changed.

    The lock is the server's that is talked to. The row is on every machine of a cluster: where one was cut off
    between an earlier transaction's promise and its end, it is waited for, and not read as if nothing had been.
    """
    connection.execute(_HISTORY.encode())
    connection.execute(_TURN)


NUMBERS = f"SELECT pg_advisory_xact_lock({_NUMBER.format('numbers', '')})"
"""Whoever gives visitors numbers."""

VISITOR = f"SELECT pg_advisory_xact_lock({_NUMBER.format('visitor', _OF_TWO)})"
"""Of (namespace, key): who judges a message to a visitor and who takes his STOP down take turns."""

QUOTA = f"SELECT pg_advisory_xact_lock({_NUMBER.format('quota', _OF_TWO)})"
"""Of (scope, month): whoever spends a conversion."""

RUN = f"SELECT pg_try_advisory_lock({_NUMBER.format('run', _OF_TWO)})"
"""Of (service, campaign): who runs it, for as long as his connection lasts; tells whether it is ours."""
