"""A database with a little history, and the commands run on it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from alias_middleware import Item, Tracker
from alias_middleware.cli.commands import standalone
from alias_middleware.events import PageView
from alias_middleware.segments import WriterLock
from alias_middleware.spool import Spool
from alias_middleware.storage.base import Origin

ALIAS = "314522927347"

Run = Callable[..., Result]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the URL, in ALIAS_STORAGE too, of a storage with one visitor of the service `ringtones`."""
    url = f"sqlite:///{tmp_path}/alias.db"
    tracker = Tracker(service="ringtones", storage=url, trusted_gateways=[], raise_errors=True)
    with tracker.visitor(ALIAS) as visitor:
        visitor.profile["font"] = "large"
        visitor.profile.personal["name"] = "Zoé \x1b[31m"
        visitor.consent("contact", True, source="settings page")
        visitor.track("download", category="music", sku="rt-1")
        visitor.purchase("CMD-1", [Item("rt-1", "Tone", price=Decimal("3.00"))], currency="EUR")
        visitor.show("/welcome")
    tracker.close()
    for name in ("SERVICE", "SPOOL", "ZONE", "REFERENCE", "SECRET_KEYS", "PSEUDONYM_KEYS"):
        monkeypatch.delenv(f"ALIAS_{name}", raising=False)
    monkeypatch.setenv("ALIAS_STORAGE", url)
    return url


@pytest.fixture
def run() -> Run:
    """Run `alias-middleware` in this process."""

    def run_command(*arguments: str, **environment: str) -> Result:
        return CliRunner().invoke(standalone(), arguments, env=environment, catch_exceptions=False)

    return run_command


def leave_in_spool(folder: Path) -> None:
    """Record a page view as a process does that dies before it is drained."""
    spool = Spool(folder, Origin("ringtones", "ringtones", 1_800_000_000), limit=2**20, entropy=os.urandom)
    now_us = time.time_ns() // 1000
    spool.append(PageView(ALIAS, now_us, now_us, date.today().toordinal(), "web", "/late"))  # noqa: DTZ011
    spool.close()


@contextmanager
def another_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of a spool, as a writer does that does not get on."""
    lock = WriterLock(folder)
    assert lock.acquire()
    try:
        yield
    finally:
        lock.release()


def error_line(result: Any) -> str:
    """Give the one line that says what was wrong."""
    line: str = result.stderr.strip().splitlines()[-1]
    assert line.startswith("Error: ")
    assert "Traceback" not in result.stderr
    return line
