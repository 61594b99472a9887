"""A mark holds in the process that made it, and in no child of it."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

import pytest

from alias_middleware.processes import mark_process


@pytest.mark.parametrize(
    "fork",
    [
        pytest.param(os.fork, id="Python forks"),
        pytest.param(ctypes.PyDLL(None).fork, id="C forks, and tells nobody"),
    ],
)
@pytest.mark.parametrize("wiped", [pytest.param(True, id="memory is wiped"), pytest.param(False, id="it is not")])
def test_a_child_finds_no_mark(fork: Callable[[], int], wiped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a child finds it nor does its parent lose it, whether or not the system wipes memory."""
    if not wiped:
        monkeypatch.setattr("alias_middleware.processes._WIPE_ON_FORK", -1)
    mark = mark_process()
    assert mark[0]
    child = fork()
    if child == 0:
        os._exit(1 if mark[0] else 0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert mark[0]
