"""The server's advisory locks by which processes of all machines take turns, each known by a number of its name.

They are the schema's own: another site's in the same database has others.
"""

from __future__ import annotations

_NUMBER = "hashtextextended(concat_ws(' ', current_schema(), '{}'{}), 0)"
_OF_TWO = ", %s::text, %s::text"

HISTORY = f"SELECT pg_advisory_xact_lock({_NUMBER.format('history', '')})"
"""Batches and erasures take turns: each reads history before it changes it."""

NUMBERS = f"SELECT pg_advisory_xact_lock({_NUMBER.format('numbers', '')})"
"""Whoever gives visitors numbers."""

VISITOR = f"SELECT pg_advisory_xact_lock({_NUMBER.format('visitor', _OF_TWO)})"
"""Of (namespace, key): who judges a message to a visitor and who takes his STOP down take turns."""

QUOTA = f"SELECT pg_advisory_xact_lock({_NUMBER.format('quota', _OF_TWO)})"
"""Of (scope, month): whoever spends a conversion."""

RUN = f"SELECT pg_try_advisory_lock({_NUMBER.format('run', _OF_TWO)})"
"""Of (service, campaign): who runs it, for as long as his connection lasts; tells whether it is ours."""
