"""Where the commands get their tracker from: options and environment variables, or a Flask app."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any
from zoneinfo import ZoneInfo

import click
import msgspec

from alias_middleware.cli.app import tracker_of_app
from alias_middleware.errors import SettingsError, StorageUnavailable, describe
from alias_middleware.settings import Settings
from alias_middleware.tracker import Tracker

KEYS = ("secret_keys", "pseudonym_keys")
"""Settings that come from the environment only: an option would show in the list of processes."""

OPTIONS = {
    "storage": "URL of the storage",
    "service": "name of the Gallery service",
    "reference": "the service whose aliases it shares",
    "attached_on": "first local day on which it shared them, if not always",
    "spool": "folder of the spool, if not the storage's own",
    "zone": "time zone of local dates",
}
"""The settings that are options, each also an environment variable: ALIAS_STORAGE and so on."""


class Source:
    """Opens a tracker for one command, with the settings that its options gave."""

    def __init__(self, make: Callable[[dict[str, Any]], Tracker]) -> None:
        """Call `make` with the settings given."""
        self._make = make
        self.given: dict[str, Any] = {}

    @contextmanager
    def opened(self) -> Iterator[Tracker]:
        """Give the tracker and close it afterwards.

        Raises:
            SettingsError: the settings are no use to another process than the site's.
        """
        tracker = self._make(self.given)
        try:
            if not tracker.storage.abilities.shared:
                raise SettingsError("this one is seen by the site's own process only", setting="storage")
            yield tracker
        finally:
            tracker.close()


def tracker_of_options(given: dict[str, Any]) -> Tracker:
    """Make a tracker that no request ever reaches, so that nobody needs to be trusted; or find an app's own."""
    if reference := given.get("app"):
        return tracker_of_app(reference)
    return Tracker(**settings_of_options(given), raise_errors=True)


def settings_of_options(given: dict[str, Any]) -> dict[str, Any]:
    """Give the settings that options and environment variables name.

    Raises:
        SettingsError: the service is not named.
    """
    keys: dict[str, Any] = {
        name: value.split(",") for name in KEYS if (value := os.environ.get(f"ALIAS_{name.upper()}"))
    }
    if not given.get("service"):
        raise SettingsError("name it with --service or in ALIAS_SERVICE", setting="service")
    return {**keys, "trusted_gateways": [], **given}


def with_options(command: click.Command, names: Sequence[str]) -> click.Command:
    """Give a copy of a command that takes settings as options."""
    command = copy(command)
    command.params = [*command.params, *map(_option, names)]
    return command


def with_app(command: click.Command, names: Sequence[str] = tuple(OPTIONS)) -> click.Command:
    """Give a copy of a command, or of a group's, whose settings are options or those of an app."""
    if isinstance(command, click.Group):
        group = copy(command)
        group.commands = {name: with_app(each, names) for name, each in command.commands.items()}
        if not group.invoke_without_command:
            return group
        command = group
    command = with_options(command, names)
    command.params.append(app_option())
    return command


def app_option() -> click.Option:
    """Make the option that names an app."""

    def keep(context: click.Context, option: click.Parameter, value: str | None) -> None:
        if value is not None and isinstance(context.obj, Source):
            context.obj.given["app"] = value

    return click.Option(
        ["--app"],
        metavar="MODULE:NAME",
        expose_value=False,
        callback=keep,
        help="The site's app, whose settings are taken instead of options.",
    )


def _option(name: str) -> click.Option:
    def keep(context: click.Context, option: click.Parameter, value: str | None) -> None:
        if value is not None and isinstance(context.obj, Source):
            context.obj.given[name] = value

    return click.Option(
        [f"--{name.replace('_', '-')}"],
        envvar=f"ALIAS_{name.upper()}",
        show_envvar=True,
        expose_value=False,
        callback=keep,
        help=OPTIONS[name] + _default(name),
    )


def _default(name: str) -> str:
    default = next(field.default for field in msgspec.structs.fields(Settings) if field.name == name)
    return f" [default: {default}]" if isinstance(default, str) else ""


def require_data(tracker: Tracker) -> None:
    """Refuse a storage on this machine that is not there: a mistyped path would show noughts.

    Raises:
        StorageUnavailable: neither the storage's file nor the spool exists.
    """
    path = getattr(tracker.storage, "path", None)
    spool = tracker.settings.spool or tracker.storage.spool_folder
    if path is not None and spool is not None and not path.exists() and not spool.exists():
        raise StorageUnavailable(f"there is no {path}", reason="missing")


def zone_of(tracker: Tracker) -> ZoneInfo:
    """Give the service's time zone."""
    return ZoneInfo(tracker.settings.zone)


def one_line(error: Exception) -> str:
    """Say what went wrong in one line."""
    if isinstance(error, OSError):
        return f"{error.strerror or describe(error)}{f': {error.filename}' if error.filename else ''}"
    text = str(error) if isinstance(error, SettingsError) else describe(error).partition(": ")[2]
    return " ".join(text.split())
