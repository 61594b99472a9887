"""The command for pseudonym keys: `alias-middleware pseudonyms rotate`."""

from __future__ import annotations

import click

from alias_middleware.cli.output import json_option, show, silence_log
from alias_middleware.cli.source import OPTIONS, Source, settings_of_options, with_options
from alias_middleware.cli.tables import Table
from alias_middleware.rotation import rotate_pseudonyms
from alias_middleware.settings import make_settings
from alias_middleware.storage import open_storage


@click.command("rotate")
@json_option
@click.pass_obj
def rotate(source: Source, *, as_json: bool) -> None:
    """Put every visitor key under all pseudonym keys, the new one last in ALIAS_PSEUDONYM_KEYS.

    Stop the site first. The spool is drained, then every table is rewritten; cut short, run it again. Afterwards
    the site runs with the same list of keys.
    """
    silence_log()
    settings = make_settings(settings_of_options(source.given))
    storage = open_storage(settings.storage, secret_keys=settings.secret_keys)
    try:
        changed = rotate_pseudonyms(settings, storage)
    finally:
        storage.close()
    rows = [(name.replace("_", " "), str(number)) for name, number in changed.items()]
    show(as_json, changed, lambda: [Table("Rows with new keys", ("what", "number"), rows, numbers=frozenset({1}))])


@click.group("pseudonyms")
def pseudonyms() -> None:
    """Look after the keys under which visitors are stored by pseudonym."""


pseudonyms.add_command(with_options(rotate, list(OPTIONS)))
