"""Two PostgreSQL servers for the tests of this folder: Debian's, and the one that PyPI brings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.support.postgresql import (
    PostgreSQLServer,
    debian_programs,
    packaged_programs,
    postgresql_server,
)

_numbers = count(1)


@pytest.fixture(scope="session")
def debian_postgresql() -> Iterator[PostgreSQLServer]:
    """Debian's PostgreSQL (15 in Debian 12)."""
    with postgresql_server(debian_programs()) as server:
        yield server


@pytest.fixture(scope="session")
def packaged_postgresql() -> Iterator[PostgreSQLServer]:
    """PyPI's PostgreSQL (18)."""
    with postgresql_server(packaged_programs()) as server:
        yield server
