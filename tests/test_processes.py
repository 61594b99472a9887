"""A mark holds in the process that made it, and in no child of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

_SCRIPT = """
import ctypes, os, sys
from alias_middleware import processes

if "unwiped" in sys.argv:
    processes._WIPE_ON_FORK = -1
mark = processes.mark_process()
assert mark[0]
child = ctypes.PyDLL(None).fork() if "C" in sys.argv else os.fork()
if child == 0:
    os._exit(1 if mark[0] else 0)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, "the child finds it"
assert mark[0], "the parent has lost it"
"""
"""A process of its own, without other threads: where C forks, their parts of the interpreter stay as they are."""


@pytest.mark.parametrize("forks", [pytest.param("Python", id="Python forks"), pytest.param("C", id="C, untold")])
@pytest.mark.parametrize("memory", ["wiped", "unwiped"])
def test_a_child_finds_no_mark(forks: str, memory: str) -> None:
    """Neither a child finds it nor does its parent lose it, whether or not the system wipes memory."""
    subprocess.run([sys.executable, "-c", _SCRIPT, forks, memory], check=True, timeout=60)
