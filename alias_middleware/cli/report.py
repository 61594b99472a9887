"""The command `report`: the audience of an interval in one HTML file, to send or print."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from alias_middleware.cli.output import silence_log
from alias_middleware.cli.source import Source, require_data, zone_of
from alias_middleware.cli.stats import interval
from alias_middleware.errors import MissingExtra
from alias_middleware.local_time import from_micros

_DRAIN_PATIENCE = 2.0


@click.command("report")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="First local day.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The local day after the last.")
@click.option("--days", type=click.IntRange(1, 3_660), help="Number of days, 30 up to today if nothing is said.")
@click.option("--channel", type=click.Choice(["web", "sms"]), help="One channel only.")
@click.option("--language", type=click.Choice(["en", "fr"]), default="en", show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    required=True,
    help="The file to write.",
)
@click.pass_obj
def report(
    source: Source,
    *,
    since: datetime | None,
    until: datetime | None,
    days: int | None,
    channel: Any,
    language: str,
    output: Path,
) -> None:
    """Write the audience of an interval to one HTML file: figures, pictures and tables, nobody named."""
    try:
        from alias_middleware.dashboard.period import Period
        from alias_middleware.dashboard.report import report as make
    except ModuleNotFoundError as error:
        raise MissingExtra(extra="dashboard", setting="report") from error
    silence_log()
    with source.opened() as tracker:
        now = from_micros(time.time_ns() // 1000)
        today = now.astimezone(zone_of(tracker)).date()
        bounds = interval(since and since.date(), until and until.date(), days, today)
        if bounds[0] == bounds[1]:
            raise click.UsageError("an interval of a day or more")
        require_data(tracker)
        tracker.flush(_DRAIN_PATIENCE)
        text = make(tracker, Period(*bounds, channel, tracker.settings.service), language=language, now=now)
    output.write_text(text, encoding="utf-8")
    click.echo(f"Wrote {output}")
