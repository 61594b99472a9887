"""The Flask extension: configuration from the app, `current_visitor`, and views for recognised visitors only."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from flask import Flask, abort, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.local import LocalProxy

from alias_middleware.errors import SettingsError
from alias_middleware.exchange import Request
from alias_middleware.fields import Profile
from alias_middleware.settings import Settings
from alias_middleware.tracker import Tracker
from alias_middleware.visitor import Visitor
from alias_middleware.wsgi import ENVIRON_KEY, AliasMiddleware

if TYPE_CHECKING:
    from click import Command

EXTENSION = "alias_middleware"
"""The name under which an app keeps the extension's tracker."""

DASHBOARD_PREFIX = "ALIAS_DASHBOARD_PREFIX"
"""Configuration: the path under which the app shows its dashboard, as "/stats"."""

DASHBOARD_PASSWORD = "ALIAS_DASHBOARD_PASSWORD"
"""Configuration or environment: what opens the dashboard."""

_PREFIXES = ("ALIAS_", "FLASK_ALIAS_")
_CLOSE = 0.8
_LISTS = ("TRUSTED_GATEWAYS", "SECRET_KEYS", "PSEUDONYM_KEYS", "PAGE_TYPES", "EXCLUDED_PATHS")
_TEXTS = ("SERVICE", "REFERENCE", "STORAGE", "SPOOL", "ZONE", *_LISTS)

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
View = TypeVar("View", bound=Callable[..., Any])


