"""A transaction of its own on the history file, and a lock beside it, for verbs that ask nothing else."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alias_middleware.errors import StorageUnavailable
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


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock, which goes with the process; `locked` where somebody else holds it."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageUnavailable("another process runs this campaign", reason="locked") from error
        yield
    finally:
        os.close(descriptor)
