"""The commands that show figures: the summary, and `stats series`, `frequency`, `pages` and the like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any, get_args

import click

from alias_middleware.cli import views
from alias_middleware.cli.output import Sheet, csv_option, json_option, show, silence_log, write_csv
from alias_middleware.cli.source import Source, require_data, zone_of
from alias_middleware.cli.tables import Table
from alias_middleware.figures import EVERY_SERVICE, Statistics
from alias_middleware.statistics import check_interval
from alias_middleware.statistics.intervals import By
from alias_middleware.statistics.layout import Answer, Layout, document_of, layouts
from alias_middleware.statistics.series import FOLLOWED
from alias_middleware.statistics.summary import Result
from alias_middleware.storage.base import Scope
from alias_middleware.tracker import Tracker

DAYS = 30
_WORDS = {("frequency", "visits", "0"): "continued"}
"""What a table shows for a value, by table, column and value: no visit was begun, an earlier one went on."""

_MOST_DAYS = 36_600
_DRAIN_PATIENCE = 2.0

_date = click.DateTime(["%Y-%m-%d"])


def _interval_options(command: Any) -> Any:
    """Let a command take an interval and say of whom the figures are."""
    for option in reversed([
        click.option("--since", type=_date, help="First local day."),
        click.option("--until", type=_date, help="The local day after the last."),
        click.option("--days", type=click.IntRange(1, _MOST_DAYS),
                     help=f"Number of days, {DAYS} up to today if nothing is said."),
        click.option("--channel", type=click.Choice(["web", "sms"]), help="Both unless one is said."),
        click.option("--of", metavar="SERVICE", help="Another service; * for all of the namespace."),
        json_option,
        csv_option,
    ]):  # fmt: skip
        command = option(command)
    return command


def _by(default: str) -> Any:
    choice = click.Choice(get_args(By))
    return click.option("--by", type=choice, default=default, show_default=True, help="Length of a period.")


@click.group("stats", invoke_without_command=True)
@_interval_options
@click.pass_context
def stats(context: click.Context, /, **asked: Any) -> None:
    """Show the figures of an interval, each with its definition; the subcommands show them in other ways."""
    if context.invoked_subcommand is None:
        source = context.find_object(Source)
        if source is not None:
            _summary(source, asked)


@stats.command("summary")
@_interval_options
@click.pass_obj
def summary(source: Source, /, **asked: Any) -> None:
    """Show the figures of an interval, each with its definition."""
    _summary(source, asked)


def _summary(source: Source, asked: dict[str, Any]) -> None:
    with _answering(source, asked) as (statistics, since, until, of):
        found = statistics.summary(since, until, **of)
        _remark(found.remarks())
    if asked["as_csv"]:
        write_csv(*map(_sheet, layouts(found)))
    else:
        show(asked["as_json"], views.summary_document(found), lambda: [views.summary_table(found)])


@stats.command("series")
@click.argument("figure", type=click.Choice(sorted(FOLLOWED)))
@click.option(
    "--by", type=click.Choice(get_args(By)), default="day", show_default=True, help="Length of a period."
)
@click.option("--compare", is_flag=True, help="Put the period before beside each.")
@_interval_options
@click.pass_obj
def series(source: Source, /, *, figure: str, by: By, compare: bool, **asked: Any) -> None:
    """Follow one figure by day, week or month."""
    compared = "previous" if compare else None
    _show(source, asked, lambda s, *days, **of: s.series(figure, *days, by=by, compare=compared, **of))


@stats.command("cohorts")
@click.option(
    "--by", type=click.Choice(get_args(By)), default="month", show_default=True, help="Length of a period."
)
@_interval_options
@click.pass_obj
def cohorts(source: Source, /, *, by: By, **asked: Any) -> None:
    """Follow those who were new in each period through the later ones; all of them unless an interval is said."""
    everything = asked["since"] is asked["until"] is asked["days"] is None
    _show(source, asked, lambda s, *days, **of: s.cohorts(*(() if everything else days), by=by, **of))


@stats.command("frequency")
@_interval_options
@click.pass_obj
def frequency(source: Source, /, **asked: Any) -> None:
    """Group visitors by their number of visits, and visits by the days since the previous one."""
    _show(source, asked, lambda s, *days, **of: s.frequency(*days, **of))


@stats.command("hours")
@_interval_options
@click.pass_obj
def hours(source: Source, /, **asked: Any) -> None:
    """Give page views and visits by day of the week and local hour."""
    _show(source, asked, lambda s, *days, **of: s.hours(*days, **of))


def _ranking(name: str, help_: str) -> click.Command:
    @click.command(name, help=help_)
    @click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="How many.")
    @_interval_options
    @click.pass_obj
    def ranking(source: Source, /, *, top: int, **asked: Any) -> None:
        _show(source, asked, lambda s, *days, **of: getattr(s, name)(*days, top=top, **of))

    return ranking


stats.add_command(_ranking("pages", "Rank pages by page views."))
stats.add_command(_ranking("categories", "Rank categories by page views."))
stats.add_command(_ranking("products", "Rank products by quantity sold."))


@contextmanager
def _answering(source: Source, asked: dict[str, Any]) -> Iterator[tuple[Statistics, date, date, dict[str, Any]]]:
    """Give what answers, and the question: the interval and of whom the figures are."""
    silence_log()
    with source.opened() as tracker:
        today = datetime.now(zone_of(tracker)).date()
        since, until = asked["since"], asked["until"]
        bounds = interval(since and since.date(), until and until.date(), asked["days"], today)
        require_data(tracker)
        drained = tracker.flush(_DRAIN_PATIENCE)
        _remark(_unknown(tracker, asked["of"] or tracker.settings.service))
        yield tracker.statistics, *bounds, {"channel": asked["channel"], "service": asked["of"]}
    if not drained:
        click.echo("Note: some events still wait in the spool and are not in these figures.", err=True)


def _show(source: Source, asked: dict[str, Any], ask: Callable[..., Answer]) -> None:
    with _answering(source, asked) as (statistics, since, until, of):
        answer = ask(statistics, since, until, **of)
        _remark(answer.remarks() if isinstance(answer, Result) else [])
    if asked["as_csv"]:
        write_csv(*map(_sheet, layouts(answer)))
    else:
        show(asked["as_json"], document_of(answer), lambda: list(map(_table, layouts(answer))))


def _unknown(tracker: Tracker, service: str) -> list[str]:
    """Say that a service has no visitor at all: a mistyped name would show noughts."""
    of = Scope(tracker.settings.namespace, None if service == EVERY_SERVICE else service)
    known = tracker.storage.span(of) is not None
    return [] if known else [f"no visitor of the service {service!r} was ever recorded; is that its name?"]


def _remark(remarks: list[str]) -> None:
    """Say beside figures what they cannot tell."""
    for remark in remarks:
        click.echo(f"Note: {remark}{'' if remark.endswith('?') else '.'}", err=True)


def _table(layout: Layout) -> Table:
    places = [(layout.name, column.name) for column in layout.columns]
    rows = [[_shown(*place, value) for place, value in zip(places, row, strict=True)] for row in layout.rows]
    numbers = frozenset(
        place
        for place in range(len(layout.columns))
        if not any(isinstance(row[place], str | date) for row in layout.rows)
    )
    names = [column.name.replace("_", " ") for column in layout.columns]
    return Table(layout.name.capitalize(), names, rows, numbers=numbers)


def _shown(table: str, column: str, value: object) -> str:
    text = "-" if value is None else str(value)
    return _WORDS.get((table, column, text), text)


def _sheet(layout: Layout) -> Sheet:
    return Sheet([column.name for column in layout.columns], layout.rows)


def interval(since: date | None, until: date | None, days: int | None, today: date) -> tuple[date, date]:
    """Complete a half-open interval of local dates from what was said of it.

    Raises:
        click.UsageError: too much was said, or the interval ends before it begins.
    """
    if None not in (since, until, days):
        raise click.UsageError("two of --since, --until and --days say it all")
    try:
        if since is None:
            until = until or today + timedelta(days=1)
            since = until - timedelta(days=days or DAYS)
        elif until is None:
            until = since + timedelta(days=days) if days else max(since, today) + timedelta(days=1)
        return check_interval(since, until or since)
    except (ValueError, OverflowError) as error:
        raise click.UsageError(f"no interval of local dates: {error}") from error
