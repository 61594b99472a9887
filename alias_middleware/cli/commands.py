"""The commands, the same for `alias-middleware` and for `flask alias`.

Exit codes: 0 done, 1 the storage or something else failed, 2 the command or a setting is wrong.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from alias_middleware.cli import views
from alias_middleware.cli.copying import copy
from alias_middleware.cli.dashboard import dashboard
from alias_middleware.cli.doctor import app_doctor, standalone_doctor
from alias_middleware.cli.habits import habit_tables, habits_document
from alias_middleware.cli.imports import imports
from alias_middleware.cli.keys import keys
from alias_middleware.cli.output import csv_option, json_option, line_of, show, silence_log, user_name, write_csv
from alias_middleware.cli.progress import waiting
from alias_middleware.cli.pseudonyms import pseudonyms
from alias_middleware.cli.publisher import PUBLISHER
from alias_middleware.cli.report import report
from alias_middleware.cli.signals import StopSignals
from alias_middleware.cli.simulate import simulate
from alias_middleware.cli.source import (
    OPTIONS,
    Source,
    one_line,
    require_data,
    tracker_of_options,
    with_app,
    with_options,
    zone_of,
)
from alias_middleware.cli.stats import interval, stats
from alias_middleware.cli.storages import conformance, migrate
from alias_middleware.errors import AliasError, SettingsError, StorageError
from alias_middleware.identity import WapNetworkInfo
from alias_middleware.tracker import Tracker

if TYPE_CHECKING:
    from alias_middleware.testing.gateway import Subscriber

_DRAIN_PATIENCE = 2.0
_ONCE_PATIENCE = 30.0
_LONGEST_PAUSE = 5.0
_SUBSCRIBER_HEADER = "x-simulated-subscriber"
_EPILOG = "Exit codes: 0 done; 1 the storage or something else failed; 2 the command or a setting is wrong."


class Failure(click.ClickException):
    """One line on stderr, and an exit code."""

    def __init__(self, error: Exception) -> None:
        super().__init__(one_line(error))


class Misuse(Failure):
    """The same for a setting that is missing or wrong."""

    exit_code = 2


class AliasGroup(click.Group):
    """Hands its commands a source of their tracker, and says in one line what went wrong."""

    def __init__(self, name: str, make: Callable[[dict[str, Any]], Tracker], **attributes: Any) -> None:
        """Give the commands the tracker that `make` makes of the options' settings."""
        super().__init__(name, epilog=_EPILOG, **attributes)
        self._make = make

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        ctx.obj = Source(self._make)
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise Misuse(error) from error
        except (AliasError, OSError) as error:
            raise Failure(error) from error


@click.command()
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="First local day, the first of all by default.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The local day after the last.")
@json_option
@csv_option
@click.pass_obj
def verify(source: Source, *, since: datetime | None, until: datetime | None, as_json: bool, as_csv: bool) -> None:
    """Recompute figures, visitors and what they favour from the raw events, and name every difference."""
    silence_log()
    with source.opened() as tracker:
        require_data(tracker)
        first = since.date() if since else date.min
        last = until.date() if until else date.max
        with waiting("verify: recomputing from the raw events"):
            differences = tracker.statistics.verify(*interval(first, last, None, first))
    document = [difference._asdict() for difference in differences]
    if as_csv:
        write_csv(views.differences_sheet(differences))
    else:
        show(as_json, document, lambda: [views.differences_table(differences)])
    if differences:
        raise SystemExit(1)


@click.command()
@click.argument("alias")
@click.option("--limit", type=click.IntRange(0), default=20, show_default=True, help="Events of his history.")
@json_option
@csv_option
@click.pass_obj
def visitor(source: Source, *, alias: str, limit: int, as_json: bool, as_csv: bool) -> None:
    """Show what is stored of one visitor: profile, consents, interests, latest history.

    With --csv the history alone, a row for each event; times are local to the service.
    """
    silence_log()
    with source.opened() as tracker:
        require_data(tracker)
        zone = zone_of(tracker)
        try:
            found = tracker.privacy.export(alias, requester=user_name(), reason="alias-middleware visitor")
            document = found | habits_document(tracker, alias)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    document["history"] = document["history"][:limit]
    if not views.is_known(document):
        click.echo("Nothing is stored of this visitor.", err=True)
        document["interests"] = {}
    if as_csv:
        write_csv(views.history_sheet(document["history"], zone))
    else:
        show(as_json, document, lambda: [*habit_tables(document), *views.visitor_tables(document, zone)])


