"""Which category a path belongs to, by the patterns of the settings. Pure but for a bounded memory of paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import translate

_PATHS_REMEMBERED = 4096


class Categories:
    """Patterns as in `excluded_paths`, each with its category; the first that matches a path wins."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        """Compile `patterns`, as {"/sport/*": "sport"}."""
        self._names = list(patterns.values())
        self._pattern = re.compile("|".join(f"({translate(pattern)})" for pattern in patterns))
        self._known: dict[str, str | None] = {}

    def of(self, path: str) -> str | None:
        """Give a path's category, None where no pattern matches."""
        known = self._known
        if path in known:
            return known[path]
        if len(known) >= _PATHS_REMEMBERED:  # paths are the visitors' own: bound what they cost
            known.clear()
        match = self._pattern.match(path)
        category = known[path] = None if match is None else self._names[(match.lastindex or 1) - 1]
        return category
