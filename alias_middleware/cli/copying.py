"""The command `copy`: everything from one storage into another, with a check of every total at the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import click

from alias_middleware.cli.output import json_option, show, silence_log
from alias_middleware.cli.tables import Table
from alias_middleware.comparing import Comparison, Discrepancy
from alias_middleware.copying import Copied, Copy
from alias_middleware.errors import SettingsError, StorageError
from alias_middleware.secret import secret_bytes
from alias_middleware.storage import open_storage
from alias_middleware.storage.base import Storage
from alias_middleware.storage.moving import Progress

_MOST_SHOWN = 50
_NUMBERS = frozenset({1, 2})
_AGAIN = "The site went on meanwhile; what came since is brought over by the next pass."
_DONE = "The target holds everything. Give its URL to the site and restart: the spool is drained into it."
_GIVEN_UP = "The source is open again; the target is sealed, and another copy goes on with it."
_KEPT_OPEN = "The two differ, so the source was opened again: the site goes on with it."


@click.command("copy")
@click.argument("source")
@click.argument("target")
@click.option("--final", is_flag=True, help="Seal the source first: what comes from now on waits in the spool.")
@click.option("--give-up", is_flag=True, help="Open the source again; the target stays sealed.")
@json_option
def copy(source: str, target: str, *, final: bool, give_up: bool, as_json: bool) -> None:
    """Copy everything from the storage SOURCE to the storage TARGET (URLs), and compare them.

    The site may go on meanwhile; a copy that was cut short is gone on with by another. Exit code 1: totals differ.
    """
    silence_log()
    keys = [secret_bytes(key) for key in os.environ.get("ALIAS_SECRET_KEYS", "").split(",") if key]
    two = open_storage(source, secret_keys=keys), open_storage(target, secret_keys=keys)
    try:
        with _progress() as progress:
            work = Work(*two, progress=progress)
            if give_up:
                work.give_up()
            else:
                work.do(final=final)
    finally:
        for storage in two:
            storage.close()
    show(as_json, work.document(), work.tables)
    if work.said and not as_json:
        click.echo(work.said, err=True)
    if work.differences and work.said != _AGAIN:
        raise SystemExit(1)


class Work:
    """One run of the command, and what is to be said of it."""

    def __init__(self, source: Storage, target: Storage, *, progress: Progress) -> None:
        """Copy from `source` to `target`."""
        self.copying = Copy(source, target, progress=progress)
        self.copied = Copied()
        self.differences: list[Discrepancy] = []
        self.said = ""
        self._comparison = Comparison(source, target, progress)

    def do(self, *, final: bool) -> None:
        """Copy and compare; what is finished is only compared."""
        if self.copying.is_finished:
            self._compare()
            return
        self.copying.begin()
        self._run()
        if final:
            self._finish()
            return
        self._compare()
        if self.differences and self._run():
            self.said = _AGAIN

    def give_up(self) -> None:
        """Go back to the source.

        Raises:
            SettingsError: the target has been used since: what it took would be lost.
        """
        if self.copying.is_finished:
            self._compare()
            if self.differences:
                raise SettingsError("it has been used since: copy from it instead", setting="target")
        self.copying.give_up()
        self.said = _GIVEN_UP

    def _run(self) -> Copied:
        copied = self.copying.run()
        self.copied.kept.update(copied.kept)
        self.copied.deleted.update(copied.deleted)
        return copied

    def _compare(self) -> None:
        self.differences = list(self._comparison.discrepancies())

    def _finish(self) -> None:
        """Seal the source and bring the rest; unless both are equal then the site stays with the source."""
        try:
            self.copying.seal_source()
            self._run()
            self._compare()
        except BaseException:
            with suppress(StorageError):
                self.copying.open_source()
            raise
        if self.differences:
            self.copying.open_source()
            self.said = _KEPT_OPEN
        else:
            self.copying.open_target()
            self.said = _DONE

    def document(self) -> dict[str, object]:
        """Give what was done as plain values."""
        return {
            "kept": dict(self.copied.kept),
            "deleted": dict(self.copied.deleted),
            "differences": [difference._asdict() for difference in self.differences],
        }

    def tables(self) -> list[Table]:
        """Give what was done as tables."""
        names = list(dict.fromkeys([*self.copied.kept, *self.copied.deleted]))
        rows = [
            (name.replace("_", " "), f"{self.copied.kept[name]:,}", f"{self.copied.deleted[name]:,}")
            for name in names
        ]
        tables = [Table("Copied", ("what", "kept", "deleted"), rows or [("nothing", "", "")], numbers=_NUMBERS)]
        if self.differences:
            tables.append(_differing(self.differences))
        return tables


def _differing(differences: Sequence[Discrepancy]) -> Table:
    title = f"Not the same: {len(differences):,}"
    rows = [tuple(each) for each in differences[:_MOST_SHOWN]]
    return Table(title, ("total", "where", "source", "target"), rows)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show how far each part is, on a terminal that rich can draw on."""
    if not sys.stderr.isatty():
        yield lambda part, done, whole: None
        return
    try:
        from rich.console import Console
        from rich.progress import Progress as Bars
        from rich.progress import TaskID
    except ImportError:
        yield lambda part, done, whole: None
        return
    with Bars(console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show_part(part: str, done: int, whole: int) -> None:
            if part not in tasks:
                tasks[part] = bars.add_task(part.replace("_", " "))
            bars.update(tasks[part], completed=done, total=whole)

        yield show_part
