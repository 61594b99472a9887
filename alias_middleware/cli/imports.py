"""The command `import`: access logs, orders and profiles from before the middleware."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from alias_middleware.cli.output import Sheet, csv_option, json_option, show, write_csv
from alias_middleware.cli.progress import progress, reading, stepping
from alias_middleware.cli.source import Source
from alias_middleware.cli.tables import Table
from alias_middleware.imports import logs
from alias_middleware.imports.lines import fingerprint, opened
from alias_middleware.imports.records import Reader
from alias_middleware.imports.replacing import time_of
from alias_middleware.imports.run import Import, Report, write_rejected
from alias_middleware.imports.tables import AliasReader, OrderReader, ProfileReader
from alias_middleware.imports.views import ViewReader
from alias_middleware.settings import Settings, make_settings
from alias_middleware.tracker import Tracker

_files = click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
_rejected = click.option("--rejected", type=click.Path(path_type=Path), help="Where bad lines go: FILE.rejected.")


@click.group(name="import")
def imports() -> None:
    """Take over history from before: each file once, from where it stopped."""


@imports.command()
@_files
@click.option("--format", "form", default=logs.COMBINED, show_default=True, help='As in LogFormat; or "json".')
@click.option("--alias-field", help="Where the operator's header is: %{wap-network-info}i, or a name in JSON.")
@click.option("--trusted-gateway", "gateways", multiple=True, metavar="CIDR",
              help="Peers (%h) whose header is believed; 0.0.0.0/0 believes all of the log.")  # fmt: skip
@click.option("--category", "categories", multiple=True, metavar="PATTERN=NAME", help="As the setting categories.")
@click.option("--exclude", "excluded", multiple=True, metavar="PATTERN", help="As the setting excluded_paths.")
@click.option("--replace-live", is_flag=True, help="Let the log stand for what was recorded live in its time.")
@_rejected
@json_option
@csv_option
@click.pass_obj
def log(  # noqa: PLR0917 -- click hands them over by name
    source: Source,
    files: tuple[Path, ...],
    form: str,
    alias_field: str | None,
    gateways: tuple[str, ...],
    categories: tuple[str, ...],
    excluded: tuple[str, ...],
    replace_live: bool,
    rejected: Path | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Import page views from access logs, plain, gzip or zstd.

    Lines at or after the service's first live page view are refused: they would count twice. With --replace-live
    the page views that were recorded live from the log's first to its last one give way to the log's.
    """
    said = {"trusted_gateways": gateways, "excluded_paths": excluded, "categories": _categories(categories)}
    with source.opened() as tracker:
        settings = _with_said(tracker.settings, {name: value for name, value in said.items() if value})
        if not settings.trusted_gateways:
            raise click.UsageError("say with --trusted-gateway whose header the log is believed")
        header = settings.source.header
        if form == "json":
            parse = logs.json_lines(alias_field=alias_field or header)
        else:
            parse = logs.combined(form, alias_field=alias_field or f"%{{{header}}}i")
        until_us = None if replace_live else tracker.storage.live_since(tracker.settings.service)

        def reader(path: Path) -> Reader:
            return ViewReader(parse, settings, key_of=tracker.key_of, until_us=until_us)

        _take(tracker, files, reader, rejected, as_json=as_json, as_csv=as_csv, replace_live=replace_live)


@imports.command()
@_files
@_rejected
@json_option
@csv_option
@click.pass_obj
def purchases(
    source: Source, *, files: tuple[Path, ...], rejected: Path | None, as_json: bool, as_csv: bool
) -> None:
    """Import orders from CSV: alias, order_id, time, currency, amount; sku, name, category if known.

    A line is one item with its amount; consecutive lines of one alias and order_id are one order.
    """
    with source.opened() as tracker:

        def reader(path: Path) -> Reader:
            return OrderReader(tracker.settings, key_of=tracker.key_of)

        _take(tracker, files, reader, rejected, as_json=as_json, as_csv=as_csv)


@imports.command()
@_files
@_rejected
@json_option
@csv_option
@click.pass_obj
def profiles(
    source: Source, *, files: tuple[Path, ...], rejected: Path | None, as_json: bool, as_csv: bool
) -> None:
    """Import preferences from CSV: alias, and a column for each; personal.NAME for personal data.

    They hold as of the column `time`, else as of the file's last change.
    """
    with source.opened() as tracker:

        def reader(path: Path) -> Reader:
            time_us = path.stat().st_mtime_ns // 1000
            return ProfileReader(tracker.settings, key_of=tracker.key_of, time_us=time_us)

        _take(tracker, files, reader, rejected, as_json=as_json, as_csv=as_csv)


