"""How commands show what they found: as tables, JSON or CSV, with nothing else on the terminal."""

from __future__ import annotations

import csv
import logging
import os
import pwd
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

import click
import msgspec

from alias_middleware.cli.tables import Table, write_tables
from alias_middleware.statistics.layout import csv_cell

_SILENCE = logging.NullHandler()


def _one_form(context: click.Context, option: click.Parameter, asked: bool) -> bool:
    """Refuse --json and --csv together."""
    if asked and any(context.params.get(name) for name in ("as_json", "as_csv")):
        raise click.UsageError("--json or --csv, not both")
    return asked


json_option = click.option("--json", "as_json", is_flag=True, callback=_one_form, help="Write JSON.")
csv_option = click.option("--csv", "as_csv", is_flag=True, callback=_one_form, help="Write CSV.")


class Sheet(NamedTuple):
    """What a CSV holds: the names of its columns, and rows of exact values."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


def show(as_json: bool, document: object, tables: Callable[[], list[Table]]) -> None:
    """Write a document as JSON, or its tables."""
    if as_json:
        click.echo(json_of(document))
    else:
        write_tables(tables(), sys.stdout)


def write_csv(*sheets: Sheet) -> None:
    """Write sheets as CSV (RFC 4180), a blank line between two."""
    writer = csv.writer(sys.stdout)
    for place, sheet in enumerate(sheets):
        if place:
            sys.stdout.write("\r\n")
        writer.writerow(sheet.columns)
        writer.writerows(map(csv_cell, row) for row in sheet.rows)


def json_of(document: object) -> str:
    """Give a document as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(document)).decode()


def line_of(document: object) -> str:
    """Give a document as JSON of one line: where a command runs on, a program waits for the end of it."""
    return msgspec.json.encode(document).decode()


def silence_log() -> None:
    """Keep the log off stderr, to the process's end, where a command says itself what went wrong."""
    logging.getLogger("alias_middleware").addHandler(_SILENCE)


def user_name() -> str:
    """Give the name of who runs the command, for the audit: that of the system, whatever the environment says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"
