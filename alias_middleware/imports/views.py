"""From the lines of a log to page views: the rules of the live service, as far as a log can tell.

Without a content type in the log a path that ends like a picture or a script is no page; a 304 names no type and
is left out, since a log does not have the request's Accept. Prefetches look like page views.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate
from functools import partial
from typing import Any

from alias_middleware.categories import Categories
from alias_middleware.events import PATH_LIMIT, PageView, clean_text, media_type
from alias_middleware.identity import Status, full_key
from alias_middleware.imports.logs import ASSETS, BOTS, Hit, Parser, path_of
from alias_middleware.imports.ordinals import Ordinals
from alias_middleware.keying import keyed
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
        """Read lines with `parse`, those from `until_us` on are refused.

        `key_of` gives the visitor key of an alias; before `attached_on` it is that of another namespace.
        """
        self._parse = parse
        self._until_us = until_us
        self._present = _Population(settings, settings.namespace, key_of)
        self._former, self._attached_day = self._present, 0
        if settings.attachment is not None:
            self._former = _Population(settings, settings.service, former_key_of(settings))
            self._attached_day = settings.attachment.on.toordinal()
        self._source, self._trust = settings.source, settings.trust()
        self._header = settings.source.header.encode()
        self._page_types = settings.page_types
        self._excluded = re.compile("|".join(map(translate, settings.excluded_paths)) or r"(?!)")
        self._categories = Categories(settings.categories) if settings.categories else None
        self._day = LocalDays(settings.tzinfo).day
        self._ordinals = Ordinals()
        self._paths: dict[bytes, tuple[str, str | None] | str] = {}
        self._agents: dict[bytes, bool] = {}

    def read(self, number: int, line: bytes) -> Entry | str:
        """Give the page view of the line `number` (ascending from 0), or why there is none."""
        hit = self._parse(line)
        if hit is None:
            return UNREADABLE if line else "empty"
        if (reason := self._no_page(hit)) is not None:
            return reason
        day = self._day(hit.time_us)
        population = self._present if day >= self._attached_day else self._former
        key = self._visitor(hit, population)
        if key is None:
            return "no alias"
        if self._until_us is not None and hit.time_us >= self._until_us:
            return "live"
        found = self._paths.get(hit.target) or self._path(hit.target)
        if isinstance(found, str):
            return found
        path, category = found
        event = PageView(key, hit.time_us, hit.time_us, day, "web", path, None, category)
        return Entry(population.origin, event, self._ordinals.id_of(number, line))

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

    def _visitor(self, hit: Hit, population: _Population) -> str | None:
        """Recognise the visitor as a live request is: by the same source, from a gateway only."""
        place = (hit.peer, hit.alias)
        keys = population.keys
        if place in keys:
            return keys[place]
        _make_room(keys)
        pairs = [(self._header, hit.alias)] if hit.alias else []
        recognition = self._source.recognise(pairs, hit.peer, self._trust)
        key = None
        if recognition.status is Status.OK and recognition.alias is not None:
            key = population.key_of(recognition.alias)
        keys[place] = key
        return key


def former_key_of(settings: Settings) -> Callable[[str], str]:
    """Give what makes visitor keys of the aliases that the service had of its own before it was attached."""
    return partial(full_key, namespace=settings.service, pseudonym_keys=settings.pseudonym_keys)


class _Population:
    """The visitors of one namespace: where their events come from, and the keys of those just met."""

    def __init__(self, settings: Settings, namespace: str, key_of: Callable[[str], str]) -> None:
        self.key_of = key_of
        self.origin = Origin(settings.service, namespace, settings.visit_gap_us, keyed(settings, namespace))
        self.keys: dict[tuple[str, bytes], str | None] = {}


def _make_room(memory: dict[Any, Any]) -> None:
    """Bound what visitors' own texts cost."""
    if len(memory) >= _REMEMBERED:
        memory.clear()
