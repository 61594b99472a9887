"""The SQLite storage's URL: the file that it names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from alias_middleware.errors import SettingsError


def path_of(url: str) -> Path:
    """Give the file of a URL.

    Raises:
        SettingsError: it names none.
    """
    parts = urlsplit(url)
    path = unquote(parts.path.removeprefix("/"))
    if parts.netloc or parts.query or parts.fragment or not path or path.endswith("/") or path == ":memory:":
        raise SettingsError(
            "SQLite wants a file: sqlite:///alias.db (relative) or sqlite:////var/lib/site/alias.db (absolute)",
            setting="storage",
        )
    return Path(path)
