"""A process that changes one visitor's profile as it is told: `python -m tests.storage.sqlite.changer DATABASE`.

Reads lines of two words. `set N` sets the field "n" and answers N once it is committed; `die STEP` has the next
change end in a kill -9 at that step.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alias_middleware.storage.sqlite import SQLiteStorage
from alias_middleware.storage.sqlite.versions import Versions
from alias_middleware.testing._contract_profiles import op
from alias_middleware.testing.histories import KEY, NEWS, change

STEPS = ["locked", "begun", "committed"]
ROOT = Path(__file__).parents[3]


class Changer:
    """The other end of such a process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tell(self, verb: str, what: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{verb} {what}\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def set(self, number: int) -> None:
        """Have the field set; it is committed when this returns."""
        self.tell("set", number)
        assert self.answer() == str(number)

    def die(self, step: str, number: int) -> None:
        """Have it set the field and die at a step of that."""
        self.tell("die", step)
        self.tell("set", number)
        assert self._process.wait(30) == -signal.SIGKILL


@contextmanager
def changer(database: Path) -> Iterator[Changer]:
    """Run such a process; what is left of it at the end is killed."""
    command = [sys.executable, "-m", "tests.storage.sqlite.changer", str(database)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        try:
            yield Changer(started)
        finally:
            started.kill()


def _die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at(step: str) -> None:
    if step == "locked":
        Versions.begin = _die  # type: ignore[method-assign, assignment]
    elif step == "committed":
        Versions.end = _die  # type: ignore[method-assign, assignment]
    else:
        begin = Versions.begin

        def begin_and_die(versions: Versions, place: int) -> int:
            begin(versions, place)
            _die()
            return 0

        Versions.begin = begin_and_die  # type: ignore[method-assign, assignment]


def main(database: str) -> None:
    storage = SQLiteStorage(f"sqlite:///{database}")
    for line in sys.stdin:
        verb, what = line.split()
        if verb == "die":
            _die_at(what)
        else:
            storage.change_profile(NEWS.namespace, change(op("set", "n", int(what)), at=1, key=KEY), timeout=30)
            sys.stdout.write(f"{what}\n")
            sys.stdout.flush()
    storage.close()


if __name__ == "__main__":
    main(sys.argv[1])
