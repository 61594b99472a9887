"""The JavaScript engine that draws charts, in a process of its own.

In ours it would stop every thread for a second when it starts, and for a twentieth with each chart; and it does
not survive a fork.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from alias_middleware.dashboard.charts import Chart

_PROGRAM = Path(__file__).with_name("vega_process.py")
_PATIENCE_SECONDS = 5.0
_LONGEST_SECONDS = 15.0
"""How long a picture may take, the engine's start included: what takes longer hangs."""


class Engine:
    """Draws charts, for one thread. The process starts with the first one, and anew where it has ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False
        self._patience = _LONGEST_SECONDS

    def svg(self, chart: Chart) -> str:
        """Draw a chart.

        Raises:
            ValueError: it cannot be drawn.
            OSError: the engine does not start, died or hung twice, or was ended.
        """
        question = msgspec.json.encode({"specification": chart.specification.decode(), "locale": chart.locale})
        if self._process is not None:
            with suppress(OSError):  # ended in the meantime, by itself or by others
                return self._asked(self._process, question)
            self._stop()
        if self._ended:
            raise BrokenPipeError("the engine was ended")
        self._process = _start()
        return self._asked(self._process, question)

    def close(self) -> None:
        """End the process, for good."""
        self._ended = True
        self._stop()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        try:
            process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _asked(self, process: subprocess.Popen[bytes], question: bytes) -> str:
        watch = threading.Timer(self._patience, process.kill)
        watch.daemon = True
        watch.start()
        try:
            return self._answer(process, question)
        finally:
            watch.cancel()

    @staticmethod
    def _answer(process: subprocess.Popen[bytes], question: bytes) -> str:
        if process.stdin is None or process.stdout is None:
            raise BrokenPipeError("no pipes")
        process.stdin.write(question + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line.endswith(b"\n"):
            raise BrokenPipeError("the engine ended")
        answer: dict[str, Any] = msgspec.json.decode(line)
        if "error" in answer:
            raise ValueError(answer["error"])
        return str(answer["svg"])


def _start() -> subprocess.Popen[bytes]:
    """Start the program where our modules are found; it ends with us, when its input ends, and by no Ctrl-C."""
    return subprocess.Popen(
        [_python(), "-P", str(_PROGRAM)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
    )


def _python() -> str:
    """Give the interpreter: a server that embeds Python names itself as the executable."""
    if Path(sys.executable).name.startswith("python"):
        return sys.executable
    return str(Path(sys.exec_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")
