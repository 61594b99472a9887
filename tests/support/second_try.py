"""A second try for what came too late, in tests of real programs; never for what was wrong.

Another program may be slow for reasons that are nobody's fault: the machine does other things, its disk is busy. A
wrong value is wrong whenever it comes about, and fails at once. The closing line counts second tries; why they
were made stands above it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from typing import Any

import pytest

from tests.support.waiting import WaitedInVainError

_REAL = {"browser", "cli", "docs", "examples", "faults", "gateways", "postgresql", "servers", "soak"}
"""Folders of tests that talk to real programs."""

_LATE = {"WaitedInVainError", "TimeoutError", "TimeoutExpired", "ConnectTimeout", "ReadTimeout"}
"""What a missed deadline is called by us, by sockets and Playwright, by `subprocess` and by HTTPX."""

_LATE_ONLY = pytest.StashKey[dict[str, bool]]()
"""Of each phase of a test that failed: whether it was late and nothing else."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what may be tried again."""
    names = f"^({'|'.join(sorted(_LATE))}): "
    for item in items:
        if not _REAL.isdisjoint(item.nodeid.partition("::")[0].split("/")):
            item.add_marker(
                pytest.mark.flaky(reruns=1, only_rerun=names, condition=partial(may_be_tried_again, item))
            )


def may_be_tried_again(item: pytest.Item, _: BaseException | None) -> bool:
    """Tell whether a test that failed was late, and nothing was wrong in any phase of it."""
    return all(item.stash[_LATE_ONLY].values())


def is_only_late(error: BaseException | None) -> bool:
    """Tell whether a deadline was missed, and nothing was found wrong before."""
    errors = list(_with_contexts(error))
    wrong = any(isinstance(one, AssertionError) and not isinstance(one, WaitedInVainError) for one in errors)
    return not wrong and any(type(one).__name__ in _LATE for one in errors)


def _with_contexts(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__context__


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Note of each phase that fails whether it was late."""
    if call.when == "setup":
        item.stash[_LATE_ONLY] = {}
    if call.excinfo is not None:
        item.stash[_LATE_ONLY][call.when] = is_only_late(call.excinfo.value)
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Take down all that stands after a missed deadline: the gateway that many tests share may have died.

    Whoever comes next, be it the second try, gets a new one.
    """
    if item.stash.get(_LATE_ONLY, {}).get("call", False):
        item.session._setupstate.teardown_exact(None)
