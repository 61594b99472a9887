"""Commands about the storage itself: its tables, and whether it keeps the contract."""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from alias_middleware.errors import SettingsError
from alias_middleware.secret import secret_bytes
from alias_middleware.storage import open_storage
from alias_middleware.storage.base import Storage
from alias_middleware.storage.migrations import Migrates

_PLACES = ("{name}", "{folder}")


@click.command()
@click.option(
    "--storage", "url", envvar="ALIAS_STORAGE", show_envvar=True, required=True, help="URL of the storage"
)
@click.option(
    "--sql", "as_sql", is_flag=True, help="Print the statements for migrations of your own; change nothing."
)
@click.option("--distributed", is_flag=True, help="Spread the tables over a Citus cluster by visitor.")
def migrate(url: str, as_sql: bool, distributed: bool) -> None:
    """Make the storage's tables, or bring them up to date."""
    storage = _migrating(url)
    if as_sql:
        for statement in storage.ddl(distributed=distributed):
            click.echo(f"{statement};")
        return
    steps = storage.migrate(distributed=distributed)
    click.echo(f"{steps} step{'s' * (steps != 1)} taken" if steps else "Nothing to do: the tables are up to date")


def _migrating(url: str) -> Migrates:
    storage = open_storage(url, secret_keys=[secrets.token_bytes(32)])  # no visitor is hashed here
    if not isinstance(storage, Migrates):
        raise SettingsError("this one makes its tables itself", setting="storage")
    return storage


@click.command()
@click.argument("url")
@click.option("--only", default="", metavar="EXPRESSION", help="Checks with such names (as pytest's -k).")
@click.option(
    "--import", "modules", multiple=True, metavar="MODULE", help="Import it first: it may register a storage."
)
def conformance(url: str, only: str, modules: Sequence[str]) -> None:
    """Run the storage contract on the storage of a URL.

    Each check needs fresh data: {name} in the URL stands for a new name of letters and digits, {folder} for a new
    folder, as in sqlite:///{folder}/alias.db or postgresql://test@localhost/trial?schema={name}
    """
    try:
        from alias_middleware.testing.conformance import check_conformance
    except ImportError as error:
        raise SettingsError("the checks need pytest: pip install pytest", setting="conformance") from error
    for module in modules:
        import_module(module)
    _require_fresh_data(url)
    checks = check_conformance(lambda folder, keys: _opened(url, folder, keys), only=only)
    broken = [check for check in checks if check.problem]
    for check in broken:
        click.echo(f"BROKEN {check.name}: {check.promise}\n       {check.problem.splitlines()[0]}")
    click.echo(f"{len(checks) - len(broken)} of {len(checks)} checks kept")
    if broken or not checks:
        raise SystemExit(1)


def _require_fresh_data(url: str) -> None:
    storage = _opened(url, Path("trial"), ())
    if storage.abilities.shared and not any(place in url for place in _PLACES):
        raise SettingsError(
            "say with {name} or {folder} where each check's own data go: they must not be yours", setting="storage"
        )


def _opened(url: str, folder: Path, secret_keys: Sequence[bytes]) -> Storage:
    first = secret_bytes(os.environ.get("ALIAS_SECRET_KEYS", "").split(",")[0] or "keys of a trial, of no use")
    name = f"trial{zlib.crc32(str(folder).encode()):08x}"
    filled = url.replace("{name}", name).replace("{folder}", str(folder))
    return open_storage(filled, secret_keys=(first, *secret_keys))