@click.command()
@click.option("--once", is_flag=True, help="Drain what is there now and end.")
@json_option
@click.pass_obj
def drain(source: Source, once: bool, as_json: bool) -> None:
    """Move recorded events from the spool into the storage, until SIGTERM or SIGINT."""
    source.given.setdefault("service", "drain")  # nothing is recorded under it: a segment says whose it is
    if once:
        silence_log()
    with source.opened() as tracker:
        if once:
            _drain_once(tracker)
        else:
            _drain_until_stopped(tracker)
        counters = tracker.counters()
    show(as_json, counters, lambda: [views.counters_table(counters)])


def _drain_once(tracker: Tracker) -> None:
    if not tracker.drain() and not tracker.flush(_ONCE_PATIENCE):
        raise AliasError("another process is the writer of this spool, and it does not get on")


def _drain_until_stopped(tracker: Tracker) -> None:
    """Drain about as often as a site's own writer; what fails is in the log, and tried again."""
    pause = tracker.settings.writer_interval
    with StopSignals() as signals:
        click.echo("Draining; SIGTERM or Ctrl-C ends it.", err=True)
        while not signals.wait(pause):
            try:
                tracker.drain()
                pause = tracker.rest()
            except (StorageError, OSError):
                pause = min(pause * 2, _LONGEST_PAUSE)
        tracker.drain()


@click.command()
@click.option("--upstream", required=True, metavar="URL", help="The site, as http://127.0.0.1:8000")
@click.option("--alias", "aliases", required=True, multiple=True, help="The subscriber; may be repeated.")
@click.option("--listen", default="127.0.0.1:8080", show_default=True, metavar="HOST:PORT", help="Port 0: any.")
@json_option
def gateway(upstream: str, aliases: tuple[str, ...], listen: str, as_json: bool) -> None:
    """Browse a site on this machine as a subscriber: a simulated operator's gateway.

    With several aliases a request says in the header x-simulated-subscriber which it is; the first
    otherwise. With --json it says in one line where it listens, and for whom.
    """
    from alias_middleware.testing.gateway import SimulatedGateway

    if not all(map(WapNetworkInfo().accepts, aliases)):
        raise click.BadParameter("an alias is 12 digits", param_hint="--alias")
    host, port = _address(listen)
    try:
        simulated = SimulatedGateway(upstream, subscriber_of(aliases), host=host, port=port)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--upstream") from error
    with StopSignals() as signals, simulated:
        document = {"url": simulated.url, "upstream": upstream, "aliases": aliases}
        said = f"Open {simulated.url} as a subscriber of {upstream}; Ctrl-C ends it."
        click.echo(line_of(document) if as_json else said)
        sys.stdout.flush()
        signals.wait()


def subscriber_of(aliases: tuple[str, ...]) -> Subscriber:
    """Let every phone be the one alias, or the one of several that its request names."""

    def chosen(peer: str, headers: Mapping[str, str]) -> str | None:
        named = headers.get(_SUBSCRIBER_HEADER, aliases[0]) if len(aliases) > 1 else aliases[0]
        return named if named in aliases else None

    return chosen


def _address(listen: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[([^]]+)\]|([^:]+)):([0-9]{1,5})", listen)
    if match is None or int(match[3]) > 65535:
        raise click.BadParameter("give HOST:PORT, as 127.0.0.1:8080", param_hint="--listen")
    return match[1] or match[2], int(match[3])


def standalone() -> click.Group:
    """Make `alias-middleware`, whose settings are options and environment variables."""
    group = AliasGroup(
        "alias-middleware",
        tracker_of_options,
        help="Visitors that need no login: figures, profiles, the drainer.\n\n"
        "Keys come from the environment only: ALIAS_SECRET_KEYS and ALIAS_PSEUDONYM_KEYS, separated by commas.",
    )
    click.version_option(package_name="alias-middleware")(group)
    group.add_command(with_app(stats))
    group.add_command(with_app(visitor))
    group.add_command(with_app(verify))
    group.add_command(with_app(drain, ["storage", "spool"]))
    group.add_command(with_app(imports))
    group.add_command(with_options(simulate, list(OPTIONS)))
    for command in (keys, gateway, migrate, copy, conformance, pseudonyms, standalone_doctor()):
        group.add_command(command)
    for each in (dashboard, report, *PUBLISHER):
        group.add_command(with_app(each))
    return group


def for_app(tracker: Tracker) -> click.Group:
    """Make `flask alias`, whose settings are the app's."""
    group = AliasGroup("alias", lambda given: tracker, help="Login-free visitors of this app.")
    for command in (
        stats,
        visitor,
        verify,
        drain,
        keys,
        gateway,
        imports,
        dashboard,
        report,
        app_doctor(),
        *PUBLISHER,
    ):
        group.add_command(command)
    return group
