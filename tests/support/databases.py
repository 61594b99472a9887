"""A SQLite file as its own program would open it: to look into, or to change behind the storage's back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def sqlite_file(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a file; what was changed is committed at the end, and the file closed."""
    with closing(sqlite3.connect(path)) as sql, sql:
        yield sql
