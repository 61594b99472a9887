"""The command `keys`: fresh ones, or the one that a storage made for itself."""

from __future__ import annotations

import secrets

import click

from alias_middleware.cli.output import json_of, json_option
from alias_middleware.errors import SettingsError
from alias_middleware.secret import secret_text
from alias_middleware.storage import open_storage
from alias_middleware.storage.keyring import KeepsKey


@click.command()
@click.option("--count", type=click.IntRange(1, 1000), default=1, show_default=True, help="How many.")
@click.option(
    "--of", "url", metavar="URL", help="The key that this storage made for itself, to be given to another."
)
@json_option
def keys(count: int, url: str | None, as_json: bool) -> None:
    """Make fresh keys for secret_keys, pseudonym_keys or a gateway_secret."""
    made = [secrets.token_urlsafe(32) for _ in range(count)] if url is None else [_key_of(url)]
    click.echo(json_of(made) if as_json else "\n".join(made))


def _key_of(url: str) -> str:
    storage = open_storage(url)
    made = storage.own_key() if isinstance(storage, KeepsKey) else None
    if made is None:
        raise SettingsError("it has no key of its own: its keys are those of the settings", setting="storage")
    return secret_text(made)
