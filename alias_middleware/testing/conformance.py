"""Runs the storage contract on any storage and tells which of its promises were broken. It needs pytest."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest

from alias_middleware.storage.base import Storage

Make = Callable[[Path, Sequence[bytes]], Storage]
"""Opens the storage under test, for a folder that stands for its data, with some secret keys."""

PLUGIN = "alias_middleware_conformance"


class Check(NamedTuple):
    """One promise of the contract: its name, what it says, and how it was broken ("" if it was kept)."""

    name: str
    promise: str
    problem: str


class Conformance:
    """What pytest tells of a run, and what the suite asks how to open the storage."""

    def __init__(self, make: Make) -> None:
        """Open the storage with `make`."""
        self.make = make
        self.checks: dict[str, Check] = {}
        self._promises: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note what each check promises: its docstring."""
        for item in items:
            said = getattr(getattr(item, "function", None), "__doc__", None) or ""
            self._promises[item.nodeid] = " ".join(said.split())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a check went: its body, and what broke before and after it."""
        if report.when == "call" or report.failed:
            name = report.nodeid.rpartition("::")[2].removeprefix("test_")
            problem = _problem(report) if report.failed else ""
            self.checks[name] = Check(name, self._promises.get(report.nodeid, ""), problem)


def check_conformance(make: Make, *, only: str = "") -> list[Check]:
    """Run every check of the contract and give them in their order.

    `only`: of those whose names contain a text (an expression of pytest's `-k`).
    """
    run = Conformance(make)
    suite = Path(__file__).with_name("_conformance_suite.py")
    with TemporaryDirectory(prefix="alias-conformance-") as folder, _quiet():
        # The settings, plugins and caches of whatever project this is called in are none of its business.
        arguments = [str(suite), "-c", os.devnull, "--rootdir", folder, "--basetemp", f"{folder}/data", "-q"]
        arguments += ["-p", "no:cacheprovider", "-p", "no:cov", *(["-k", only] if only else [])]
        pytest.main(arguments, plugins=[_named(run)])
    return list(run.checks.values())


def _named(run: Conformance) -> Any:
    run.__name__ = PLUGIN  # type: ignore[attr-defined]  # by it the suite finds it again
    return run


def _quiet() -> Any:
    from contextlib import ExitStack

    stack = ExitStack()
    stack.enter_context(redirect_stdout(StringIO()))
    stack.enter_context(redirect_stderr(StringIO()))
    return stack


def _problem(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    return str(text).strip() or "failed"
