"""A bar on the terminal that shows how far a long command has come; nothing where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from alias_middleware.transport import Outgoing, Transport


@contextmanager
def progress(title: str) -> Iterator[Callable[[], None]]:
    """Give what to call at each step; how many there will be is not known."""
    bar: Any = None
    if sys.stderr.isatty():
        try:
            from rich.console import Console
            from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        except ModuleNotFoundError:
            pass
        else:
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
            bar = Progress(*columns, console=Console(file=sys.stderr))
    if bar is None:
        yield lambda: None
        return
    with bar:
        task = bar.add_task(title, total=None)
        yield lambda: bar.advance(task)


class Watched:
    """A transport that tells of each message it has handed over, or tried to."""

    def __init__(self, transport: Transport, step: Callable[[], None]) -> None:
        """Send by `transport`, and call `step` after each message."""
        self._transport = transport
        self._step = step

    def send(self, message: Outgoing) -> None:
        """Hand a message over, and raise what the transport raises."""
        try:
            self._transport.send(message)
        finally:
            self._step()