@imports.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_rejected
@json_option
@csv_option
@click.pass_obj
def suppressions(source: Source, *, file: Path, rejected: Path | None, as_json: bool, as_csv: bool) -> None:
    """Import opt-outs from before: CSV with the column alias. Marketing campaigns may run from then on.

    Imported again they count once.
    """
    with source.opened() as tracker, opened(file) as lines:
        reader = AliasReader(tracker.settings)
        found = [(line, reader.read(number, line)) for number, line in enumerate(lines)]
        aliases = [alias for _, alias in found if alias]
        aside = rejected or file.with_name(file.name + ".rejected")
        bad = [line for line, alias in found if alias == ""]
        write_rejected(aside, bad)
        with progress(f"{file.name}: opt-outs", total=len(aliases)) as step:
            tracker.contact.import_suppressions(stepping(aliases, step))
    if bad:
        click.echo(
            f"Lines that name no alias, so that nobody is opted out by them: {len(bad)}, in {aside}", err=True
        )
    found_of = {"opt-outs": len(aliases), "rejected": len(bad)}
    _show(["what", "lines"], list(found_of.items()), found_of, as_json=as_json, as_csv=as_csv)


def _with_said(settings: Settings, said: dict[str, Any]) -> Settings:
    """Give settings with those that options state in their place, checked; the app's own hold otherwise.

    Raises:
        SettingsError: one is no use.
    """
    checked = make_settings({"service": settings.service, "trusted_gateways": [], **said})
    return msgspec.structs.replace(settings, **{name: getattr(checked, name) for name in said})


def _categories(said: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.rpartition("=") for text in said]
    if not all(pattern and name for pattern, _, name in pairs):
        raise click.BadParameter("give PATTERN=NAME, as /sport/*=sport", param_hint="--category")
    return {pattern: name for pattern, _, name in pairs}


def _take(
    tracker: Tracker,
    files: tuple[Path, ...],
    reader: Callable[[Path], Reader],
    rejected: Path | None,
    *,
    as_json: bool,
    as_csv: bool,
    replace_live: bool = False,
) -> None:
    """Take files over; with `replace_live` each makes room for itself first.

    A file that was taken over without it was not read to its end: its lines from the live time were refused.
    """
    if replace_live and not tracker.storage.abilities.replaces:
        raise click.UsageError("--replace-live: this storage replaces nothing; SQLite's and PostgreSQL's do")
    if rejected is not None and len(files) > 1:
        raise click.UsageError("--rejected goes with one file: each has a file of its own")
    if rejected is not None and rejected.exists() and rejected.samefile(files[0]):
        raise click.UsageError("--rejected names the file itself: it would be overwritten")
    documents: list[dict[str, Any]] = []
    rows: list[tuple[str, str, int]] = []
    for path in files:
        bad = rejected or path.with_name(path.name + ".rejected")
        name = f"{tracker.settings.service}:{fingerprint(path)}{':replacing' if replace_live else ''}"
        document: dict[str, Any] = {"file": path.name}
        if replace_live:
            document["replaced"] = _replace(tracker, path, reader(path))
            rows.append((path.name, "live page views replaced", document["replaced"]))
        with opened(path) as lines, reading(path) as tell:
            report = Import(tracker.storage, name=name, rejected=bad).take(lines, reader(path), progress=tell)
        rows += [(path.name, what, number) for what, number in _told(report)]
        documents.append(document | msgspec.structs.asdict(report))
    _show(["file", "what", "lines"], rows, documents, as_json=as_json, as_csv=as_csv)


def _show(
    columns: Sequence[str],
    rows: Sequence[tuple[str | int, ...]],
    document: object,
    *,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show what became of lines; their numbers are the last column."""
    if as_csv:
        write_csv(Sheet(columns, rows))
        return
    cells = [[str(cell) for cell in row] for row in rows]
    numbers = frozenset({len(columns) - 1})
    show(as_json, document, lambda: [Table("Import", columns, cells, numbers=numbers)])


def _replace(tracker: Tracker, path: Path, reader: Reader) -> int:
    """Take out the live page views of a log's time, and let no more of them in; give their number."""
    with opened(path) as lines, reading(path) as tell:
        time = time_of(lines, reader, progress=tell)
    return 0 if time is None else tracker.storage.replace_live(tracker.settings.service, *time)


def _told(report: Report) -> Iterator[tuple[str, int]]:
    yield "read", report.read
    yield "taken over before", report.resumed_at
    if report.joined:
        yield "further items of an order", report.joined
    yield "stored", report.stored
    yield "known already", report.deduplicated
    if report.conflicts:
        yield "of these with another content, left out", report.conflicts
    if report.changes:
        yield "profiles", report.changes
    yield from (("dropped: " + reason, number) for reason, number in sorted(report.dropped.items()))
    yield from (("left out: " + reason, number) for reason, number in sorted(report.left_out.items()))
