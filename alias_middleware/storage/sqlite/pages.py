"""Numbers for pages that many visitors view, so that a page view's row names its page in a few bytes.

A page gets a number when a second visitor views it: what only one person saw stays in his own rows and goes with
them, and paths that never come twice fill no table.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from alias_middleware.events import Channel, Event, PageView, body_of, restore
from alias_middleware.habits import rest_of_line
from alias_middleware.rollups.days import Shown

_MOST_NUMBERED = 50_000
_MOST_SEEN_ONCE = 10_000
_MOST_SHOWN = 4096

Key = tuple[str, str | None, str | None]
"""Path, title and category."""

_decode_shown = msgspec.json.Decoder(Shown).decode
_encode_shown = msgspec.json.Encoder().encode


class PageNumbers:
    """The numbers the writer knows."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._numbers: dict[Key, int] = {}
        self._seen_by: dict[Key, int] = {}
        self._newest = 0
        self.shown: dict[Key, tuple[int | bytes, bytes]] = {}
        """What `show` gives for pages with a number, for who asks it of every event."""

    def begin(self, sql: sqlite3.Connection, *, anew: bool) -> None:
        """Begin a batch in `sql`'s open transaction; with `anew` what is known is read again."""
        self._sql = sql
        if anew:
            rows = sql.execute("SELECT path, title, category, id FROM pages LIMIT ?", (_MOST_NUMBERED,))
            self._numbers = {(path, title, category): id_ for path, title, category, id_ in rows}
            self._newest = sql.execute("SELECT ifnull(max(id), 0) FROM pages").fetchone()[0]
            self._seen_by.clear()
            self.shown.clear()

    def show(self, page: Key, view: PageView, visitor: int) -> tuple[int | bytes, bytes]:
        """Give `body` and, of the page view's line among a visitor's habits, what says which page it is."""
        body, rest = self.body(view, visitor), rest_of_line(body_of(view))
        if isinstance(body, int):
            if len(self.shown) >= _MOST_SHOWN:
                self.shown.clear()
            self.shown[page] = body, rest
        return body, rest

    def body(self, view: PageView, visitor: int) -> int | bytes:
        """Give what the row of a page view by a visitor says of its page: the page's number, or all of it."""
        key = (view.path, view.title, view.category)
        return self._numbers.get(key) or self._seen(key, visitor) or body_of(view)

    def shortened(self, body: bytes, visitor: int) -> int | bytes:
        """Give the same for a body that is made already."""
        key = _decode_shown(body)
        return self._numbers.get(key) or self._seen(key, visitor) or body

    def _seen(self, key: Key, visitor: int) -> int | None:
        """Give a page without a number one, if another visitor saw it before."""
        if len(self._numbers) >= _MOST_NUMBERED:
            return None
        if len(self._seen_by) >= _MOST_SEEN_ONCE:
            self._seen_by.clear()
        return self._give_number(key) if self._seen_by.setdefault(key, visitor) != visitor else None

    def _give_number(self, key: Key) -> int:
        self._newest += 1
        self._sql.execute("INSERT INTO pages VALUES (?, ?, ?, ?)", (self._newest, *key))
        self._numbers[key] = self._newest
        del self._seen_by[key]
        return self._newest


class ShownPages:
    """What the rows of page views say they showed; each page is looked up once."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        """Look up in `sql`, as of one moment."""
        self._sql = sql
        self._known: dict[int | bytes, Shown] = {}

    def shown(self, body: int | bytes) -> Shown:
        """Give what a row's body stands for."""
        shown = self._known.get(body)
        if shown is None:
            shown = self._known[body] = self._look_up(body)
        return shown

    def event(self, kind: str, key: str, *, time_us: int, day: int, channel: Channel, body: Any) -> Event:
        """Rebuild an event from the columns of its row."""
        if kind == "v":
            return PageView(key, time_us, time_us, day, channel, *self.shown(body))
        return restore(kind, key, time_us=time_us, day=day, channel=channel, body=body)

    def spelled(self, number: int) -> bytes:
        """Give the body that a page's number stands for."""
        return _encode_shown(self.shown(number))

    def _look_up(self, body: int | bytes) -> Shown:
        if isinstance(body, bytes):
            return _decode_shown(body)
        row = self._sql.execute("SELECT path, title, category FROM pages WHERE id = ?", (body,)).fetchone()
        if row is None:
            raise msgspec.DecodeError("a page view has the number of no page")
        return Shown(*row)
