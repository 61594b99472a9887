"""A transaction of its own on the history file, for a verb that asks nothing else of a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from alias_middleware.storage.sqlite.files import Files

_TIMEOUT_SECONDS = 10.0
"""How long a change waits for the writer's batch and for other processes: theirs take milliseconds."""


@contextmanager
def writing(files: Files) -> Iterator[sqlite3.Connection]:
    """Change the history file; what the block raises undoes it."""
    with files.wrapped() as connection, connection.transaction(_TIMEOUT_SECONDS) as sql:
        yield sql


@contextmanager
def reading(files: Files) -> Iterator[sqlite3.Connection]:
    """Read both files as of one moment."""
    with files.wrapped() as connection, connection.snapshot() as sql:
        yield sql
