"""A bar on the terminal that shows how far a long command has come; nothing where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from alias_middleware.transport import Outgoing, Transport

T = TypeVar("T")

_TOLD_EVERY = 1000


class Step(Protocol):
    """What to call as the work goes on."""

    def __call__(self, number: int = 1) -> None:
        """Tell that so many more are done."""


@contextmanager
def progress(title: str, *, total: int | None = None) -> Iterator[Step]:
    """Give what to call at each step; how many there will be need not be known."""
    bar = _bar("done")
    if bar is None:
        yield lambda number=1: None
        return
    with bar:
        task = bar.add_task(title, total=total)
        yield lambda number=1: bar.advance(task, number)


@contextmanager
def waiting(title: str) -> Iterator[None]:
    """Show that something goes on, and for how long, where its steps cannot be told."""
    bar = _bar("time")
    if bar is None:
        yield
        return
    with bar:
        bar.add_task(title, total=None)
        yield


@contextmanager
def reading(path: Path) -> Iterator[Callable[[int], None]]:
    """Give what to tell how many bytes of a file were read in all."""
    bar = _bar("part")
    if bar is None:
        yield lambda done: None
        return
    with bar:
        task = bar.add_task(path.name, total=path.stat().st_size)
        yield lambda done: bar.update(task, completed=done)


def stepping(items: Iterable[T], step: Callable[[int], None]) -> Iterator[T]:
    """Hand many items on, and tell of them by the thousand: telling costs more than one of them."""
    number = 0
    for number, item in enumerate(items, 1):
        yield item
        if not number % _TOLD_EVERY:
            step(_TOLD_EVERY)
    step(number % _TOLD_EVERY)


def _bar(shows: str) -> Any:
    """Give a bar that shows what is "done", which "part", or only the "time"; None without a terminal."""
    if not sys.stderr.isatty():
        return None
    try:
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    except ModuleNotFoundError:
        return None
    console = Console(file=sys.stderr)
    if shows == "part":
        return Progress(console=console)
    done = [MofNCompleteColumn()] if shows == "done" else []
    return Progress(SpinnerColumn(), TextColumn("{task.description}"), *done, TimeElapsedColumn(), console=console)


class Watched:
    """A transport that tells of each message it has handed over, or tried to."""

    def __init__(self, transport: Transport, step: Step) -> None:
        """Send by `transport`, and call `step` after each message."""
        self._transport = transport
        self._step = step

    def send(self, message: Outgoing) -> None:
        """Hand a message over, and raise what the transport raises."""
        try:
            self._transport.send(message)
        finally:
            self._step()
