"""What is tried again, and what is not: pytest runs small tests of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT

pytestmark = pytest.mark.once

FIRST_TRY = """
    from pathlib import Path
    import pytest
    from httpx import ReadTimeout
    from subprocess import TimeoutExpired
    from tests.support.waiting import WaitedInVainError, wait_until

    TRIES = []

    def too_late_at_first(error):
        TRIES.append(error)
        if len(TRIES) == 1:
            raise error
"""


def closing_line(folder: Path, tests: str, *, where: str = "gateways", **words: str) -> str:
    """Run tests in a folder of this name; give the last line."""
    (folder / where).mkdir()
    lines = (FIRST_TRY + tests).splitlines()
    (folder / where / "test_it.py").write_text("\n".join(line[4:] for line in lines))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.support.second_try",
        "-p",
        "no:cacheprovider",
        "--rootdir",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, folder, folder, "--max-suite-reruns=2"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.splitlines()[-1].strip("= ").rpartition(" in ")[0]


@pytest.mark.parametrize(
    "error",
    [
        pytest.param("WaitedInVainError('in vain')", id="ours"),
        pytest.param("TimeoutError('a socket')", id="a socket's"),
        pytest.param("TimeoutExpired('command', 20)", id="a command's"),
        pytest.param("ReadTimeout('timed out')", id="that of HTTPX"),
    ],
)
def test_what_is_late_is_tried_again(tmp_path: Path, error: str) -> None:
    """Once, and the closing line tells."""
    tests = f"""
    def test_late():
        too_late_at_first({error})
    """
    assert closing_line(tmp_path, tests) == "1 passed, 1 rerun"


def test_what_is_wrong_fails_at_once(tmp_path: Path) -> None:
    """Also where a deadline is missed afterwards, in a `finally` or in a fixture's end."""
    tests = """
    def test_wrong():
        too_late_at_first(AssertionError("a wrong value"))

    def test_wrong_and_then_late():
        try:
            assert len(TRIES) == 2
        finally:
            raise TRIES.append(1) or TimeoutError("does not stop")

    @pytest.fixture
    def late_at_the_end():
        yield
        raise TimeoutError("does not stop")

    def test_wrong_with_a_fixture_that_is_late(late_at_the_end):
        assert TRIES == []
    """
    assert closing_line(tmp_path, tests) == "3 failed, 1 error"


def test_elsewhere_nothing_is_tried_again(tmp_path: Path) -> None:
    """Where no other program has a part, time is no excuse."""
    tests = """
    def test_late():
        too_late_at_first(WaitedInVainError("in vain"))
    """
    assert closing_line(tmp_path, tests, where="statistics") == "1 failed"


def test_a_gateway_that_died_is_replaced(tmp_path: Path) -> None:
    """The second try, and those after it, get a new one; each that was started is stopped."""
    tests = """
    STARTED, STOPPED = [], []

    @pytest.fixture(scope="module")
    def gateway():
        STARTED.append(len(STARTED))
        yield STARTED[-1]
        STOPPED.append(STARTED[-1])

    @pytest.fixture(scope="session", autouse=True)
    def all_are_stopped():
        yield
        assert STARTED == STOPPED

    def test_it_is_alive(gateway):
        assert gateway == 0

    def test_it_has_died(gateway):
        wait_until(lambda: gateway == 1, "it answers", within=0.01)

    def test_it_is_another(gateway):
        assert (gateway, STOPPED) == (1, [0])
    """
    assert closing_line(tmp_path, tests) == "3 passed, 1 rerun"


def test_a_gateway_that_never_starts_is_not_waited_for_by_each(tmp_path: Path) -> None:
    """There are so many second tries and no more: then everybody is told at once that it did not start."""
    tests = """
    STARTED = []

    @pytest.fixture(scope="module")
    def gateway():
        STARTED.append(1)
        raise WaitedInVainError("it does not listen")

    @pytest.mark.parametrize("number", range(30))
    def test_it_answers(gateway, number):
        pass

    def test_it_was_tried_so_often():
        assert len(STARTED) == 3
    """
    assert closing_line(tmp_path, tests) == "1 passed, 30 errors, 2 rerun"
