"""What a site pays before its first request, and what several of its processes do together."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from alias_middleware import Tracker
from benchmarks import asgi_peers, people
from benchmarks.bytecode import as_installed
from benchmarks.figures import Figure
from benchmarks.rounds import ratio, spread

_ROOT = Path(__file__).parents[1]
_PROCESSES = 4
_VISITORS = 2_000
_AT_ONCE = 200
_IMPORT = (
    "import sys, time; {first}; begun = time.perf_counter(); import {module}; print(time.perf_counter() - begun)"
)


def startup_figures(folder: Path, *, rounds: int = 9) -> Iterator[Figure]:
    """Milliseconds of importing in fresh processes, in turn."""
    ours, theirs, after = [], [], []
    environment = as_installed(folder, "alias_middleware.asgi", "starlette.applications")
    for _ in range(rounds):
        ours.append(_import_ms(environment, "alias_middleware.asgi"))
        theirs.append(_import_ms(environment, "starlette.applications"))
        after.append(_import_ms(environment, "alias_middleware.asgi", first="import starlette.applications"))
    over = [one - other for one, other in zip(ours, theirs, strict=True)]
    yield Figure("import of alias_middleware.asgi, over Starlette's own", "ms", spread(over), 60)
    yield Figure("  added where Starlette is imported already", "ms", spread(after))
    yield Figure("  Starlette's own", "ms", spread(theirs))


def processes_figures(folder: Path, *, rounds: int = 5, seconds: float = 2.0) -> Iterator[Figure]:
    """Requests a second of one process and of four on one database, through the ASGI edge without sockets."""
    one, four = [], []
    url = f"sqlite:///{folder / 'processes.db'}"
    for turn in range(-1, rounds):
        rates = _together(url, 1, seconds), _together(url, _PROCESSES, seconds)
        if turn >= 0:
            one.append(rates[0])
            four.append(rates[1])
    name = f"requests a second of {_PROCESSES} processes on one database, of one's"
    yield Figure(name, "", spread(ratio(four, one)), 1.5, at_least=True)
    yield Figure("  one process", "a second", spread(one))
    yield Figure(f"  {_PROCESSES} processes", "a second", spread(four))


def _import_ms(environment: dict[str, str], module: str, *, first: str = "pass") -> float:
    command = [sys.executable, "-c", _IMPORT.format(module=module, first=first)]
    ran = subprocess.run(command, env=environment, cwd=_ROOT, capture_output=True, check=True)
    return float(ran.stdout) * 1e3


def _together(url: str, processes: int, seconds: float) -> float:
    command = [sys.executable, "-m", "benchmarks.startup", url, str(seconds)]
    started = [
        subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(processes)
    ]
    for each in started:
        if each.stdout is None or each.stdout.readline() != b"ready\n":
            raise RuntimeError("a process does not start")
    for each in started:
        if each.stdin is not None:
            each.stdin.write(b"go\n")
            each.stdin.flush()
    return sum(int(each.communicate()[0]) for each in started) / seconds


def _serve(url: str, seconds: float) -> None:
    """Serve as fast as one process can, once told to."""
    import asyncio

    everybody = [f"{314_522_927_347 + visitor:012}" for visitor in range(_VISITORS)]
    tracker = Tracker(service="sonneries", storage=url, trusted_gateways=["10.12.0.0/16"])
    with closing(tracker), asyncio.Runner() as runner:
        app = asgi_peers.behind_alias(asgi_peers.reading_a_profile, tracker)
        served = asgi_peers.contender(runner, app, lambda number: people.pick(everybody, number))
        served(_AT_ONCE)
        print("ready", flush=True)
        sys.stdin.readline()
        number, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            served(_AT_ONCE)
            number += _AT_ONCE
        print(number, flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1], float(sys.argv[2]))
