"""A publisher's tables, imported by a command that is killed at random moments and given again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from alias_middleware.storage.sqlite import SQLiteStorage
from tests.imports.test_run import SPAN, command, figures, imported, told

COMMAND = """
from alias_middleware.cli.commands import standalone
from alias_middleware.imports import run
run.BATCH_LINES = 40
take = run.Import.take
def announced(self, *arguments, **named):
    print("begun", flush=True)
    return take(self, *arguments, **named)
run.Import.take = announced
standalone().main(prog_name="alias-middleware")
"""
"""The command, with batches of a few lines, which says when it begins with the file."""

ALIASES = [f"{number * 7_919:012d}" for number in range(1, 41)]
KILLS = 6
PART = 1 / 8
"""Each kill comes within such a part of the time of the whole: so the first ones hit, busy as a machine is."""


def orders(random: Random) -> tuple[list[str], list[str]]:
    """A table of orders of one to four lines, and those of its lines that nobody can read, in order."""
    good: list[list[str]] = []
    for number in range(500):
        order = f"{random.choice(ALIASES)},CMD-{number},2026-03-{number % 28 + 1:02d}T12:00:00+01:00,EUR"
        items = range(random.randint(1, 4))
        good.append([f"{order},{random.randint(1, 900)}.50,sku-{item}" for item in items])
    order = f"{ALIASES[0]},{{}},2026-03-02T12:00:00+01:00,EUR"
    bad = []
    for number in range(0, 100, 5):
        bad += [
            [f"{ALIASES[0]},BAD-{number},yesterday,EUR,1.00,rt-1"],
            [f"{order.format(f'BAD-{number + 1}')},much,rt-1"],
            [f"12,BAD-{number + 2},2026-03-02T12:00:00+01:00,EUR,1.00,rt-1"],
            [f"{order.format(f'BAD-{number + 3}')},1.00"],
            [f"{order.format(f'BAD-{number + 4}')},{amount},rt-1" for amount in ("1.00", "a lot", "2.00")],
        ]
    return _mixed(random, "alias,order_id,time,currency,amount,sku", good, bad)


def profiles(random: Random) -> tuple[list[str], list[str]]:
    """A table of preferences, the same visitor several times, and those of its lines that nobody can read."""
    good = []
    for number in range(1200):
        moment = f"2026-03-{number % 28 + 1:02d}T12:00:00Z"
        good.append([f"{random.choice(ALIASES)},{random.choice('abcd')},{random.randint(8, 30)},{moment}"])
    bad = [
        ["31452292734,large,12,2026-03-02T12:00:00Z"],
        [f"{ALIASES[0]},large,12,some day"],
        [f"{ALIASES[0]},large"],
        [f'{ALIASES[0]},"large,12,2026-03-02T12:00:00Z'],
    ] * 20
    return _mixed(random, "alias,font,size,time", good, bad)


def _mixed(
    random: Random, header: str, good: list[list[str]], bad: list[list[str]]
) -> tuple[list[str], list[str]]:
    """Put what cannot be read between the rest; records stay whole."""
    records = [*good]
    places = sorted(random.sample(range(len(good)), k=len(bad)), reverse=True)
    for place, record in zip(places, reversed(bad), strict=True):
        records.insert(place, record)
    lines = [header, *(line for record in records for line in record)]
    return lines, [line for record in bad for line in record]


TABLES: dict[str, Callable[[Random], tuple[list[str], list[str]]]] = {"purchases": orders, "profiles": profiles}


def attempt(folder: Path, path: Path, what: str, delay: float | None = None) -> tuple[int, float]:
    """Run the command, and kill it so long after it began; give its exit code and the seconds since."""
    arguments = command(folder, what, str(path), "--json")
    process = subprocess.Popen([sys.executable, "-c", COMMAND, *arguments], stdout=subprocess.PIPE, env=os.environ)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        begun = time.monotonic()
        if delay is not None:
            time.sleep(delay)
            process.kill()
        process.stdout.read()
        return process.wait(), time.monotonic() - begun


def everything(folder: Path, rejected: Path) -> list[Any]:
    """All that an import leaves: figures, history, knowledge, profiles, counters, positions, rejected lines."""
    storage = SQLiteStorage(f"sqlite:///{folder}/alias.db")
    try:
        ledger = storage.ledger()
        people = [
            (
                storage.history("simulated", alias, 10_000),
                storage.read_knowledge("simulated", alias).split(b"\n", 1)[0],
                [json.loads(part) for part in _documents(storage, alias)],
            )
            for alias in ALIASES
        ]
        assert storage.verify(SPAN[0].toordinal(), SPAN[1].toordinal()) == []
        return [figures(storage), people, ledger.counts, ledger.positions, rejected.read_text()]
    finally:
        storage.close()


def _documents(storage: SQLiteStorage, alias: str) -> Sequence[bytes]:
    stored = storage.read_profile("simulated", alias)
    return stored.preferences, stored.personal, stored.consents


def table(folder: Path, lines: Sequence[str], what: str) -> Path:
    folder.mkdir()
    path = folder / f"{what}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("what", TABLES)
def test_killed_at_random_moments(tmp_path: Path, what: str, seed: int) -> None:
    """Given again until it ends it leaves what one leaves that nobody killed; once more, nothing changes."""
    random = Random(seed)
    lines, bad = TABLES[what](random)
    whole = table(tmp_path / "whole", lines, what)
    code, seconds = attempt(whole.parent, whole, what)
    assert code == 0
    expected = everything(whole.parent, whole.with_name(f"{what}.csv.rejected"))
    path = table(tmp_path / "killed", lines, what)
    codes = [attempt(path.parent, path, what, random.uniform(0, seconds * PART))[0] for _ in range(KILLS)]
    assert set(codes) <= {0, -signal.SIGKILL}
    assert -signal.SIGKILL in codes, (seed, codes)
    for _ in range(2):
        assert attempt(path.parent, path, what)[0] == 0
        assert everything(path.parent, path.with_name(f"{what}.csv.rejected")) == expected, (seed, codes)
    assert expected[-1] == "".join(f"{line}\n" for line in bad)


@pytest.mark.parametrize("what", TABLES)
def test_what_cannot_be_read_is_kept_with_its_reason_counted(tmp_path: Path, what: str) -> None:
    """Each line as it stands, in order; again, and from a copy of the file, nothing is added to them."""
    lines, bad = TABLES[what](Random(3))
    path = table(tmp_path / "once", lines, what)
    found = told(imported(tmp_path, path, what=what))
    assert found["read"] == len(lines)
    left_out = {name: number for name, number in found.items() if name.startswith("left out")}
    assert left_out == {"left out: header": 1, "left out: unreadable": len(bad)}
    rejected = path.with_name(f"{what}.csv.rejected")
    assert rejected.read_text() == "".join(f"{line}\n" for line in bad)
    assert rejected.stat().st_mode & 0o777 == 0o600
    before = everything(tmp_path, rejected)
    again = told(imported(tmp_path, path, what=what))
    assert (again["read"], again["taken over before"], again["stored"]) == (0, len(lines), 0)
    copy = table(tmp_path / "copy", lines, what)
    assert told(imported(tmp_path, copy, "--rejected", str(tmp_path / "other"), what=what))["read"] == 0
    assert not (tmp_path / "other").exists()
    assert everything(tmp_path, rejected) == before
