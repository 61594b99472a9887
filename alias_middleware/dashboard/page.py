"""What every page needs: the reader's words, where links lead, his session, and the period he looks at."""

from __future__ import annotations

from typing import NamedTuple

from alias_middleware.dashboard.period import Period
from alias_middleware.dashboard.security import Session
from alias_middleware.dashboard.words import Words

_SHOWN = 2


class Page(NamedTuple):
    """One page for one reader. `root` is the path under which the dashboard is mounted, "" or as "/stats".

    `token` is what forms carry; `session` is None where nobody is signed in.
    """

    name: str
    words: Words
    root: str
    token: str = ""
    session: Session | None = None
    period: Period | None = None
    services: tuple[str, ...] = ()
    has_campaigns: bool = False
    query: str = ""

    def link(self, path: str, query: str = "") -> str:
        """Give the path of a page of the dashboard."""
        return f"{self.root}/{path}{f'?{query}' if query else ''}"

    def within(self, path: str, **others: str) -> str:
        """Give the path of a page about the same period."""
        return self.link(path, self.period.query(**others) if self.period else "")

    def alias(self, text: str) -> str:
        """Show an alias or key: shortened, unless the reader has asked for the whole."""
        if self.session is not None and self.session.revealed:
            return text
        return shortened(text)


def shortened(text: str) -> str:
    """Show the two ends of an alias or key."""
    return f"{text[:_SHOWN]}…{text[-_SHOWN:]}"
