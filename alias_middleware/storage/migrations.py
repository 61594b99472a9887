"""What a storage offers that keeps its data in tables made by numbered migrations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable


@runtime_checkable
class Migrates(Protocol):
    """A storage whose tables `alias-middleware migrate` makes. `distributed`: spread over many machines."""

    def migrate(self, *, distributed: bool = False) -> int:
        """Bring the tables up to date and give the number of steps taken.

        Raises:
            StorageUnavailable: the server does not let us.
        """

    def ddl(self, *, distributed: bool = False) -> Iterator[str]:
        """Give every statement that makes up-to-date tables from nothing, without asking the server."""
