"""The commands for the rights of the person: export, erasure, retention, erasures after a restored backup."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import click

from alias_middleware.cli import views
from alias_middleware.cli.output import json_option, show, silence_log
from alias_middleware.cli.progress import waiting
from alias_middleware.cli.source import Source, require_data, zone_of
from alias_middleware.cli.tables import Table

_dry_run = click.option("--dry-run", is_flag=True, help="Only count what would go.")
_alias = click.argument("alias")


@click.group("privacy")
def privacy() -> None:
    """Carry out the rights of the persons whose aliases are stored."""


@privacy.command("export")
@_alias
@click.option("--requester", required=True, help="Who asks; it stands in the audit.")
@click.option("--reason", required=True, help="Why; it stands in the audit.")
@json_option
@click.pass_obj
def export(source: Source, alias: str, *, requester: str, reason: str, as_json: bool) -> None:
    """Show everything stored of a visitor, and keep in the audit that it was shown."""
    silence_log()
    with source.opened() as tracker:
        require_data(tracker)
        zone = zone_of(tracker)
        try:
            document = tracker.privacy.export(alias, requester=requester, reason=reason)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    show(as_json, document, lambda: views.visitor_tables(document, zone))


@privacy.command("erase")
@_alias
@_dry_run
@json_option
@click.pass_obj
def erase(source: Source, alias: str, *, dry_run: bool, as_json: bool) -> None:
    """Erase a visitor: everything but what forbids contacting him, under a keyed hash."""
    silence_log()
    with source.opened() as tracker:
        require_data(tracker)
        try:
            gone = tracker.privacy.would_erase(alias) if dry_run else tracker.privacy.erase(alias)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    _show_counts(gone, as_json=as_json, dry_run=dry_run)


@privacy.command("purge")
@click.option("--raw-older-than", type=click.IntRange(1), metavar="DAYS", help="Raw events; by the settings: 760.")
@click.option("--profiles-idle", type=click.IntRange(1), metavar="DAYS", help="Profiles; by the settings: 1095.")
@_dry_run
@json_option
@click.pass_obj
def purge(
    source: Source, *, raw_older_than: int | None, profiles_idle: int | None, dry_run: bool, as_json: bool
) -> None:
    """Let go of raw events and idle visitors that are too old; the figures stay."""
    silence_log()
    with source.opened() as tracker:
        require_data(tracker)
        try:
            with waiting("purge: counting what is too old" if dry_run else "purge: letting go of what is too old"):
                gone = tracker.privacy.purge(
                    raw_older_than=timedelta(days=raw_older_than) if raw_older_than else None,
                    profiles_idle=timedelta(days=profiles_idle) if profiles_idle else None,
                    dry_run=dry_run,
                )
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    _show_counts(gone, as_json=as_json, dry_run=dry_run)


@privacy.command("replay")
@_dry_run
@json_option
@click.pass_obj
def replay(source: Source, *, dry_run: bool, as_json: bool) -> None:
    """Erase again whoever was erased since the backup that was restored; before the site runs on it."""
    silence_log()
    with source.opened() as tracker:
        require_data(tracker)
        gone = tracker.privacy.replay_erasures(dry_run=dry_run)
    _show_counts(gone, as_json=as_json, dry_run=dry_run)


def _show_counts(counts: Mapping[str, int], *, as_json: bool, dry_run: bool) -> None:
    rows = [(name.replace("_", " "), str(number)) for name, number in counts.items()]
    title = "Would go" if dry_run else "Gone"
    show(as_json, counts, lambda: [Table(title, ("what", "number"), rows, numbers=frozenset({1}))])
