"""Finding the tracker of a site by its reference, as servers name it: `package.module:application`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from alias_middleware.errors import SettingsError, describe
from alias_middleware.tracker import Tracker

_EXTENSION = "alias_middleware"
_MOST_LAYERS = 50


def tracker_of_app(reference: str) -> Tracker:
    """Import a site and give its tracker; one that its framework has yet to make is made from its settings.

    Raises:
        SettingsError: there is no such app, or it has no alias_middleware.
    """
    module, _, name = reference.partition(":")
    if not module or not name:
        raise SettingsError("say MODULE:NAME, as shop.wsgi:application", setting="app")
    sys.path.insert(0, "")  # the folder we are in, as servers have it
    try:
        app: Any = import_module(module)
        for part in name.split("."):
            app = getattr(app, part)
    except SettingsError:
        raise
    except Exception as error:
        raise SettingsError(f"{reference} cannot be imported: {describe(error)}", setting="app") from error
    finally:
        sys.path.remove("")
    for tracker in _trackers(app):
        return tracker
    raise SettingsError(f"{reference} has no AliasMiddleware", setting="app")


def _trackers(app: Any) -> Iterator[Tracker]:
    """Look through an app and whatever it is wrapped in, from the outside."""
    for _ in range(_MOST_LAYERS):
        if isinstance(app, Tracker):
            yield app
        yield from _own(app)
        app = getattr(app, "app", None) or getattr(app, "wsgi_app", None)
        if app is None:
            return


def _own(app: Any) -> Iterator[Tracker]:
    """Look at one layer: middleware, a Flask app, or a Starlette app, which makes its middleware late."""
    extensions = getattr(app, "extensions", None)
    found = extensions.get(_EXTENSION) if isinstance(extensions, dict) else getattr(app, "tracker", None)
    if isinstance(found, Tracker):
        yield found
    for planned in getattr(app, "user_middleware", None) or ():
        made_by = getattr(planned, "cls", None)
        if getattr(made_by, "__module__", "") == "alias_middleware.asgi":
            settings = dict(planned.kwargs)
            given = settings.pop("tracker", None)
            yield given if isinstance(given, Tracker) else Tracker(**settings)
