"""What a storage asks of a batch before it takes it."""

from __future__ import annotations

import subprocess
import sys

_FORK_AMID_A_LOOK = """
import os, signal, threading
from alias_middleware.storage.batch import Batch

class Entries(list):
    def __iter__(self):
        inside.set()
        threading.Event().wait()

inside = threading.Event()
look = Batch(entries=Entries()).{look}
threading.Thread(target=look, daemon=True).start()
inside.wait()
if (child := os.fork()) == 0:
    signal.alarm(10)
    Batch().{look}()
    os._exit(0)
_, status = os.waitpid(child, 0)
os._exit(status and 1)
"""
"""A process of its own: its threads are where they have to be, and it may end without a farewell."""


def test_a_fork_amid_a_look_at_a_batch_leaves_the_child_free() -> None:
    """The writer's thread does not exist in the child: a lock that it held would be held for good."""
    for look in ("origins", "earliest_us"):
        script = _FORK_AMID_A_LOOK.format(look=look)
        subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=60)
