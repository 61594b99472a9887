"""What an error report may say of a struct: reporters show the locals of every frame."""

from __future__ import annotations

from typing import Any


class Discreet:
    """For structs whose `__repr__` keeps something to itself.

    rich, which frameworks use to show an error, asks every struct for its fields, and only where it gets none for
    that text.
    """

    __slots__ = ()

    def __rich_repr__(self) -> Any:
        """Give no fields."""
        return None
