"""What makes no sense in an address or a form, in words that can be translated."""

from __future__ import annotations

from typing import Literal

What = Literal["period", "service", "channel", "history", "message", "token", "language", "form", "request"]


class NonsenseError(ValueError):
    """Something that a reader sent cannot be answered. `what` names the text that says why."""

    def __init__(self, what: What) -> None:
        """Say what."""
        super().__init__(what)
        self.what = what
