"""From the lines of a log to page views: the rules of the live service, as far as a log can tell.

Without a content type in the log a path that ends like a picture or a script is no page; a 304 names no type and
is left out, since a log does not have the request's Accept. Prefetches look like page views.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate
from typing import Any

from alias_middleware.categories import Categories
from alias_middleware.events import PATH_LIMIT, PageView, clean_text, media_type
from alias_middleware.identity import Status
from alias_middleware.imports.logs import ASSETS, BOTS, Hit, Parser, path_of
from alias_middleware.imports.ordinals import Ordinals
from alias_middleware.local_time import LocalDays
from alias_middleware.settings import Settings
from alias_middleware.storage.base import Entry, Origin

_REMEMBERED = 16_384

UNREADABLE = "unreadable"
"""The one reason that makes a line bad: it goes to the file of rejected lines."""


class ViewReader:
    """Makes page views of a log's lines; what is none gets a word that says why."""

    def __init__(
        self,
        parse: Parser,
        settings: Settings,
        *,
        key_of: Callable[[str], str],
        until_us: int | None,
    ) -> None:
        """Read lines with `parse`; `key_of` gives an alias's visitor key, lines from `until_us` on are refused."""
        self._parse = parse
        self._key_of = key_of
        self._until_us = until_us
        self._origin = Origin(settings.service, settings.namespace, settings.visit_gap_us)
        self._source, self._trust = settings.source, settings.trust()
        self._header = settings.source.header.encode()
        self._page_types = settings.page_types
        self._excluded = re.compile("|".join(map(translate, settings.excluded_paths)) or r"(?!)")
        self._categories = Categories(settings.categories) if settings.categories else None
        self._day = LocalDays(settings.tzinfo).day
        self._ordinals = Ordinals()
        self._keys: dict[tuple[str, bytes], str | None] = {}
        self._paths: dict[bytes, tuple[str, str | None] | str] = {}
        self._agents: dict[bytes, bool] = {}

    def read(self, number: int, line: bytes) -> Entry | str:
        """Give the page view of the line `number` (ascending from 0), or why there is none."""
        hit = self._parse(line)
        if hit is None:
            return UNREADABLE if line else "empty"
        if (reason := self._no_page(hit)) is not None:
            return reason
        key = self._visitor(hit)
        if key is None:
            return "no alias"
        if self._until_us is not None and hit.time_us >= self._until_us:
            return "live"
        found = self._paths.get(hit.target) or self._path(hit.target)
        if isinstance(found, str):
            return found
        path, category = found
        event = PageView(key, hit.time_us, hit.time_us, self._day(hit.time_us), "web", path, None, category)
        return Entry(self._origin, event, self._ordinals.id_of(number, line))

    def _no_page(self, hit: Hit) -> str | None:
        """Say why an answer is no page somebody looked at; None when it is one."""
        if hit.method != b"GET":
            return "not GET"
        if not 200 <= hit.status < 300:
            return "status"
        if hit.type is not None and media_type(hit.type) not in self._page_types:
            return "no page"
        known = self._agents.get(hit.agent)
        if known is None:
            _make_room(self._agents)
            known = self._agents[hit.agent] = BOTS.search(hit.agent) is not None
        return "bot" if known else None

    def _path(self, target: bytes) -> tuple[str, str | None] | str:
        """Give path and category of a target, or why it is no page; remembered for the next of it."""
        path = clean_text(path_of(target), PATH_LIMIT)
        found: tuple[str, str | None] | str
        if ASSETS.search(path):
            found = "no page"
        elif self._excluded.match(path):
            found = "excluded"
        else:
            found = path, None if self._categories is None else self._categories.of(path)
        _make_room(self._paths)
        self._paths[target] = found
        return found

    def _visitor(self, hit: Hit) -> str | None:
        """Recognise the visitor as a live request is: by the same source, from a gateway only."""
        place = (hit.peer, hit.alias)
        if place in self._keys:
            return self._keys[place]
        _make_room(self._keys)
        pairs = [(self._header, hit.alias)] if hit.alias else []
        recognition = self._source.recognise(pairs, hit.peer, self._trust)
        key = None
        if recognition.status is Status.OK and recognition.alias is not None:
            key = self._key_of(recognition.alias)
        self._keys[place] = key
        return key


def _make_room(memory: dict[Any, Any]) -> None:
    """Bound what visitors' own texts cost."""
    if len(memory) >= _REMEMBERED:
        memory.clear()
