"""How commands show what they found: as tables or as JSON, with nothing else on the terminal."""

from __future__ import annotations

import logging
import os
import pwd
import sys
from collections.abc import Callable

import click
import msgspec

from alias_middleware.cli.tables import Table, write_tables

_SILENCE = logging.NullHandler()

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON.")


def show(as_json: bool, document: object, tables: Callable[[], list[Table]]) -> None:
    """Write a document as JSON, or its tables."""
    if as_json:
        click.echo(json_of(document))
    else:
        write_tables(tables(), sys.stdout)


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