class Alias:
    """Login-free visitors for a Flask app: `Alias(app)`, or `alias = Alias()` and `alias.init_app(app)`.

    Settings come from keyword arguments, else from the app's configuration as `ALIAS_SERVICE`,
    `ALIAS_TRUSTED_GATEWAYS` and so on, else from environment variables as `FLASK_ALIAS_SERVICE`, whose
    values are JSON or plain text. `ALIAS_DASHBOARD_PREFIX` mounts the dashboard, which `ALIAS_DASHBOARD_PASSWORD`
    opens.
    """

    def __init__(self, app: Flask | None = None, *, tracker: Tracker | None = None, **settings: Any) -> None:
        """Take the settings for every app, or a tracker that is there already.

        Raises:
            SettingsError: a setting is missing or wrong.
        """
        self._given = tracker
        self._settings = settings
        self._unrecognised: Callable[[], ResponseReturnValue] | None = None
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Add the middleware to an app, `current_visitor` to its templates, `flask alias` to its commands.

        Raises:
            SettingsError: a setting is missing or wrong.
        """
        if EXTENSION in app.extensions:
            raise SettingsError(
                "this app has the Alias extension already: the inner one would see strangers only", setting="app"
            )
        tracker = self._given if self._given is not None else Tracker(**self._settings_of(app))
        app.extensions[EXTENSION] = tracker
        app.wsgi_app = AliasMiddleware(app.wsgi_app, tracker=tracker)  # type: ignore[method-assign]
        if prefix := _dashboard_prefix(app):
            app.wsgi_app = _with_dashboard(app, prefix, tracker)  # type: ignore[method-assign]
        app.context_processor(lambda: {"current_visitor": current_visitor})
        app.cli.add_command(_commands(tracker))

    def _settings_of(self, app: Flask) -> dict[str, Any]:
        settings = {"raise_errors": bool(app.debug or app.testing)}
        for name in Settings.__struct_fields__:
            found, value = _configured(app, name.upper())
            if found:
                settings[name] = value
        _refuse_misspelt(app)
        return {**settings, **self._settings}

    @property
    def tracker(self) -> Tracker:
        """The tracker of the current app."""
        return _tracker()

    def required(self, view: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
        """Serve a view to recognised visitors only; others get 403, or what `unrecognised` answers."""

        @wraps(view)
        def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
            if not current_visitor:
                if self._unrecognised is None:
                    abort(403)
                return cast(Answer, current_app.ensure_sync(self._unrecognised)())
            return cast(Answer, current_app.ensure_sync(view)(*args, **kwargs))

        return guarded

    def unrecognised(self, view: View) -> View:
        """Answer with this view where `required` meets somebody who is not recognised."""
        self._unrecognised = view
        return view

    def page(
        self, *, category: str | None = None, title: str | None = None
    ) -> Callable[[Callable[Arguments, Answer]], Callable[Arguments, Answer]]:
        """Say what a view's page shows, as `visitor.page` does."""

        def decorate(view: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
            @wraps(view)
            def annotated(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
                current_visitor.page(category=category, title=title)
                return cast(Answer, current_app.ensure_sync(view)(*args, **kwargs))

            return annotated

        return decorate


def _commands(tracker: Tracker) -> Command:
    """Make `flask alias`, imported only now: most programs that import this module are no command lines."""
    from alias_middleware.cli.commands import for_app

    return for_app(tracker)


def _dashboard_prefix(app: Flask) -> str:
    """Give the path under which the dashboard is mounted, "" where it is not.

    Raises:
        SettingsError: no path of at least one segment.
    """
    prefix = _option(app, DASHBOARD_PREFIX).rstrip("/")
    if prefix and not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+", prefix):
        raise SettingsError("a path such as /stats", setting=DASHBOARD_PREFIX)
    return prefix


def _option(app: Flask, name: str) -> str:
    return str(app.config.get(name) or os.environ.get(f"FLASK_{name}") or "")


def _with_dashboard(app: Flask, prefix: str, tracker: Tracker) -> Any:
    """Mount the dashboard outside the middleware: looking at the figures is no page view."""
    from alias_middleware.dashboard import dashboard
    from alias_middleware.dashboard.wsgi import Mounted

    return Mounted(app.wsgi_app, prefix, dashboard(tracker, password=_option(app, DASHBOARD_PASSWORD) or None))


def _tracker() -> Tracker:
    tracker = current_app.extensions.get(EXTENSION)
    if not isinstance(tracker, Tracker):
        raise SettingsError("this app has no Alias extension: call Alias(app)", setting="app")
    return tracker


_current_request = request._get_current_object  # type: ignore[attr-defined]
"""Gives the request itself: each attribute by way of Flask's own proxy takes 2 µs, as much as all of a profile."""


def _visitor() -> Visitor:
    """The request's visitor; a stranger where a test made a request context without the middleware."""
    visitor: Visitor | None = _current_request().environ.get(ENVIRON_KEY)
    if visitor is None:
        stranger = Request(noticed=[], peer=None, method=request.method, path=request.path, secure=False)
        visitor = _tracker().exchange(stranger).visitor
        request.environ[ENVIRON_KEY] = visitor
    return visitor


class _CurrentVisitor(LocalProxy[Visitor]):
    """The proxy, with a way of its own to what is asked for most: werkzeug's takes four calls more."""

    __slots__ = ()

    @property
    def profile(self) -> Profile:
        return _visitor().profile


current_visitor = cast(Visitor, _CurrentVisitor(_visitor))
"""The visitor of the request being served."""


def _configured(app: Flask, name: str) -> tuple[bool, Any]:
    """Look a setting up: in the app's configuration, then in the environment."""
    for prefix in _PREFIXES:
        if prefix + name in app.config:
            return True, _plain(name, app.config[prefix + name])
    text = os.environ.get(f"FLASK_ALIAS_{name}")
    if text is None:
        return False, None
    try:
        return True, _plain(name, json.loads(text))
    except ValueError:
        return True, _plain(name, text)


def _plain(name: str, value: Any) -> Any:
    """Take a setting as it is written where all is text or JSON: a list with commas, a pair as a list, True."""
    if name in _TEXTS and type(value) is int:
        value = str(value)
    if name not in _TEXTS and value in ("True", "False"):
        return value == "True"
    if isinstance(value, str) and name in _LISTS:
        return [part.strip() for part in value.split(",") if part.strip()]
    return tuple(value) if name == "GATEWAY_SECRET" and isinstance(value, list) else value


def _refuse_misspelt(app: Flask) -> None:
    """Refuse a key of configuration or environment that is nearly a setting: it would be overlooked in silence."""
    known = [f"ALIAS_{name.upper()}" for name in Settings.__struct_fields__]
    known += [DASHBOARD_PREFIX, DASHBOARD_PASSWORD]
    for key in [*app.config, *(name for name in os.environ if name.startswith("FLASK_ALIAS_"))]:
        plain = key.removeprefix("FLASK_")
        if plain.startswith("ALIAS_") and plain not in known:
            close = difflib.get_close_matches(plain, known, n=1, cutoff=_CLOSE)
            if close:
                raise SettingsError(f"no such setting; did you mean {close[0]}?", setting=key)
